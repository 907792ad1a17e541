package httpupgrade_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// Authorize returns the refusal that replaces the 101 response (6455-4.2.2-b).
// As in package server, an empty or invalid response is replaced by 500
// (6455-4.2.2-o, T-D17).
func TestAuthorizeRefuses(t *testing.T) {
	refuseWith := func(status int) func(*handshake.Request, *handshake.ServerAnswer) error {
		return func(*handshake.Request, *handshake.ServerAnswer) error {
			return &handshake.Error{Status: status, Header: map[string][]string{"location": {"/login"}}}
		}
	}
	for _, tt := range []struct {
		name      string
		authorize func(*handshake.Request, *handshake.ServerAnswer) error
		status    int
	}{
		{"a redirect", refuseWith(302), 302},
		{"no status", refuseWith(0), 500},
		{"a status that is no refusal (T-E03)", refuseWith(101), 500},
		{"another (T-E03)", refuseWith(200), 500},
		{"a status that has no body", refuseWith(304), 500},
		{"a status beyond all", refuseWith(1000), 500},
		{"any other error", func(*handshake.Request, *handshake.ServerAnswer) error { return io.EOF }, 403},
		{"a header value with a line end", func(_ *handshake.Request, a *handshake.ServerAnswer) error {
			a.Header = map[string][]string{"X": {"a\r\nY: b"}}
			return nil
		}, 500},
		{"a panic (T-H10)", func(*handshake.Request, *handshake.ServerAnswer) error { panic("<secret>") }, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := echoServer()
			s.Authorize, s.Log = tt.authorize, func(error) {}
			hs := serve(t, httpupgrade.Handler(s), s)
			r, br, _ := exchange(t, hs.URL, request())
			body, err := io.ReadAll(r.Body)
			if r.StatusCode != tt.status || string(body) != http.StatusText(tt.status)+"\n" || err != nil {
				t.Errorf("%s, %q, %v, want %d", r.Status, body, err, tt.status)
			}
			if location := r.Header.Get("Location"); tt.status == 302 && location != "/login" {
				t.Errorf("Location is %q", location)
			}
			if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
				t.Errorf("afterwards %q, %v", rest, err)
			}
		})
	}
}

