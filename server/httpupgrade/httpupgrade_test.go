package httpupgrade_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

// echoServer returns a server that echoes every message.
func echoServer() *server.Server {
	return &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
	}}
}

// serve serves h, and shuts down s when the test ends.
func serve(t *testing.T, h http.Handler, s *server.Server) *httptest.Server {
	t.Helper()
	hs := httptest.NewServer(h)
	t.Cleanup(func() { stop(t, hs, s) })
	return hs
}

func stop(t *testing.T, hs *httptest.Server, s *server.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	check.OK(t, s.Shutdown(ctx))
	hs.Close()
}

// wsURL returns the ws or wss URL for an http or https URL.
func wsURL(u string) string { return "ws" + strings.TrimPrefix(u, "http") }

// checkEcho opens a connection, sends a message, and expects its echo.
func checkEcho(t *testing.T, url string, cfg *client.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, url, cfg)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.CloseNow()
	check.OK(t, c.SendText("κόσμε"))
	if m, err := c.Receive(ctx); err != nil || m.Text() != "κόσμε" {
		t.Errorf("got %q, %v", m.Payload, err)
	}
	check.OK(t, c.Close(wire.NormalClosure, ""))
}

func TestMuxWithOtherHandlers(t *testing.T) {
	s := echoServer()
	mux := http.NewServeMux()
	mux.Handle("GET /ws", httpupgrade.Handler(s))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a page") })
	hs := serve(t, mux, s)
	checkEcho(t, wsURL(hs.URL)+"/ws", nil)
	r, err := http.Get(hs.URL + "/")
	check.Must(t, err)
	defer r.Body.Close()
	if body, _ := io.ReadAll(r.Body); string(body) != "a page" {
		t.Errorf("got %q", body)
	}
}

func TestRequestIsAvailableToTheHandler(t *testing.T) {
	s := &server.Server{Subprotocols: []string{"chat"}}
	got := make(chan []string, 1)
	s.Handler.Open = func(c *server.Conn) {
		got <- []string{c.Path(), c.Query(), c.Header().Get("x-token"), c.Subprotocol(), c.Request().Host()}
	}
	hs := serve(t, httpupgrade.Handler(s), s)
	c, err := client.Dial(t.Context(), wsURL(hs.URL)+"/a%2Fb?x=1&y=2", &client.Config{
		Header:       map[string][]string{"X-Token": {"secret"}},
		Subprotocols: []string{"other", "chat"},
	})
	check.Must(t, err)
	defer c.CloseNow()
	want := []string{"/a%2Fb", "x=1&y=2", "secret", "chat", strings.TrimPrefix(hs.URL, "http://")}
	for i, g := range <-got {
		if g != want[i] {
			t.Errorf("got %q, want %q", g, want[i])
		}
	}
}

// wrapped is a ResponseWriter of middleware without Unwrap.
type wrapped struct{ http.ResponseWriter }

// unwrapping is a ResponseWriter of middleware with Unwrap.
type unwrapping struct{ wrapped }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// T-D21: middleware wraps the ResponseWriter.
func TestWrappedResponseWriters(t *testing.T) {
	s := echoServer()
	logged := make(chan error, 10)
	s.Log = func(err error) { logged <- err }
	h := httpupgrade.Handler(s)
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if w = (wrapped{w}); r.URL.Path == "/unwrapping" {
			w = unwrapping{wrapped{unwrapping{w.(wrapped)}}}
		}
		h.ServeHTTP(w, r)
	}), s)
	checkEcho(t, wsURL(hs.URL)+"/unwrapping", nil)
	wantRefused(t, hs, "/wrapped", nil, 500)
	if err := within(t, logged); len(logged) > 0 || !strings.Contains(err.Error(), "httpupgrade_test.wrapped") || !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("logged %v", err)
	}
}

// wantRefused checks that hs refuses a handshake with further fields.
func wantRefused(t *testing.T, hs *httptest.Server, path string, header map[string][]string, status int) {
	t.Helper()
	var refused *client.HandshakeError
	_, err := client.Dial(t.Context(), wsURL(hs.URL)+path, &client.Config{Header: header})
	if !errors.As(err, &refused) || refused.Response.Status != status {
		t.Errorf("answered with %v, want status %d", err, status)
	}
}

// dialRaw connects to a server. The connection is closed when the test ends.
func dialRaw(t *testing.T, url string) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	check.Must(t, err)
	t.Cleanup(func() { nc.Close() })
	return nc, bufio.NewReader(nc)
}

