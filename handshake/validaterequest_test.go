package handshake_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

func TestOpeningHandshakesThatAreAccepted(t *testing.T) {
	at := func(host, target string) handshake.ClientOffer {
		return handshake.ClientOffer{Host: host, Target: target, Key: sampleKey}
	}
	plain := at("server.example.com", "/chat")
	with := func(subprotocols []string, list ...handshake.Extension) handshake.ClientOffer {
		o := plain
		o.Subprotocols, o.Extensions = subprotocols, list
		return o
	}
	cases := []struct {
		rule   string
		line   string
		fields []string
		want   handshake.ClientOffer
	}{
		{"the minimum; 6455-4.2.1-k no Origin", requestLine, requestFields, plain},
		{"6455-4.2.1-c later minor version", "GET / HTTP/1.2", requestFields, at("server.example.com", "/")},
		{"6455-4.2.1-d absolute target", "GET http://h/ws HTTP/1.1", requestFields, at("h", "/ws")},
		{"6455-4.2.1-d absolute target, https, no path", "GET HTTPS://[::1]:81?a HTTP/1.1", requestFields, at("[::1]:81", "/?a")},
		{"6455-4.2.1-d absolute target, wss", "GET wss://h/ws HTTP/1.1", requestFields, at("h", "/ws")},
		{"9112-3.2-a Host with port", requestLine, replace(requestFields, "Host", "Host: h:8080"), at("h:8080", "/chat")},
		{"9112-3.2-a Host with empty port", requestLine, replace(requestFields, "Host", "Host: h:"), at("h:", "/chat")},
		{"9112-3.2-a Host is IPv6", requestLine, replace(requestFields, "Host", "Host: [::1]:81"), at("[::1]:81", "/chat")},
		{"9112-3.2-a Host is a reg-name", requestLine, replace(requestFields, "Host", "Host: a_b~c%2Fd"), at("a_b~c%2Fd", "/chat")},
		{"6455-4.2.1-f any case", requestLine, replace(requestFields, "Upgrade", "Upgrade: WebSocket"), plain},
		{"6455-4.2.1-f T-E06 list", requestLine, replace(requestFields, "Upgrade", "Upgrade: h2c, websocket"), plain},
		{"6455-4.2.1-f two lines", requestLine, replace(requestFields, "Upgrade", "Upgrade: h2c", "Upgrade: websocket"), plain},
		{"6455-4.2.1-g WHATWG-4 Firefox", requestLine, replace(requestFields, "Connection", "Connection: keep-alive, Upgrade"), plain},
		{"6455-4.2.1-g two lines", requestLine, replace(requestFields, "Connection", "Connection: keep-alive", "Connection: Upgrade"), plain},
		{"6455-4.2.1-g any case", requestLine, replace(requestFields, "Connection", "Connection: upgrade"), plain},
		{"9110-5.6.1-a empty members", requestLine, replace(requestFields, "Connection", "Connection: ,, upgrade ,"), plain},
		{"6455-4.2.1-i WHATWG-7 pad bits set", requestLine, replace(requestFields, "Sec-WebSocket-Key", "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC=="),
			handshake.ClientOffer{Host: plain.Host, Target: plain.Target, Key: "AQIDBAUGBwgJCgsMDQ4PEC=="}},
		{"6455-4.2.2-k white space around the key", requestLine, replace(requestFields, "Sec-WebSocket-Key", "Sec-WebSocket-Key: \t "+sampleKey+" \t"), plain},
		{"6455-4.1-y names in any case", requestLine, []string{
			"HOST: h", "UPGRADE: websocket", "connection: upgrade", "sec-websocket-key: " + sampleKey, "SEC-WEBSOCKET-VERSION:13"}, at("h", "/chat")},
		{"6455-4.2.1-n other order, unknown fields", requestLine, []string{"X-A: b", requestFields[4], requestFields[3], "Constructor: c",
			requestFields[2], requestFields[1], requestFields[0], "Sec-WebSocket-X: y", "Sec-Fetch-Mode: websocket"}, plain},
		{"9110-7.8-f empty body", requestLine, append(requestFields, "Content-Length: 0"), plain},
		{"6455-4.2.1-l list", requestLine, append(requestFields, "Sec-WebSocket-Protocol: a,,b ,\tc"),
			with([]string{"a", "b", "c"})},
		{"6455-11.3.4-a two lines are one list", requestLine, append(requestFields, "Sec-WebSocket-Protocol: b", "Sec-WebSocket-Protocol: a"),
			with([]string{"b", "a"})},
		{"6455-11.3.4-a an empty line among others", requestLine, append(requestFields, "Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: a"),
			with([]string{"a"})},
		{"6455-9.1-e WHATWG-3 extensions, known or not", requestLine, append(requestFields, "Sec-WebSocket-Extensions: foo; a=1, permessage-deflate"),
			with(nil, extension("foo", param("a", "1")), extension("permessage-deflate"))},
		{"6455-11.3.2-a 6455-9.1-b two lines are one list", requestLine,
			append(requestFields, "Sec-WebSocket-Extensions: foo", "X: y", "Sec-WebSocket-Extensions: permessage-deflate"),
			with(nil, extension("foo"), extension("permessage-deflate"))},
		{"T-D09 names of JavaScript's prototypes", requestLine, append(requestFields, "__proto__: x", "Sec-WebSocket-Extensions: constructor"),
			with(nil, extension("constructor"))},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			got, err := handshake.ValidateRequest(parseRequest(t, head(c.line, c.fields...)))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("ValidateRequest = %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestOpeningHandshakesThatAreRefused(t *testing.T) {
	with := func(name string, lines ...string) []string { return replace(requestFields, name, lines...) }
	also := func(lines ...string) []string { return append(requestFields, lines...) }
	key := func(value string) []string { return with("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+value) }
	version := func(value string) []string {
		return with("Sec-WebSocket-Version", "Sec-WebSocket-Version: "+value)
	}
	cases := []struct {
		rule   string
		line   string
		fields []string
		status int
	}{
		{"6455-4.2.1-b POST", "POST /chat HTTP/1.1", requestFields, 405},
		{"6455-4.2.1-b method in small letters", "get /chat HTTP/1.1", requestFields, 405},
		{"6455-4.2.1-b CONNECT", "CONNECT h:80 HTTP/1.1", requestFields, 405},
		{"6455-4.2.1-c 9110-7.8-a HTTP/1.0", "GET /chat HTTP/1.0", requestFields, 505},
		{"6455-4.2.1-c HTTP/2.0", "GET /chat HTTP/2.0", requestFields, 505},
		{"6455-4.2.1-c HTTP/0.9", "GET /chat HTTP/0.9", requestFields, 505},
		{"6455-4.2.1-c preface of HTTP/2", "PRI * HTTP/2.0", nil, 505},
		{"T-D12 fragment", "GET /ws#x HTTP/1.1", requestFields, 400},
		{"T-D12 fragment in an absolute target", "GET http://h/ws#x HTTP/1.1", requestFields, 400},
		{"target *", "GET * HTTP/1.1", requestFields, 400},
		{"target without slash", "GET chat HTTP/1.1", requestFields, 400},
		{"6455-4.2.1-d target of another scheme", "GET ftp://h/ HTTP/1.1", requestFields, 400},
		{"6455-4.2.1-d target without host", "GET http:///x HTTP/1.1", requestFields, 400},
		{"6455-4.2.1-d target with userinfo", "GET http://u:p@h/x HTTP/1.1", requestFields, 400},
		{"6455-4.2.1-d absolute target without Host", "GET http://h/x HTTP/1.1", with("Host"), 400},
		{"6455-4.2.1-e 9112-3.2-a T-D05 no Host", requestLine, with("Host"), 400},
		{"6455-4.2.1-e empty Host", requestLine, with("Host", "Host:"), 400},
		{"6455-4.2.1-e two Hosts", requestLine, also("Host: server.example.com"), 400},
		{"9112-3.2-a Host with space", requestLine, with("Host", "Host: a b"), 400},
		{"9112-3.2-a Host with port too high", requestLine, with("Host", "Host: h:65536"), 400},
		{"9112-3.2-a Host is IPv6 without brackets", requestLine, with("Host", "Host: ::1"), 400},
		{"9112-3.2-a text after the brackets", requestLine, with("Host", "Host: [::1]x"), 400},
		{"9112-3.2-a Host with zone", requestLine, with("Host", "Host: [fe80::1%25eth0]"), 400},
		{"9112-3.2-a Host not ASCII", requestLine, with("Host", "Host: bücher"), 400},
		{"6455-4.2.1-f T-D05 no Upgrade", requestLine, with("Upgrade"), 426},
		{"6455-4.2.1-f longer word", requestLine, with("Upgrade", "Upgrade: websockets"), 426},
		{"6455-4.2.1-f T-E06 another protocol", requestLine, with("Upgrade", "Upgrade: h2c"), 426},
		{"6455-4.2.1-f with a version", requestLine, with("Upgrade", "Upgrade: websocket/13"), 426},
		{"T-D16 draft version without Upgrade", requestLine, []string{requestFields[0], requestFields[3], "Sec-WebSocket-Version: 7"}, 426},
		{"9110-7.8-b T-D05 no Connection", requestLine, with("Connection"), 400},
		{"6455-4.2.1-g close", requestLine, with("Connection", "Connection: close"), 400},
		{"6455-4.2.1-g longer word", requestLine, with("Connection", "Connection: Upgraded"), 400},
		{"6455-4.2.1-g two words", requestLine, with("Connection", "Connection: keep-alive Upgrade"), 400},
		{"6455-4.2.1-h T-D05 no key", requestLine, with("Sec-WebSocket-Key"), 400},
		{"6455-4.2.1-h empty key", requestLine, key(""), 400},
		{"6455-4.2.1-h short key", requestLine, key("abc"), 400},
		{"6455-4.2.1-h key without padding", requestLine, key("dGhlIHNhbXBsZSBub25jZQ"), 400},
		{"6455-4.2.1-h 32 bytes", requestLine, key(strings.Repeat("A", 43) + "="), 400},
		{"6455-4.2.1-h URL-safe alphabet", requestLine, key("--------------------__=="), 400},
		{"6455-11.3.1-a two keys", requestLine, also("Sec-WebSocket-Key: " + sampleKey), 400},
		{"6455-4.2.1-j T-A05 T-D05 no version", requestLine, with("Sec-WebSocket-Version"), 426},
		{"T-A05 T-H18 draft 76", requestLine, []string{requestFields[0], requestFields[1], requestFields[2],
			"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5", "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00"}, 426},
		{"6455-4.2.1-j version 8", requestLine, version("8"), 426},
		{"6455-4.2.2-d version 25", requestLine, version("25"), 426},
		{"T-E02 version 1337", requestLine, version("1337"), 426},
		{"6455-4.3-b version 256", requestLine, version("256"), 426},
		{"6455-4.2.1-j empty version", requestLine, version(""), 426},
		{"6455-4.2.1-j version 13.0", requestLine, version("13.0"), 426},
		{"6455-4.3-b leading zero", requestLine, version("013"), 426},
		{"6455-4.2.1-j sign", requestLine, version("+13"), 426},
		{"6455-11.3.5-a list of versions", requestLine, version("13, 8"), 426},
		{"6455-11.3.5-a two versions", requestLine, also("Sec-WebSocket-Version: 13"), 400},
		{"6455-4.2.1-l words in the list", requestLine, also("Sec-WebSocket-Protocol: a b"), 400},
		{"6455-4.2.1-l separator in a name", requestLine, also("Sec-WebSocket-Protocol: a, b/c"), 400},
		{"6455-4.2.1-l second line", requestLine, also("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b c"), 400},
		{"6455-4.2.1-l empty list", requestLine, also("Sec-WebSocket-Protocol:"), 400},
		{"T-D01 many blanks", requestLine, also("Sec-WebSocket-Protocol: a" + strings.Repeat(" ", 60000) + "b"), 400},
		{"too many subprotocols", requestLine, also("Sec-WebSocket-Protocol: " + strings.Repeat("a,", 129)), 400},
		{"6455-4.2.1-m no name", requestLine, also("Sec-WebSocket-Extensions: ;="), 400},
		{"6455-4.2.1-m no value", requestLine, also("Sec-WebSocket-Extensions: permessage-deflate; x="), 400},
		{"6455-4.2.1-m T-D02 quote not closed", requestLine, also(`Sec-WebSocket-Extensions: a; b="` + strings.Repeat(`\c`, 20000)), 400},
		{"6455-4.2.1-m second line", requestLine, also("Sec-WebSocket-Extensions: a", "Sec-WebSocket-Extensions: b;"), 400},
		{"6455-4.2.1-m empty list", requestLine, also("Sec-WebSocket-Extensions:"), 400},
		{"too many extensions in two lines", requestLine, also("Sec-WebSocket-Extensions: "+strings.Repeat("a,", 100), "Sec-WebSocket-Extensions: "+strings.Repeat("a,", 100)), 400},
		{"9110-7.8-f T-D14 body", requestLine, also("Content-Length: 6"), 400},
		{"9110-7.8-f Content-Length is no number", requestLine, also("Content-Length: +0"), 400},
		{"9110-7.8-f second Content-Length", requestLine, also("Content-Length: 0", "Content-Length: 6"), 400},
		{"9110-7.8-f T-D14 chunked body", requestLine, also("Transfer-Encoding: chunked"), 400},
		{"9112-6.3-a both", requestLine, also("Content-Length: 0", "Transfer-Encoding: identity"), 400},
		{"9110-7.8-e Expect", requestLine, also("Expect: 100-continue"), 417},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			u, err := handshake.ValidateRequest(parseRequest(t, head(c.line, c.fields...)))
			if got := status(t, err); got != c.status {
				t.Errorf("status %d, want %d: %v", got, c.status, err)
			}
			if !reflect.DeepEqual(u, handshake.ClientOffer{}) {
				t.Errorf("a refused request gave %+v", u)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

// T-D05: a request that lacks any combination of fields is rejected.
func TestEveryFieldIsNeeded(t *testing.T) {
	for missing := 1; missing < 1<<len(requestFields); missing++ {
		var fields []string
		for i, f := range requestFields {
			if missing>>i&1 == 0 {
				fields = append(fields, f)
			}
		}
		if _, err := handshake.ValidateRequest(parseRequest(t, head(requestLine, fields...))); status(t, err) == 0 {
			t.Errorf("accepted with only %q", fields)
		}
	}
	if _, err := handshake.ValidateRequest(new(handshake.Request)); status(t, err) == 0 {
		t.Error("an empty request was accepted")
	}
}

// 6455-4.2.1-b, 6455-4.2.2-d, 9110-7.8-g: the fields that a status requires.
func TestRefusalsCarryTheFieldsTheirStatusNeeds(t *testing.T) {
	for _, c := range []struct {
		line   string
		fields []string
		want   map[string][]string
	}{
		{"POST / HTTP/1.1", requestFields, map[string][]string{"Allow": {"GET"}}},
		{requestLine, replace(requestFields, "Upgrade"), map[string][]string{"Upgrade": {"websocket"}, "Sec-WebSocket-Version": {"13"}}},
		{requestLine, replace(requestFields, "Sec-WebSocket-Version"), map[string][]string{"Upgrade": {"websocket"}, "Sec-WebSocket-Version": {"13"}}},
	} {
		_, err := handshake.ValidateRequest(parseRequest(t, head(c.line, c.fields...)))
		refused, ok := err.(*handshake.Error)
		if !ok || !reflect.DeepEqual(refused.Header, c.want) {
			t.Errorf("%s %q: %+v, want fields %v", c.line, c.fields, refused, c.want)
		}
	}
}
