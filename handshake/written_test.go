package handshake_test

import (
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// TestRequestIsWrittenLineByLine checks one and two extensions, and additional
// fields whose names resemble those of the handshake: each field once, no
// Origin, nothing after the blank line (6455-4.1-h,i,j,k,l,m,n,q).
func TestRequestIsWrittenLineByLine(t *testing.T) {
	const before = "GET /chat HTTP/1.1\r\n" +
		"Host: server.example.com\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + sampleKey + "\r\n" +
		"Sec-WebSocket-Version: 13\r\n"
	for _, tt := range []struct {
		change func(o *handshake.ClientOffer)
		want   string
	}{
		{func(o *handshake.ClientOffer) {}, ""},
		{func(o *handshake.ClientOffer) { o.Subprotocols = []string{"a"} }, "Sec-WebSocket-Protocol: a\r\n"},
		{func(o *handshake.ClientOffer) { o.Subprotocols = []string{"b", "a"} }, "Sec-WebSocket-Protocol: b, a\r\n"},
		{func(o *handshake.ClientOffer) { o.Extensions = extensions{extension("foo")} }, "Sec-WebSocket-Extensions: foo\r\n"},
		{func(o *handshake.ClientOffer) {
			o.Extensions = extensions{extension("foo", flag("a"), param("b", "1")), extension("bar")}
		},
			"Sec-WebSocket-Extensions: foo; a; b=1, bar\r\n"},
		{func(o *handshake.ClientOffer) {
			o.Header = map[string][]string{
				"Sec-WebSocket": {"1"}, "Sec-WebSockets-A": {"2"}, "X-WebSocket-Key-Of-Ours": {"3"}, "Access-Control-Request-Method": {"4", "5"}, "Hosts": {"6"},
			}
		}, "Access-Control-Request-Method: 4\r\nAccess-Control-Request-Method: 5\r\nHosts: 6\r\nSec-WebSocket: 1\r\nSec-WebSockets-A: 2\r\nX-WebSocket-Key-Of-Ours: 3\r\n"},
	} {
		o := &handshake.ClientOffer{Host: "server.example.com", Target: "/chat", Key: sampleKey}
		tt.change(o)
		if got, err := handshake.AppendRequest([]byte("before "), o); err != nil || string(got) != "before "+before+tt.want+"\r\n" {
			t.Errorf("%+v is written %q, %v; want %q at its end", o, got, err, tt.want)
		}
	}
	for _, name := range []string{"Sec-WebSocket-", "sec-websocket-", "SEC-WEBSOCKET-X"} {
		o := &handshake.ClientOffer{Host: "h", Target: "/", Key: sampleKey, Header: map[string][]string{name: {"x"}}}
		if got, err := handshake.AppendRequest(nil, o); err == nil || got != nil {
			t.Errorf("the field %q is written: %q", name, got)
		}
	}
}

// TestVersionsOfHTTP checks the version of a response, also of one without a
// parser.
func TestVersionsOfHTTP(t *testing.T) {
	r := parseResponse(t, head("HTTP/1.1 101 Switching Protocols", responseFields...))
	for version, ok := range map[string]bool{
		"HTTP/1.1": true, "HTTP/1.2": true, "HTTP/1.9": true,
		"": false, "HTTP/1.": false, "HTTP/1.0": false, "HTTP/1./": false, "HTTP/1.:": false, "HTTP/1.x": false, "HTTP/1.11": false,
		"HTTP/2.1": false, "HTTP/0.9": false, "http/1.1": false, "HTTP/1,1": false, "xHTTP/1.1": false, "HTTP/1.\xff": false,
	} {
		r.Proto = version
		if _, err := handshake.ValidateResponse(r, sampleOffer()); (err == nil) != ok {
			t.Errorf("%q: %v", version, err)
		}
	}
}
