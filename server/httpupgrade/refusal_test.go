package httpupgrade_test

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
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

// A refusal over HTTP/2 ends one stream. The connection and the other streams
// stay open.
func TestRefusalOverHTTP2EndsNothingElse(t *testing.T) {
	s := echoServer()
	hs := httptest.NewUnstartedServer(httpupgrade.Handler(s))
	hs.EnableHTTP2 = true
	hs.StartTLS()
	defer stop(t, hs, s)
	defer hs.Client().CloseIdleConnections()
	for i := range 3 {
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
		r, err := http.NewRequestWithContext(ctx, "GET", hs.URL, nil)
		check.Must(t, err)
		resp, err := hs.Client().Do(r)
		check.Must(t, err)
		check.OK(t, check.Err(io.Copy(io.Discard, resp.Body)))
		resp.Body.Close()
		if resp.ProtoMajor != 2 || reused != (i > 0) {
			t.Errorf("request %d: %s, over the connection of the one before: %v", i, resp.Proto, reused)
		}
	}
}

// A proxy that has forwarded a refusal has no tunnel (T-E01).
func TestRefusalBehindReverseProxy(t *testing.T) {
	s := echoServer()
	hs := serve(t, httpupgrade.Handler(s), s)
	target, err := url.Parse(hs.URL)
	check.Must(t, err)
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
	})
	defer proxy.Close()
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

// The request and the first frame arrive in any pieces (6455-4.2.2-m).
func TestRequestAndFrameMayArriveInAnyPieces(t *testing.T) {
	s := echoServer()
	hs := serve(t, httpupgrade.Handler(s), s)
	all := request() + "\x81\x85\x00\x00\x00\x00Hello" + "\x88\x80\x00\x00\x00\x00"
	for cut := range all {
		if cut == 0 {
			continue
		}
		nc, err := net.Dial("tcp", strings.TrimPrefix(hs.URL, "http://"))
		check.Must(t, err)
		io.WriteString(nc, all[:cut])
		io.WriteString(nc, all[cut:])
		br := bufio.NewReader(nc)
		if r, err := http.ReadResponse(br, nil); err != nil || r.StatusCode != 101 {
			t.Fatalf("cut at %d: %v, %v", cut, r, err)
		}
		got, err := io.ReadAll(br)
		if string(got) != "\x81\x05Hello\x88\x00" || err != nil {
			t.Fatalf("cut at %d: received %q, %v", cut, got, err)
		}
		nc.Close()
	}
}