// Without a Log, a connection that cannot be taken over is reported to the
// standard logger (T-D21): the application has to change.
func TestConnectionThatCannotBeTakenOver(t *testing.T) {
	var logged bytes.Buffer
	defer log.SetOutput(log.Writer())
	log.SetOutput(&logged)
	s := echoServer()
	r := httptest.NewRequest("GET", "/", nil)
	for _, line := range strings.Split(strings.TrimSpace(request()), "\r\n")[2:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	for name, h := range map[string]http.Handler{
		"a recorder":          httpupgrade.Handler(s),
		"http.TimeoutHandler": http.TimeoutHandler(httpupgrade.Handler(s), time.Minute, ""),
	} {
		logged.Reset()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 500 || w.Body.String() != "Internal Server Error\n" {
			t.Errorf("%s: answered with %d and %q", name, w.Code, w.Body)
		}
		if !strings.Contains(logged.String(), "websocket: cannot take over the connection from a *") {
			t.Errorf("%s: logged %q", name, &logged)
		}
	}
}

// A request over HTTP/2 has no connection to take over (8441-5-g, T-E12). Its
// refusal ends one stream. The connection and the other streams stay open.
func TestRefusalOverHTTP2EndsNothingElse(t *testing.T) {
	s := echoServer()
	hs := serveHTTP2(t, s)
	for i := range 3 {
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
		r, err := http.NewRequestWithContext(ctx, "GET", hs.URL, nil)
		check.Must(t, err)
		resp, err := hs.Client().Do(r)
		check.Must(t, err)
		check.OK(t, check.Err(io.Copy(io.Discard, resp.Body)))
		resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != 505 || reused != (i > 0) {
			t.Errorf("request %d: %s, %s, over the connection of the one before: %v", i, resp.Proto, resp.Status, reused)
		}
	}
}

// serveHTTP2 serves s over HTTP/2.
func serveHTTP2(t *testing.T, s *server.Server) *httptest.Server {
	hs := httptest.NewUnstartedServer(httpupgrade.Handler(s))
	hs.EnableHTTP2 = true
	hs.TLS = &tls.Config{}
	hs.StartTLS()
	t.Cleanup(func() {
		hs.Client().CloseIdleConnections()
		stop(t, hs, s)
	})
	return hs
}

// A proxy that has forwarded a refusal has no tunnel (T-E01).
func TestRefusalBehindReverseProxy(t *testing.T) {
	s := echoServer()
	proxy := behindProxy(t, serve(t, httpupgrade.Handler(s), s))
	r, br, nc := exchange(t, proxy.URL, request("Origin: https://evil.example")+"\x81\x85\x00\x00\x00\x00Hello\r\n\r\n") // to the proxy, a request that makes no sense
	if r.StatusCode != 403 {
		t.Errorf("answered with %s", r.Status)
	}
	check.OK(t, check.Err(io.Copy(io.Discard, r.Body)))
	nc.SetReadDeadline(time.Now().Add(10 * time.Second)) // the proxy closes at once
	if rest, _ := io.ReadAll(br); bytes.Contains(rest, []byte("\x81\x05Hello")) {
		t.Errorf("a frame behind it was answered: %q", rest)
	}
}

// The request and the first frame arrive in any pieces, also in one
// (6455-4.2.2-m).
func TestRequestAndFrameMayArriveInAnyPieces(t *testing.T) {
	s := echoServer()
	hs := serve(t, httpupgrade.Handler(s), s)
	all := request() + "\x81\x85\x00\x00\x00\x00Hello" + "\x88\x80\x00\x00\x00\x00"
	for cut := range all {
		nc, br := dialRaw(t, hs.URL)
		io.WriteString(nc, all[:cut])
		io.WriteString(nc, all[cut:])
		if r, err := http.ReadResponse(br, nil); err != nil || r.StatusCode != 101 {
			t.Fatalf("cut at %d: %v, %v", cut, r, err)
		}
		if got, err := io.ReadAll(br); string(got) != "\x81\x05Hello\x88\x00" || err != nil {
			t.Fatalf("cut at %d: received %q, %v", cut, got, err)
		}
		nc.Close()
	}
}

// net/http accepts many invalid opening handshakes, or changes them. The
// requests that net/http refuses itself are in the list too, in case it accepts
// them in future.
func TestRequestsThatNetHTTPLetsPass(t *testing.T) {
	s := echoServer()
	s.Log = func(error) {}
	hs := serve(t, httpupgrade.Handler(s), s)
	absolute := func(changes ...string) string {
		return strings.Replace(request(changes...), "GET /", "GET http://example.com/", 1)
	}
	for _, tt := range []struct {
		name    string
		request string
		status  int
	}{
		{"6455-4.2.1-b: the method in small letters", request("get / HTTP/1.1"), 405},
		{"6455-4.2.1-c, 9110-7.8-a: HTTP/1.0", request("GET / HTTP/1.0"), 505},
		{"6455-4.2.1-c: HTTP/1.2", request("GET / HTTP/1.2"), 101},
		{"6455-4.2.1-c: HTTP/2.0 in a line", request("GET / HTTP/2.0"), 505},
		{"6455-4.2.1-d: an absolute target", absolute(), 101},
		{"6455-4.2.1-d, 6455-10.2-a: whose authority is ours, not Host's",
			absolute("Host: other.example", "Origin: http://example.com"), 101},
		{"6455-4.2.1-d, 6455-10.2-a: nor is an origin Host's",
			absolute("Host: other.example", "Origin: http://other.example"), 403},
		{"6455-4.2.1-e: an empty Host", request("Host: "), 400},
		{"6455-4.2.1-e, 9112-3.2-a: no Host", request("Host:"), 400},
		{"6455-4.2.1-e, 9112-3.2-a: two Hosts", request("X: x\r\nHost: example.com"), 400},
		{"6455-4.2.1-f: Upgrade in a list over two lines", request("Upgrade: h2c\r\nUpgrade: websocket"), 101},
		{"6455-4.2.1-g: Connection in a list over two lines", request("Connection: keep-alive\r\nConnection: x, Upgrade"), 101},
		{"6455-4.2.1-j: no version", request("Sec-WebSocket-Version:"), 426},
		{"6455-4.3-b: a version with a leading zero", request("Sec-WebSocket-Version: 013"), 426},
		{"6455-11.3.5-a: two versions", request("X: x\r\nSec-WebSocket-Version: 13"), 400},
		{"6455-11.3.1-a: two keys", request("X: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400},
		{"6455-4.2.1-l: a malformed subprotocol", request("Sec-WebSocket-Protocol: a b"), 400},
		{"6455-4.2.1-m: a malformed extension", request("Sec-WebSocket-Extensions: ;="), 400},
		{"6455-8.1-g: a subprotocol that is not ASCII", request("Sec-WebSocket-Protocol: \xff"), 400},
		{"6455-4.2.1-n: a byte of no meaning in an unknown field", request("X: \xff"), 101},
		{"9112-5.1-a: white space before a colon", request("Upgrade : websocket"), 400},
		{"9112-5.2-a: a folded line, which net/http joins", request("Connection: keep-alive,\r\n Upgrade"), 101},
		{"9112-2.2-a: a bare CR", request("X: a\rb"), 400},
		{"9112-2.2-a: lines that end in LF alone", strings.ReplaceAll(request(), "\r\n", "\n"), 101},
		{"a NUL in a value", request("X: a\x00b"), 400},
		{"9112-6.3-a: a body of two lengths", request("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", 400},
		{"9112-3-a: header fields over a MiB", request("X: " + strings.Repeat("x", 2<<20)), 431},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nc, br := dialRaw(t, hs.URL)
			sent := make(chan struct{})
			go func() { // another goroutine, because an answer may arrive before the whole request is sent
				defer close(sent)
				io.WriteString(nc, tt.request)
			}()
			r, err := http.ReadResponse(br, nil)
			check.Must(t, err)
			if r.StatusCode != tt.status {
				t.Errorf("answered with %s, want %d", r.Status, tt.status)
			}
			nc.SetDeadline(time.Now().Add(10 * time.Second))
			if r.StatusCode == 101 {
				<-sent
				wantEcho(t, nc, br)
			}
			nc.Close()
			<-sent
		})
	}
}
