package handshake_test

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

func sampleOffer() *handshake.ClientOffer {
	return &handshake.ClientOffer{Host: "server.example.com", Target: "/chat", Key: sampleKey}
}

// 6455-4.1-o, 6455-4.1-p, 6455-4.1-m: a request with all optional fields has a
// fixed order.
func TestRequestOfAFullOffer(t *testing.T) {
	o := sampleOffer()
	o.Host = "[::1]:81"
	o.Target = "/a%2Fb?x=1"
	o.Subprotocols = []string{"v2.chat+json", "chat"}
	o.Extensions = extensions{extension("permessage-deflate", flag("client_max_window_bits")), extension("x", param("y", "1"))}
	o.Header = http.Header{"X-B": {"1", "2"}, "Origin": {"http://h"}, "Cookie": {"a=b; c=d"}, "X-Empty": {""}, "x-none": nil, "X-A": {"\tü\xff "}}
	want := head("GET /a%2Fb?x=1 HTTP/1.1", append(replace(requestFields[1:], "-"),
		"Sec-WebSocket-Protocol: v2.chat+json, chat",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x; y=1",
		"Cookie: a=b; c=d", "Origin: http://h", "X-A: \tü\xff ", "X-B: 1", "X-B: 2", "X-Empty: ")...)
	want = strings.Replace(want, "Upgrade:", "Host: [::1]:81\r\nUpgrade:", 1)
	for range 20 {
		got, err := handshake.AppendRequest(nil, o)
		if err != nil || string(got) != want {
			t.Fatalf("AppendRequest = %q, %v; want %q", got, err, want)
		}
	}
	u, err := handshake.ValidateRequest(parseRequest(t, want))
	if err != nil || u.Key != o.Key || !reflect.DeepEqual(u.Subprotocols, o.Subprotocols) || !reflect.DeepEqual(u.Extensions, o.Extensions) {
		t.Errorf("the server reads %+v, %v", u, err)
	}
}

// injections are invalid in every part of a header field and a start line.
var injections = []string{"a\r\nX: y", "a\nX: y", "a\rX: y", "a\r\n\r\nb", "\r\n", "a\x00b", "a\x7f", "\x1b[2J"}

// 6455-4.1-o, 6455-4.1-p, T-D17: a request with an invalid value is not
// written.
func TestOffersThatMayNotBeSent(t *testing.T) {
	type change = func(o *handshake.ClientOffer)
	host := func(s string) change { return func(o *handshake.ClientOffer) { o.Host = s } }
	target := func(s string) change { return func(o *handshake.ClientOffer) { o.Target = s } }
	key := func(s string) change { return func(o *handshake.ClientOffer) { o.Key = s } }
	subprotocols := func(s ...string) change { return func(o *handshake.ClientOffer) { o.Subprotocols = s } }
	extend := func(e ...handshake.Extension) change { return func(o *handshake.ClientOffer) { o.Extensions = e } }
	field := func(name, value string) change {
		return func(o *handshake.ClientOffer) { o.Header = map[string][]string{"X-A": {"b"}, name: {"ok", value}} }
	}
	type test struct {
		rule  string
		field string // of the error
		change
	}
	cases := []test{
		{"no host", "Host", host("")},
		{"6455-3-e userinfo in the host", "Host", host("u:p@h")},
		{"host and path", "Host", host("h/x")},
		{"6455-3-f zone in the host", "Host", host("[fe80::1%25eth0]")},
		{"6455-11.1-a host not ASCII", "Host", host("bücher")},
		{"no target", "request target", target("")},
		{"target without slash", "request target", target("chat")},
		{"6455-4.1-i absolute target", "request target", target("http://h/")},
		{"space in the target", "request target", target("/a b")},
		{"6455-3-d fragment", "request target", target("/a#b")},
		{"6455-11.1-a target not ASCII", "request target", target("/ü")},
		{"6455-4.1-l no key", "Sec-WebSocket-Key", key("")},
		{"6455-4.1-l short key", "Sec-WebSocket-Key", key("AAAA")},
		{"6455-4.1-o two words", "Sec-WebSocket-Protocol", subprotocols("a b")},
		{"6455-4.1-o two names in one", "Sec-WebSocket-Protocol", subprotocols("a,b")},
		{"6455-4.1-o empty name", "Sec-WebSocket-Protocol", subprotocols("a", "")},
		{"6455-4.1-o not ASCII", "Sec-WebSocket-Protocol", subprotocols("é")},
		{"6455-4.1-o WHATWG-6 the same twice", "Sec-WebSocket-Protocol", subprotocols("x", "y", "x")},
		{"extension without name", "Sec-WebSocket-Extensions", extend(handshake.Extension{})},
		{"extension with a list", "Sec-WebSocket-Extensions", extend(extension("a"), extension("b, c"))},
		{"parameter with a list", "Sec-WebSocket-Extensions", extend(extension("a", param("b", "c; d")))},
		{"value outside a token", "Sec-WebSocket-Extensions", extend(extension("a", param("b", "")))},
		{"empty name", "", field("", "x")},
		{"name with space", "X A", field("X A", "x")},
		{"name with colon", "X:", field("X:", "x")},
		{"name not ASCII", "Ü", field("Ü", "x")},
	}
	for _, name := range []string{"Host", "host", "UPGRADE", "Connection", "Sec-WebSocket-Key", "Sec-Websocket-Key", "sec-websocket-version",
		"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Accept", "Sec-WebSocket-X", "Content-Length", "transfer-encoding"} {
		cases = append(cases, test{"6455-4.1-p the handshake's own " + name, name, field(name, "x")})
	}
	for _, s := range injections {
		cases = append(cases,
			test{"T-D17 in the host", "Host", host(s)},
			test{"T-D17 in the target", "request target", target("/" + s)},
			test{"T-D17 in the key", "Sec-WebSocket-Key", key((s + sampleKey)[:24])},
			test{"T-D17 in a subprotocol", "Sec-WebSocket-Protocol", subprotocols(s)},
			test{"T-D17 in an extension", "Sec-WebSocket-Extensions", extend(extension(s))},
			test{"T-D17 in a parameter", "Sec-WebSocket-Extensions", extend(extension("a", flag(s)))},
			test{"T-D17 in a parameter's value", "Sec-WebSocket-Extensions", extend(extension("a", param("b", s)))},
			test{"T-D17 in a name", s, field(s, "x")},
			test{"T-D17 in a value", "Origin", field("Origin", s)},
		)
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			o := sampleOffer()
			c.change(o)
			got, err := handshake.AppendRequest([]byte("kept"), o)
			checkNotSent(t, got, err, c.field)
		})
	}
}

func checkNotSent(t *testing.T, got []byte, err error, field string) {
	t.Helper()
	var refused *handshake.FieldError
	if !errors.As(err, &refused) || refused.Field != field {
		t.Fatalf("error %v, want a *FieldError for %q", err, field)
	}
	if !bytes.Equal(got, []byte("kept")) {
		t.Errorf("%q was appended", got)
	}
	if text := err.Error(); !strings.HasPrefix(text, "websocket: cannot send ") || strings.ContainsAny(text, "\r\n\x00\x1b") {
		t.Errorf("error text %q", text)
	}
}

// The value of a field can be a password.
func TestErrorsDoNotRepeatValues(t *testing.T) {
	o := sampleOffer()
	o.Header = map[string][]string{"Authorization": {"SECRET\r\n"}}
	if _, err := handshake.AppendRequest(nil, o); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("error is %v", err)
	}
}

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
