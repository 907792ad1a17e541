package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// redirectServer is a real server that redirects the paths of a table, and
// opens a connection for each other path, whose first message is the path.
type redirectServer struct {
	mu       sync.Mutex
	to       map[string]string // path to Location; a value may begin with a status
	requests []*handshake.Request
}

// listen serves on the loopback interface and returns the address.
func (s *redirectServer) listen(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	served := &server.Server{
		Origins:      []string{"*"},
		Subprotocols: []string{"chat"},
		Handler:      server.Handler{Open: func(c *server.Conn) { c.SendText(c.Path()) }},
		Authorize: func(r *handshake.Request, a *handshake.ServerAnswer) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.requests = append(s.requests, r)
			location, ok := s.to[r.Path()]
			if !ok {
				return nil
			}
			status := 302
			if n, _ := fmt.Sscanf(location, "%d ", &status); n > 0 {
				location = location[4:]
			}
			return &handshake.Error{Status: status, Header: map[string][]string{"Location": {location}}}
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		served.Serve(ln)
	}()
	t.Cleanup(func() {
		served.Shutdown(context.Background())
		<-done
	})
	return ln.Addr().String()
}

// paths returns the targets of the requests so far, and forgets them.
func (s *redirectServer) paths() (targets []string, last *handshake.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		targets = append(targets, r.Target)
		last = r
	}
	s.requests = nil
	return targets, last
}

// opens dials url and returns the path that the server has opened.
func opens(t *testing.T, url string, cfg *client.Config) (path string, err error) {
	t.Helper()
	c, err := client.Dial(t.Context(), url, cfg)
	if err != nil {
		return "", err
	}
	m, err := c.Receive(t.Context())
	check.Must(t, err)
	check.OK(t, c.Close(wire.NormalClosure, ""))
	return m.Text(), nil
}

// Redirects of a real server: every status, relative and absolute references,
// chains up to the limit, and loops.
func TestRedirects(t *testing.T) {
	s := &redirectServer{to: map[string]string{
		"/301": "301 /end", "/302": "302 /end", "/303": "303 /end", "/307": "307 /end", "/308": "308 /end",
		"/a/relative": "b/../end?x=1#fragment", "/query": "?y", "/3": "/2", "/2": "/1", "/1": "/end", "/loop": "/loop", "/ping": "/pong", "/pong": "/ping",
	}}
	address := s.listen(t)
	s.to["/absolute"] = "http://" + address + "/end"
	s.to["/authority"] = "//" + address + "/end"
	cfg := &client.Config{Redirects: client.FollowRedirects(3)}
	for from, want := range map[string][]string{
		"/end": {"/end"}, "/301": {"/301", "/end"}, "/302": {"/302", "/end"}, "/303": {"/303", "/end"}, "/307": {"/307", "/end"}, "/308": {"/308", "/end"},
		"/a/relative": {"/a/relative", "/a/end?x=1"}, "/absolute": {"/absolute", "/end"}, "/authority": {"/authority", "/end"},
		"/3": {"/3", "/2", "/1", "/end"}, "/1?q=1": {"/1?q=1", "/end"},
	} {
		got, err := opens(t, "ws://"+address+from, cfg)
		check.Mustf(t, err, "%s", from)
		targets, _ := s.paths()
		check.Slices(t, targets, want, "requests from %s", from)
		wantPath, _, _ := strings.Cut(want[len(want)-1], "?")
		check.Equal(t, got, wantPath, "path from %s", from)
	}

	for from, attempts := range map[string]int{"/loop?token=SECRET": 4, "/ping": 4, "/query": 4} {
		_, err := opens(t, "ws://u:SECRET@"+address+from, cfg)
		failed := check.As[*client.RedirectError](t, err, "%s", from)
		if limit := check.As[*client.RedirectLimitError](t, err, "%s", from); limit != nil {
			check.Equal(t, limit.Max, 3, "limit")
		}
		if failed != nil && (failed.Response.Status != 302 || !strings.HasPrefix(failed.From, "ws://"+address+"/") || !strings.Contains(err.Error(), "exceeds FollowRedirects (3)") || strings.Contains(err.Error(), "SECRET")) {
			t.Errorf("%s: %v", from, err)
		}
		targets, _ := s.paths()
		check.Equal(t, len(targets), attempts, "requests from %s", from)
		checkErrorText(t, err)
	}

	for name, follow := range map[string]client.Redirects{"nil": nil, "0": client.FollowRedirects(0), "-1": client.FollowRedirects(-1)} {
		_, err := opens(t, "ws://"+address+"/1", &client.Config{Redirects: follow})
		var refused *client.HandshakeError
		var failed *client.RedirectError
		if errors.As(err, &refused) != (follow == nil) || errors.As(err, &failed) == (follow == nil) {
			t.Errorf("%s: %v", name, err)
		}
		targets, _ := s.paths()
		check.Slices(t, targets, []string{"/1"}, "requests with %s", name)
	}
}