// wantEcho sends a message and reads its echo.
func wantEcho(t *testing.T, nc net.Conn, br *bufio.Reader) {
	t.Helper()
	io.WriteString(nc, "\x81\x85\x00\x00\x00\x00Hello")
	frame := make([]byte, 7)
	if _, err := io.ReadFull(br, frame); err != nil || string(frame) != "\x81\x05Hello" {
		t.Errorf("the echo is %q, %v", frame, err)
	}
}

// exchange sends a request as it is, and returns the connection after the head
// of the response.
func exchange(t *testing.T, url, request string) (*http.Response, *bufio.Reader, net.Conn) {
	t.Helper()
	nc, br := dialRaw(t, url)
	check.Must(t, check.Err(io.WriteString(nc, request)))
	r, err := http.ReadResponse(br, nil)
	check.Must(t, err)
	return r, br, nc
}

// request returns an opening handshake request with changed lines: a line with
// the same field name replaces, "Name:" alone removes, others are added.
func request(changes ...string) string {
	lines := []string{
		"GET / HTTP/1.1", "Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}
next:
	for _, change := range changes {
		name, _, isField := strings.Cut(change, ":")
		for i, line := range lines {
			if isField && strings.HasPrefix(line, name+":") || !isField && i == 0 {
				lines[i] = change
				continue next
			}
		}
		lines = append(lines, change)
	}
	var b strings.Builder
	for _, line := range lines {
		if !strings.HasSuffix(line, ":") {
			b.WriteString(line + "\r\n")
		}
	}
	return b.String() + "\r\n"
}

// Requests are refused with the status and the header fields of package server.
func TestRefusals(t *testing.T) {
	s := &server.Server{Handlers: map[string]*server.Handler{"/": {}}}
	s.Authorize = func(r *handshake.Request, _ *handshake.ServerAnswer) error {
		if r.Header.Get("X-Deny") != "" {
			return &handshake.Error{Status: 401, Header: map[string][]string{"WWW-Authenticate": {"Basic"}}}
		}
		return nil
	}
	refusals := make(chan error, 100)
	s.Log = func(err error) { refusals <- err }
	hs := serve(t, httpupgrade.Handler(s), s)
	for _, c := range []struct {
		id, change, body string
		status           int
		field, value     string
	}{
		{"6455-4.2.1-b", "POST / HTTP/1.1", "", 405, "Allow", "GET"},
		{"6455-4.2.1-f", "Upgrade:", "", 426, "Upgrade", "websocket"},
		{"6455-4.2.1-g", "Connection: keep-alive", "", 400, "", ""},
		{"6455-4.2.1-h", "Sec-WebSocket-Key: short", "", 400, "", ""},
		{"6455-11.3.1-a", "X-Key: 1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", 400, "", ""},
		{"6455-4.2.2-d", "Sec-WebSocket-Version: 25", "", 426, "Sec-WebSocket-Version", "13"},
		{"6455-4.2.2-e", "GET /elsewhere HTTP/1.1", "", 404, "", ""},
		{"6455-10.2-a", "Origin: http://evil.example", "", 403, "", ""},
		{"9110-7.8-f, T-D14", "Content-Length: 6", "\x89\x80\x01\x02\x03\x04", 400, "", ""},
		{"9110-7.8-f", "Transfer-Encoding: chunked", "0\r\n\r\n", 400, "", ""},
		{"9110-7.8-e", "Expect: 100-continue", "", 417, "", ""},
		{"6455-4.2.2-b", "X-Deny: yes", "", 401, "WWW-Authenticate", "Basic"},
	} {
		t.Run(c.id, func(t *testing.T) {
			r, br, nc := exchange(t, hs.URL, request(c.change)+c.body+request())
			if r.StatusCode != c.status || r.Header.Get(c.field) != c.value {
				t.Fatalf("%s, %s is %q, want %d and %q", r.Status, c.field, r.Header.Get(c.field), c.status, c.value)
			}
			body, err := io.ReadAll(r.Body)
			check.OK(t, err)
			if !r.Close || r.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("header %v", r.Header)
			}
			if strings.Contains(string(body), "elsewhere") || strings.Contains(string(body), "evil") {
				t.Errorf("the body contains the request: %q", body)
			}
			nc.SetReadDeadline(time.Now().Add(5 * time.Second))
			// T-E01: bytes after a refused handshake are not answered.
			if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil && !errors.Is(err, net.ErrClosed) && !isReset(err) {
				t.Errorf("afterwards %q, %v", rest, err)
			}
			var refused *server.RefusedError
			if err := within(t, refusals); len(refusals) > 0 || !errors.As(err, &refused) || !strings.HasPrefix(refused.RemoteAddr.String(), "127.0.0.1:") {
				t.Errorf("logged %v", err)
			}
		})
	}
}

