package httpupgrade_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// Header fields that middleware sets on the http.ResponseWriter, such as
// cookies and request identifiers, are sent with the 101 response. They used to
// be lost (gammazero/nexus#83, oven-sh/bun#23474, vulcand/oxy#137). They cannot
// change the fields of the handshake (6455-4.2.2-o).
func TestFieldsOfTheResponseWriterAreSent(t *testing.T) {
	s := echoServer()
	s.Authorize = func(_ *handshake.Request, a *handshake.ServerAnswer) error {
		a.Header = map[string][]string{"Set-Cookie": {"b=2"}, "X-Both": {"authorize"}}
		return nil
	}
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		h := w.Header()
		for name, value := range map[string]string{
			"X-Request-Id": "42", "X-Both": "middleware", "x-raw": "as it is",
			"Connection": "close", "Upgrade": "h2c", "Sec-WebSocket-Accept": "x", "sec-websocket-protocol": "x", "Sec-Websocket-Extensions": "x",
			"Content-Length": "5", "Transfer-Encoding": "chunked", "Trailer": "X", "Keep-Alive": "timeout=5", "Content-Encoding": "gzip", "Content-Type": "text/html",
			http.TrailerPrefix + "X": "y", "no name": "x",
		} {
			h[name] = []string{value}
		}
		check.OK(t, httpupgrade.Upgrade(s, w, r, nil))
	}), s)
	r, br, nc := exchange(t, hs.URL, request()+"\x81\x85\x00\x00\x00\x00Hello\x88\x80\x00\x00\x00\x00")
	defer nc.Close()
	want := http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		"Set-Cookie": {"b=2", "a=1"}, "X-Both": {"authorize"}, "X-Request-Id": {"42"}, "X-Raw": {"as it is"},
	}
	if r.StatusCode != 101 || len(r.Header) != len(want) {
		t.Errorf("%s, %v", r.Status, r.Header)
	}
	for name, values := range want {
		if !slices.Equal(r.Header[name], values) {
			t.Errorf("%s is %q, want %q", name, r.Header[name], values)
		}
	}
	if got, err := io.ReadAll(br); string(got) != "\x81\x05Hello\x88\x00" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
}

// A field that cannot be sent ends the handshake, like one set by Authorize
// (T-D17, T-D18).
func TestFieldOfTheResponseWriterThatCannotBeSent(t *testing.T) {
	s := echoServer()
	var log []error
	s.Log = func(err error) { log = append(log, err) }
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X", "a\r\nY: b")
		httpupgrade.Upgrade(s, w, r, nil)
	}), s)
	r, br, _ := exchange(t, hs.URL, request())
	io.Copy(io.Discard, r.Body)
	if rest, err := io.ReadAll(br); r.StatusCode != 500 || r.Header.Get("Y") != "" || len(rest) > 0 || err != nil {
		t.Errorf("%s, %v, then %q, %v", r.Status, r.Header, rest, err)
	}
	if len(log) != 1 || !strings.Contains(log[0].Error(), `cannot send "X"`) {
		t.Errorf("logged %q", log)
	}
}

// A request without the fields of an opening handshake is answered and not
// reported. The response says that the endpoint speaks WebSocket.
func TestPlainHTTPIsNotReported(t *testing.T) {
	s := echoServer()
	var log []error
	s.Log = func(err error) { log = append(log, err) }
	hs := serve(t, httpupgrade.Handler(s), s)
	for method, want := range map[string]string{"GET": "Upgrade Required: this is a WebSocket endpoint\n", "HEAD": "", "POST": "Method Not Allowed\n"} {
		r, err := http.NewRequest(method, hs.URL, nil)
		check.Must(t, err)
		resp, err := http.DefaultClient.Do(r)
		check.Must(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != want || err != nil {
			t.Errorf("%s: %s, %q, %v", method, resp.Status, body, err)
		}
	}
	if len(log) > 0 {
		t.Errorf("logged %q", log)
	}
}

// The refusal of a handshake over HTTP/2, as sent by curl, names the supported
// protocol and the way to change it. Its text used to name neither
// (gorilla/websocket#663, gin-gonic/gin#613).
func TestHandshakeOverHTTP2IsExplained(t *testing.T) {
	s := echoServer()
	var log []error
	s.Log = func(err error) { log = append(log, err) }
	hs := serveHTTP2(t, s)
	r, err := http.NewRequest("GET", hs.URL, nil)
	check.Must(t, err)
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	resp, err := hs.Client().Do(r)
	check.Must(t, err)
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 505 || string(body) != "HTTP Version Not Supported: this is a WebSocket endpoint over HTTP/1.1\n" || err != nil {
		t.Errorf("%s, %q, %v", resp.Status, body, err)
	}
	if len(log) != 1 || !strings.Contains(log[0].Error(), `remove "h2" from NextProtos`) {
		t.Errorf("logged %q", log)
	}
}

// A malformed pattern is reported with every handshake that it refuses.
func TestMalformedPatternIsReported(t *testing.T) {
	s := echoServer()
	s.Origins = []string{"https://app.example/"}
	var log []error
	s.Log = func(err error) { log = append(log, err) }
	hs := serve(t, httpupgrade.Handler(s), s)
	r, _, _ := exchange(t, hs.URL, request("Origin: https://app.example"))
	if r.StatusCode != 500 || len(log) != 2 || !strings.Contains(log[0].Error(), `origin pattern "https://app.example/": an origin has no path`) {
		t.Errorf("%s, logged %q", r.Status, log)
	}
}
