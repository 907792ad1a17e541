package httpupgrade_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

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
				io.WriteString(nc, "\x81\x85\x00\x00\x00\x00Hello")
				frame := make([]byte, 7)
				if _, err := io.ReadFull(br, frame); err != nil || string(frame) != "\x81\x05Hello" {
					t.Errorf("the echo is %q, %v", frame, err)
				}
			}
			nc.Close()
			<-sent
		})
	}
}