// isReset reports whether err is a reset, which net/http causes if it closes
// with input unread.
func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// 9110-7.8-g: a 426 response names the protocol, also in Connection, and the
// connection ends nevertheless.
func TestUpgradeRequired(t *testing.T) {
	s := echoServer()
	hs := serve(t, httpupgrade.Handler(s), s)
	nc, _ := dialRaw(t, hs.URL)
	io.WriteString(nc, request("Upgrade: h2c"))
	answer, err := io.ReadAll(nc) // until the end
	check.OK(t, err)
	for _, want := range []string{"HTTP/1.1 426 ", "\r\nUpgrade: websocket\r\n", "\r\nConnection: close\r\n", "\r\nConnection: Upgrade\r\n"} {
		if !strings.Contains(string(answer), want) {
			t.Errorf("%q is missing in %q", want, answer)
		}
	}
}

// 6455-4.2.2-n: the timeouts of net/http end with the handshake.
func TestTimeoutsOfTheHTTPServerEndWithTheHandshake(t *testing.T) {
	s := echoServer()
	late := make(chan bool, 1)
	s.Handler.Serve = func(c *server.Conn) {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_, err := c.Receive(ctx)
		late <- errors.Is(err, context.DeadlineExceeded) && c.SendText("still here") == nil
		c.Receive(context.Background())
	}
	hs := httptest.NewUnstartedServer(httpupgrade.Handler(s))
	hs.Config.ReadTimeout = 50 * time.Millisecond
	hs.Config.WriteTimeout = 50 * time.Millisecond
	hs.Config.IdleTimeout = 50 * time.Millisecond
	hs.Start()
	defer stop(t, hs, s)
	c, err := client.Dial(t.Context(), wsURL(hs.URL), nil)
	check.Must(t, err)
	defer c.CloseNow()
	if !<-late {
		t.Error("the connection did not outlive the server's timeouts")
	}
	if m, err := c.Receive(t.Context()); err != nil || m.Text() != "still here" {
		t.Errorf("got %q, %v", m.Payload, err)
	}
}

// behindProxy starts the proxy of the standard library in front of hs.
func behindProxy(t *testing.T, hs *httptest.Server) *httptest.Server {
	target, err := url.Parse(hs.URL)
	check.Must(t, err)
	transport := new(http.Transport)
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
	})
	t.Cleanup(func() {
		proxy.Close()
		transport.CloseIdleConnections()
	})
	return proxy
}

// T-E05: behind the proxy of the standard library.
func TestBehindReverseProxy(t *testing.T) {
	s := echoServer()
	s.Origins = []string{"*"}
	checkEcho(t, wsURL(behindProxy(t, serve(t, httpupgrade.Handler(s), s)).URL), nil)
}

// T-F08: http.CrossOriginProtection admits every GET; a handshake is checked
// nevertheless.
func TestOriginIsCheckedBehindCrossOriginProtection(t *testing.T) {
	s := echoServer()
	hs := serve(t, http.NewCrossOriginProtection().Handler(httpupgrade.Handler(s)), s)
	checkEcho(t, wsURL(hs.URL), nil)
	wantRefused(t, hs, "", map[string][]string{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, 403)
}

// The client disconnects between its request and the response (T-D11).
func TestClientThatVanishesDuringTheHandshake(t *testing.T) {
	s := echoServer()
	held, release := make(chan bool), make(chan bool)
	s.Authorize = func(*handshake.Request, *handshake.ServerAnswer) error {
		held <- true
		<-release
		return nil
	}
	ended := make(chan wire.StatusCode, 1)
	s.Handler.Close = func(_ *server.Conn, code wire.StatusCode, _ string) { ended <- code }
	hs := serve(t, httpupgrade.Handler(s), s)
	nc, _ := dialRaw(t, hs.URL)
	io.WriteString(nc, request())
	<-held
	nc.(*net.TCPConn).SetLinger(0)
	nc.Close()
	close(release)
	for range s.Conns() { // the server may notice it before or after Open
		if code := <-ended; code != wire.AbnormalClosure {
			t.Errorf("closed with %v", code)
		}
	}
}
