package cookies_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/client/cookies"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

// ExampleJar signs in with net/http, and connects with the session cookie.
func ExampleJar() {
	chat := &server.Server{Handler: server.Handler{Open: func(c *server.Conn) {
		c.SendText("hello " + c.Value().(string))
	}}}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "user", Value: r.FormValue("user"), Path: "/"})
	})
	mux.HandleFunc("/chat", func(w http.ResponseWriter, r *http.Request) {
		user, err := r.Cookie("user")
		if err != nil {
			http.Error(w, "sign in first", http.StatusUnauthorized)
			return
		}
		httpupgrade.Upgrade(chat, w, r, user.Value)
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	defer chat.Shutdown(context.Background())

	jar, err := cookiejar.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	web := &http.Client{Jar: jar}
	response, err := web.PostForm(s.URL+"/login", url.Values{"user": {"kim"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	response.Body.Close()

	ctx := context.Background()
	c, err := client.Dial(ctx, s.URL+"/chat", &client.Config{Cookies: cookies.Jar(jar)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(wire.NormalClosure, "")
	m, err := c.Receive(ctx)
	fmt.Println(m.Text(), err)
	// Output: hello kim <nil>
}

// serve serves a server that records the field Cookie of each request, and sets
// cookies. It returns the address.
func serve(t *testing.T, set map[string][]string) (address string, received func() []string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	var mu sync.Mutex
	var fields []string
	s := &server.Server{Authorize: func(r *handshake.Request, a *handshake.ServerAnswer) error {
		mu.Lock()
		defer mu.Unlock()
		fields = append(fields, strings.Join(r.Header.Values("Cookie"), " | "))
		a.Header = map[string][]string{"Set-Cookie": set[r.Path()]}
		switch r.Path() {
		case "/refuse":
			return &handshake.Error{Status: 401, Header: a.Header}
		case "/redirect":
			a.Header["Location"] = []string{"/end"}
			return &handshake.Error{Status: 302, Header: a.Header}
		}
		return nil
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Shutdown(context.Background())
		<-done
	})
	return ln.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		got := fields
		fields = nil
		return got
	}
}

// A *cookiejar.Jar stores the cookies of a 101, of a refusal and of a redirect,
// and the next request has them, in one field with those of the caller.
func TestJar(t *testing.T) {
	address, received := serve(t, map[string][]string{
		"/a":        {"one=1; Path=/", "two=2; Path=/sub", "invalid", "four=4; Domain=other.example"},
		"/refuse":   {"refused=5; Path=/"},
		"/redirect": {"redirected=6; Path=/"},
	})
	jar, err := cookiejar.New(nil)
	check.Must(t, err)
	cfg := &client.Config{Cookies: cookies.Jar(jar), Redirects: client.FollowRedirects(1)}
	dial := func(path string) error {
		c, err := client.Dial(t.Context(), "ws://"+address+path, cfg)
		if err == nil {
			c.CloseNow()
		}
		return err
	}
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/a", []string{""}},
		{"/b", []string{"one=1"}},
		{"/sub/c?x=1", []string{"two=2; one=1"}},
		{"/refuse", []string{"one=1"}},
		{"/redirect", []string{"one=1; refused=5", "one=1; refused=5; redirected=6"}},
	} {
		var refused *client.HandshakeError
		if err := dial(tt.path); errors.As(err, &refused) != (tt.path == "/refuse") || err != nil && refused == nil {
			t.Errorf("%s: %v", tt.path, err)
		}
		check.Slices(t, received(), tt.want, "Cookie after %s", tt.path)
	}
	for _, name := range []string{"Cookie", "cookie"} {
		cfg.Header = map[string][]string{name: {"mine=0; x=y"}}
		check.Must(t, dial("/b"))
		check.Slices(t, received(), []string{"mine=0; x=y; one=1; refused=5; redirected=6"}, "Cookie")
		check.Slices(t, cfg.Header[name], []string{"mine=0; x=y"}, "Config.Header")
	}
}

// jarFunc is an http.CookieJar that records the URLs.
type jarFunc func(u *url.URL)

func (f jarFunc) Cookies(u *url.URL) []*http.Cookie       { f(u); return nil }
func (f jarFunc) SetCookies(u *url.URL, _ []*http.Cookie) { f(u) }

// The jar gets an http or https URL, with the path decoded.
func TestURLOfJar(t *testing.T) {
	for in, want := range map[string]string{
		"ws://u:p@H/a":         "http://h/a",
		"wss://h:443/a%2Fb?x":  "https://h/a%2Fb?x",
		"wss://h:8443":         "https://h:8443/",
		"ws://[2001:db8::1]/ü": "http://[2001:db8::1]/%C3%BC",
	} {
		var got []string
		_, err := client.Dial(t.Context(), in, &client.Config{
			Cookies: cookies.Jar(jarFunc(func(u *url.URL) { got = append(got, u.String()) })),
			DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) {
				return nil, errors.New("not to be dialed")
			}),
		})
		if err == nil {
			t.Error("no error")
		}
		check.Slices(t, got, []string{want}, "URLs for %s", in)
	}
}

// A jar that panics is an error of Dial, and closes the connection.
func TestJarThatPanics(t *testing.T) {
	address, _ := serve(t, map[string][]string{"/": {"a=1"}})
	for calls := range 2 {
		n := 0
		_, err := client.Dial(t.Context(), "ws://"+address, &client.Config{Cookies: cookies.Jar(jarFunc(func(*url.URL) {
			if n++; n > calls {
				panic("on purpose")
			}
		}))})
		check.As[*client.PanicError](t, err, "call %d", calls)
	}
}