// Responses that Redirects does not follow.
func TestResponsesThatAreNotFollowed(t *testing.T) {
	const redirect = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n"
	for name, tt := range map[string]struct {
		url, response string
		target        any
		text          string
	}{
		"T-G02: wss to ws":    {"wss://h/", redirect + "Location: ws://h/\r\n", new(*client.RedirectError), "from wss to ws"},
		"T-G02: wss to http":  {"wss://h/a", redirect + "Location: http://h:443/b?SECRET\r\n", new(*client.RedirectError), `302 "Found" redirects wss://h/a to ws://h:443/b: a redirect from wss to ws is not followed`},
		"a user":              {"ws://h/", redirect + "Location: ws://u:SECRET@h/\r\n", new(*handshake.URLError), "user and password in a redirect"},
		"another scheme":      {"ws://h/", redirect + "Location: ftp://h/\r\n", new(*handshake.URLError), `URL "ftp://h/"`},
		"a control character": {"ws://h/", redirect + "Location: /a\tb\r\n", new(*handshake.URLError), "control character"},
		"an escape":           {"ws://h/", redirect + "Location: ftp://\x9b31m\r\n", new(*handshake.URLError), `\x9b31m`},
		"two":                 {"ws://h/", redirect + "Location: /a\r\nLocation: /b\r\n", new(*client.RedirectError), "2 Location fields, want one"},
		"no Location":         {"ws://h/", redirect, new(*client.HandshakeError), "refused with status 302"},
		"300":                 {"ws://h/", "HTTP/1.1 300 x\r\nContent-Length: 0\r\nLocation: /a\r\n", new(*client.HandshakeError), "refused with status 300"},
		"201":                 {"ws://h/", "HTTP/1.1 201 x\r\nContent-Length: 0\r\nLocation: /a\r\n", new(*client.HandshakeError), "refused with status 201"},
		"401":                 {"ws://h/", "HTTP/1.1 401 x\r\nContent-Length: 0\r\nLocation: /a\r\n", new(*client.HandshakeError), "refused with status 401"},
		"no HTTP":             {"ws://h/", "SSH-2.0\r\n", new(*client.HandshakeError), "handshake failed"},
	} {
		t.Run(name, func(t *testing.T) {
			dials := 0
			_, err := client.Dial(t.Context(), tt.url, &client.Config{
				Redirects: client.FollowRedirects(5),
				DialContext: client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials++
					return saying([]byte(tt.response+"\r\n"))(ctx, network, addr)
				}),
				StartTLS: client.TLSFunc(func(_ context.Context, nc net.Conn, _ string) (net.Conn, error) { return nc, nil }),
			})
			if err == nil || !errors.As(err, tt.target) || !strings.Contains(err.Error(), tt.text) || dials != 1 || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%d dials, %v", dials, err)
			}
			checkErrorText(t, err)
		})
	}
}

