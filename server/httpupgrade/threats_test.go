package httpupgrade_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// logged sends one request, which must be refused, and returns its status and
// the text of its report.
func logged(t *testing.T, s *server.Server, h http.Handler, request string) (status int, text string) {
	t.Helper()
	errs := make(chan error, 10)
	s.Log = func(err error) { errs <- err }
	hs := serve(t, h, s)
	r, br, _ := exchange(t, hs.URL, request)
	if _, err := io.Copy(io.Discard, br); err != nil && !isReset(err) { // until the server has closed
		t.Error(err)
	}
	close(errs)
	var lines []string
	for err := range errs {
		lines = append(lines, err.Error())
	}
	return r.StatusCode, strings.Join(lines, "; ")
}

// T-H06: middleware may copy a client's address from a header field. Reports
// quote it if it is no address, like all text of a client.
func TestReportsCannotBeWrittenByClients(t *testing.T) {
	behindProxy := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if from := r.Header.Get("X-Forwarded-For"); from != "" {
				r.RemoteAddr = from
			}
			h.ServeHTTP(w, r)
		})
	}
	for _, tt := range []struct {
		name, line string
		want       string
	}{
		{"an address", "X-Forwarded-For: 192.0.2.1", "handshake with 192.0.2.1 refused"},
		{"an IPv6 address with a zone and a port", "X-Forwarded-For: [fe80::1%eth0]:99", "handshake with [fe80::1%eth0]:99 refused"},
		{"an escape sequence", "X-Forwarded-For: \u009b31m", `handshake with "\u009b31m" refused`},
		{"bytes that are no text", "X-Forwarded-For: \xff", `handshake with "\xff" refused`},
		{"quotes", `X-Forwarded-For: 192.0.2.1" refused`, `handshake with "192.0.2.1\" refused" refused`},
		{"a long one", "X-Forwarded-For: " + strings.Repeat("9", 1000), `"` + strings.Repeat("9", 100) + `" refused`},
		{"an Origin", "Origin: http://h/\u009b31m", `Origin "http://h/\u009b31m"`},
		{"a key", "Sec-WebSocket-Key: \u202ex", `Sec-WebSocket-Key "\u202ex"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := echoServer()
			s.Authorize = func(*handshake.Request, *handshake.ServerAnswer) error { return errors.New("no") }
			if _, text := logged(t, s, behindProxy(httpupgrade.Handler(s)), request(tt.line)); !strings.Contains(text, tt.want) {
				t.Errorf("reported %q, want %q", text, tt.want)
			}
		})
	}
}

// T-F12: reports contain neither the query nor the subprotocols of a request.
func TestReportsHoldNoTokens(t *testing.T) {
	for _, changes := range [][]string{
		{"GET /ws?token=SECRET HTTP/1.1", "Sec-WebSocket-Version: 12"},
		{"GET /ws?token=SECRET HTTP/1.1", "Origin: http://evil.example", "Cookie: session=SECRET", "Authorization: Bearer SECRET"},
		{"GET /elsewhere?token=SECRET HTTP/1.1"},
		{"Sec-WebSocket-Protocol: bearer, SECRET="},
	} {
		s := echoServer()
		s.Handlers, s.Handler = map[string]*server.Handler{"/ws": {Message: s.Handler.Message}}, server.Handler{}
		if status, text := logged(t, s, httpupgrade.Handler(s), request(changes...)); status < 400 || !strings.Contains(text, "refused") || strings.Contains(text, "SECRET") {
			t.Errorf("%q: %d, reported %q", changes, status, text)
		}
	}
}

// T-F07: a request names the host to which its browser connects.
func TestRequestsForOtherHostsAreRefused(t *testing.T) {
	s := echoServer()
	s.Hosts = []string{"127.0.0.1", "localhost"}
	hs := serve(t, httpupgrade.Handler(s), s)
	checkEcho(t, wsURL(hs.URL), nil)
	rebound := strings.TrimPrefix(hs.URL, "http://127.0.0.1")
	r, _, _ := exchange(t, hs.URL, request("Host: evil.example"+rebound, "Origin: http://evil.example"+rebound))
	if r.StatusCode != 421 {
		t.Errorf("answered with %s", r.Status)
	}
}

// T-D20: a handler that authorizes before the WebSocket handler also authorizes
// every upgrade, for all spellings of the request.
func TestMiddlewareRunsFirst(t *testing.T) {
	s := echoServer()
	mux := http.NewServeMux()
	mux.Handle("/private/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "right" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		httpupgrade.Handler(s).ServeHTTP(w, r)
	}))
	hs := serve(t, mux, s)
	for _, target := range []string{"/private/", "/private/ws", "//private/ws", "/x/../private/ws", "/%70rivate/ws", "http://example.com/private/ws", "/private/ws?x", "/PRIVATE/ws"} {
		r, _, nc := exchange(t, hs.URL, request(fmt.Sprintf("GET %s HTTP/1.1", target)))
		if r.StatusCode == 101 || r.StatusCode < 300 {
			t.Errorf("%s: %s", target, r.Status)
		}
		nc.Close()
	}
	r, _, nc := exchange(t, hs.URL, request("GET /private/ws HTTP/1.1", "Authorization: Basic dTpyaWdodA=="))
	defer nc.Close()
	if r.StatusCode != 101 {
		t.Errorf("with the right password: %s", r.Status)
	}
}

// T-D22, T-D13: a handler that writes after the upgrade, and a client that
// sends a second handshake, cause no second response on the connection.
func TestNothingIsAnsweredTwice(t *testing.T) {
	s := echoServer()
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpupgrade.Handler(s).ServeHTTP(w, r)
		if _, err := io.WriteString(w, "HTTP again"); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("writing behind the upgrade: %v", err)
		}
	}), s)
	r, br, nc := exchange(t, hs.URL, request()+request())
	if r.StatusCode != 101 {
		t.Fatal(r.Status)
	}
	nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	rest, err := io.ReadAll(br)
	if !strings.HasPrefix(string(rest), "\x88") || !strings.HasPrefix(string(rest[2:]), "\x03\xea") || strings.Contains(string(rest), "HTTP") || err != nil && !isReset(err) {
		t.Errorf("received %q, %v after the 101; want a Close with 1002", rest, err)
	}
}