// T-G01: credentials stay at their origin, also if a later redirect leads back.
func TestCredentialsDoNotFollowRedirects(t *testing.T) {
	first, second := new(redirectServer), new(redirectServer)
	a, b := first.listen(t), second.listen(t)
	first.to = map[string]string{"/same": "/end", "/other": "http://" + b + "/end", "/there": "http://" + b + "/back"}
	second.to = map[string]string{"/back": "http://" + a + "/end"}
	secrets := []string{"Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization"}
	kept := []string{"User-Agent", "Origin", "accept-language", "Sec-WebSocket-Protocol"}
	cfg := &client.Config{
		Host:         "virtual.example",
		Subprotocols: []string{"chat"},
		Header: map[string][]string{
			"Authorization": {"Bearer SECRET"}, "cookie": {"s=SECRET"}, "X-API-Key": {"SECRET"}, "Proxy-Authorization": {"SECRET"},
			"User-Agent": {"me/1"}, "Origin": {"https://page.example"}, "Accept-Language": {"de"},
		},
		Redirects: client.FollowRedirects(5),
	}
	for _, tt := range []struct {
		path string
		last *redirectServer
		host string // of the last request
		same bool
	}{
		{"/same", first, "virtual.example", true},
		{"/other", second, b, false},
		{"/there", first, a, false},
	} {
		first.paths()
		got, err := opens(t, "ws://kim:SECRET@"+a+tt.path, cfg)
		check.Mustf(t, err, "%s", tt.path)
		check.Equal(t, got, "/end", "path")
		_, r := tt.last.paths()
		check.Equal(t, r.Host(), tt.host, "host after %s", tt.path)
		for _, name := range secrets {
			if (r.Header.Count(name) == 1) != tt.same {
				t.Errorf("%s: %d fields %s", tt.path, r.Header.Count(name), name)
			}
		}
		for _, name := range kept {
			check.Equal(t, r.Header.Count(name), 1, "fields %s after %s", name, tt.path)
		}
	}
	check.Equal(t, len(cfg.Header), 7, "fields in the Config of the caller")

	// The user of the URL stays at its origin too.
	cfg = &client.Config{Redirects: client.FollowRedirects(5)}
	for path, want := range map[string]int{"/same": 1, "/there": 0} {
		first.paths()
		_, err := opens(t, "ws://kim:SECRET@"+a+path, cfg)
		check.Mustf(t, err, "%s", path)
		_, r := first.paths()
		check.Equal(t, r.Header.Count("Authorization"), want, "Authorization after %s", path)
	}
}

// CheckRedirects sees each redirect, may change the fields of the next request,
// and may refuse.
func TestCheckRedirects(t *testing.T) {
	s := &redirectServer{to: map[string]string{"/2": "/1", "/1": "/end"}}
	address := s.listen(t)
	var seen []string
	cfg := &client.Config{Header: map[string][]string{"X": {"1"}}, Redirects: client.CheckRedirects(5, func(r *client.Redirect) error {
		seen = append(seen, fmt.Sprint(r.Count, " ", r.From.Target, " ", r.To.Target, " ", r.Response.Status))
		r.Header["X"] = []string{"2"}
		return nil
	})}
	_, err := opens(t, "ws://"+address+"/2", cfg)
	check.Must(t, err)
	check.Slices(t, seen, []string{"1 /2 /1 302", "2 /1 /end 302"}, "redirects")
	_, last := s.paths()
	check.Equal(t, last.Header.Get("X"), "2", "field")
	check.Equal(t, cfg.Header["X"][0], "1", "field of the caller")

	for name, f := range map[string]func() error{
		"an error": func() error { return io.ErrNoProgress },
		"a panic":  func() error { panic("on purpose") },
	} {
		_, err = opens(t, "ws://"+address+"/2", &client.Config{Redirects: client.CheckRedirects(5, func(*client.Redirect) error { return f() })})
		check.As[*client.RedirectError](t, err, "%s", name)
		if name == "an error" {
			check.Is(t, err, io.ErrNoProgress, "%s", name)
		} else {
			check.As[*client.PanicError](t, err, "%s", name)
		}
		checkErrorText(t, err)
	}
	targets, _ := s.paths()
	check.Slices(t, targets, []string{"/2", "/2"}, "requests")
}

// HandshakeTimeout is the limit for all redirects of a Dial together.
func TestRedirectsAreBounded(t *testing.T) {
	check.Bubble(t, "slow", func(t *testing.T) {
		start := time.Now()
		_, err := client.Dial(t.Context(), "ws://h/", &client.Config{
			HandshakeTimeout: 3500 * time.Millisecond,
			Redirects:        client.FollowRedirects(1000),
			DialContext: scripted(t, func(nc net.Conn) {
				readRequest(nc)
				time.Sleep(time.Second) // of the bubble's time
				io.WriteString(nc, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
			}),
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3500*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
	check.Bubble(t, "a check that hangs", func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		start := time.Now()
		_, err := client.Dial(t.Context(), "ws://h/", &client.Config{
			Redirects: client.CheckRedirects(1, func(*client.Redirect) error {
				<-release
				return nil
			}),
			DialContext: saying([]byte("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")),
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != client.DefaultHandshakeTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
