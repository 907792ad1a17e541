package handshake_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// These tests compare whole error texts. The text is all that a log keeps of a
// fault.

func wantText(t *testing.T, about string, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("%s: error\n%v\nwant\n%s", about, err, want)
	}
}

// TestExtensionErrorsSayWhere checks the offset in the list.
func TestExtensionErrorsSayWhere(t *testing.T) {
	for _, tt := range []struct{ list, want string }{
		{`;`, `";": extension name is missing at offset 0`},
		{`a, ;`, `"a, ;": extension name is missing at offset 3`},
		{`a;`, `"a;": parameter name is missing at offset 2`},
		{`a; b=`, `"a; b=": parameter value is missing at offset 5`},
		{`a b`, `"a b": want a comma, a semicolon or an equals sign after a token at offset 2`},
		{`a; b="1 0"`, `"a; b=\"1 0\"": quoted value is not a token at offset 5`},
		{`a; b="c`, `"a; b=\"c": quote is not closed at offset 5`},
		{strings.Repeat("a,", 129), `"` + strings.Repeat("a,", 40) + `"...: more than 128 extensions and parameters at offset 256`},
		{`a=; b;`, `"a=; b;": want a comma, a semicolon or an equals sign after a token at offset 1`},
	} {
		_, err := handshake.ParseExtensions(nil, tt.list)
		wantText(t, tt.list, err, "websocket: extension list "+tt.want)
	}
}

// TestRefusalsOfALargeHeadNameTheLimit checks the value and the option of the
// limit (python-websockets/websockets#1239, socketio/engine.io-client#715,
// dotnet/aspnetcore#58534).
func TestRefusalsOfALargeHeadNameTheLimit(t *testing.T) {
	for want, tt := range map[string]struct {
		limits handshake.Limits
		in     string
	}{
		"414 URI Too Long: request line exceeds 8192 bytes (handshake.Limits.RequestLine)": {
			handshake.Limits{}, "GET /" + strings.Repeat("x", 9000)},
		"431 Request Header Fields Too Large: head exceeds 30 bytes (handshake.Limits.Bytes)": {
			handshake.Limits{Bytes: 30}, head(requestLine, "X: "+strings.Repeat("x", 30))},
		"431 Request Header Fields Too Large: head exceeds 65536 bytes (handshake.Limits.Bytes)": {
			handshake.Limits{}, head(requestLine, "X: "+strings.Repeat("x", 1<<16))},
		"431 Request Header Fields Too Large: head exceeds 2 header fields (handshake.Limits.Fields)": {
			handshake.Limits{Fields: 2}, head(requestLine, "A: 1", "A: 2", "A: 3")},
		"431 Request Header Fields Too Large: head exceeds 100 header fields (handshake.Limits.Fields)": {
			handshake.Limits{}, requestLine + "\r\n" + strings.Repeat("A: 1\r\n", 101)},
		"414 URI Too Long: request line exceeds 1 bytes (handshake.Limits.RequestLine)": {
			handshake.Limits{RequestLine: 1}, "GET"},
		"431 Request Header Fields Too Large: head exceeds 1 bytes (handshake.Limits.Bytes)": {
			handshake.Limits{Bytes: 1}, "GET"},
		"431 Request Header Fields Too Large: head exceeds 1 header fields (handshake.Limits.Fields)": {
			handshake.Limits{Fields: 1}, head(requestLine, "A: 1", "A: 2")},
	} {
		p := handshake.RequestParser{Limits: tt.limits}
		_, err := inPieces(p.Parse, tt.in, 7)
		wantText(t, want, err, "websocket: handshake refused with "+want)
	}
}

// TestFieldsThatCannotBeSentAreNamed checks the field and the reason.
func TestFieldsThatCannotBeSentAreNamed(t *testing.T) {
	for want, change := range map[string]func(o *handshake.ClientOffer){
		`"Host": must be a host with an optional port`:                             func(o *handshake.ClientOffer) { o.Host = "" },
		`"request target": must start with "/" and be printable ASCII without "#"`: func(o *handshake.ClientOffer) { o.Target = "x" },
		`"Sec-WebSocket-Key": must be base64 of 16 bytes`:                          func(o *handshake.ClientOffer) { o.Key = "" },
		`"Sec-WebSocket-Protocol": subprotocol 2 is not a token`:                   func(o *handshake.ClientOffer) { o.Subprotocols = []string{"a", ""} },
		`"Sec-WebSocket-Protocol": subprotocol 3 is offered twice`:                 func(o *handshake.ClientOffer) { o.Subprotocols = []string{"a", "b", "a"} },
		`"Sec-WebSocket-Extensions": a name or a value is not a token`:             func(o *handshake.ClientOffer) { o.Extensions = extensions{extension("")} },
		`"X Y": not a header field name`:                                           func(o *handshake.ClientOffer) { o.Header = map[string][]string{"X Y": {"z"}} },
		`"sec-websocket-x": the handshake sets this field`:                         func(o *handshake.ClientOffer) { o.Header = map[string][]string{"sec-websocket-x": {"z"}} },
		`"X": control character in the value`:                                      func(o *handshake.ClientOffer) { o.Header = map[string][]string{"X": {"ok", "\r"}} },
		`"` + strings.Repeat("x", 79) + `:"...: not a header field name`:           func(o *handshake.ClientOffer) { o.Header = map[string][]string{strings.Repeat("x", 79) + ":y": {"z"}} },
	} {
		o := fullOffer()
		change(o)
		_, err := handshake.AppendRequest(nil, o)
		wantText(t, want, err, "websocket: cannot send "+want)
	}
	for want, a := range map[string]handshake.ServerAnswer{
		`"Sec-WebSocket-Key": must be base64 of 16 bytes`:              {},
		`"Sec-WebSocket-Protocol": "a b" is not a token`:               {Key: sampleKey, Subprotocol: "a b"},
		`"Sec-WebSocket-Extensions": a name or a value is not a token`: {Key: sampleKey, Extensions: make(extensions, 1)},
		`"Upgrade": the handshake sets this field`:                     {Key: sampleKey, Header: map[string][]string{"Upgrade": {"x"}}},
	} {
		_, err := handshake.AppendResponse(nil, &a)
		wantText(t, want, err, "websocket: cannot send "+want)
	}
}

// TestRefusalsOfARequestSayWhy checks the reason, which is the only trace of
// the client in a server's log.
func TestRefusalsOfARequestSayWhy(t *testing.T) {
	with := func(name string, lines ...string) []string { return replace(requestFields, name, lines...) }
	also := func(lines ...string) []string { return append(with(""), lines...) }
	for _, tt := range []struct {
		line   string
		fields []string
		want   string
	}{
		{"GET / HTTP/1.0", requestFields, `505 HTTP Version Not Supported: version "HTTP/1.0", want HTTP/1.1; a proxy may have lowered the version`},
		{"POST / HTTP/1.1", requestFields, `405 Method Not Allowed: method "POST", want GET`},
		{"GET /a#b HTTP/1.1", requestFields, `400 Bad Request: request target "/a" (and more) contains a fragment or a byte that is not printable ASCII`},
		{"GET /a?b#c HTTP/1.1", requestFields, `400 Bad Request: request target "/a" (and more) contains a fragment or a byte that is not printable ASCII`},
		{"GET #c HTTP/1.1", requestFields, `400 Bad Request: request target "" (and more) contains a fragment or a byte that is not printable ASCII`},
		{"GET chat HTTP/1.1", requestFields, `400 Bad Request: request target "chat" does not start with "/"`},
		{"GET * HTTP/1.1", requestFields, `400 Bad Request: request target "*" does not start with "/"`},
		{"GET ftp://h/ HTTP/1.1", requestFields, `400 Bad Request: request target "ftp://h/" does not start with "/"`},
		{"GET http://u@h/?x HTTP/1.1", requestFields, `400 Bad Request: request target "http://u@h/" (and more) has a malformed host or port`},
		{requestLine, with("Host"), `400 Bad Request: 0 Host fields, want one`},
		{requestLine, also("Host: h"), `400 Bad Request: 2 Host fields, want one`},
		{requestLine, with("Host", "Host: u@h"), `400 Bad Request: Host "u@h" is not a host with an optional port; an IPv6 address needs brackets`},
		{requestLine, with("Host", "Host: fd00::1:80"), `400 Bad Request: Host "fd00::1:80" is not a host with an optional port; an IPv6 address needs brackets`},
		{requestLine, with("Upgrade"), "426 Upgrade Required: no Upgrade field, want websocket; a proxy may have removed the field"},
		{requestLine, with("Upgrade", "Upgrade: h2c", "Upgrade: x"), `426 Upgrade Required: Upgrade "h2c, x" lacks websocket`},
		{requestLine, with("Connection"), "400 Bad Request: no Connection field, want Upgrade; a proxy may have removed the field"},
		{requestLine, with("Sec-WebSocket-Version"), "426 Upgrade Required: no Sec-WebSocket-Version field, want 13"},
		{requestLine, with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8"), `426 Upgrade Required: Sec-WebSocket-Version "13, 8", want 13`},
		{requestLine, with("Sec-WebSocket-Key"), "400 Bad Request: 0 Sec-WebSocket-Key fields, want one"},
		{"GET x?secret HTTP/1.1", requestFields, `400 Bad Request: request target "x" (and more) does not start with "/"`},
		{"GET http://a:b/ HTTP/1.1", requestFields, `400 Bad Request: request target "http://a:b/" has a malformed host or port`},
		{"GET / HTTP/2.0", requestFields, `505 HTTP Version Not Supported: version "HTTP/2.0", want HTTP/1.1; remove "h2" from NextProtos to make TLS clients use HTTP/1.1`},
		{requestLine, also("Transfer-Encoding: chunked"), `400 Bad Request: handshake with a body: Transfer-Encoding "chunked"`},
		{requestLine, also("Content-Length: 5"), `400 Bad Request: handshake with a body: Content-Length "5"`},
		{requestLine, also("Expect: 100-continue"), `417 Expectation Failed: handshake with a body: Expect "100-continue"`},
		{requestLine, with("Upgrade", "Upgrade: h2c"), `426 Upgrade Required: Upgrade "h2c" lacks websocket`},
		{requestLine, with("Connection", "Connection: close"), `400 Bad Request: Connection "close" lacks Upgrade`},
		{requestLine, also("Sec-WebSocket-Version: 13"), `400 Bad Request: 2 Sec-WebSocket-Version fields, want one`},
		{requestLine, with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), `426 Upgrade Required: Sec-WebSocket-Version "8", want 13`},
		{requestLine, also("Sec-WebSocket-Key: x"), `400 Bad Request: 2 Sec-WebSocket-Key fields, want one`},
		{requestLine, with("Sec-WebSocket-Key", "Sec-WebSocket-Key: x"), `400 Bad Request: Sec-WebSocket-Key "x" is not base64 of 16 bytes`},
		{requestLine, also("Sec-WebSocket-Protocol:"), `400 Bad Request: Sec-WebSocket-Protocol: empty list`},
		{requestLine, also("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b, c/d"), `400 Bad Request: Sec-WebSocket-Protocol: subprotocol 3 is not a token`},
		{requestLine, also("Sec-WebSocket-Protocol: " + strings.Repeat("a,", 129)), `400 Bad Request: Sec-WebSocket-Protocol: more than 128 subprotocols`},
		{requestLine, also("Sec-WebSocket-Extensions:"), `400 Bad Request: extension list "": empty list`},
		{requestLine, also("Sec-WebSocket-Extensions: a b"), `400 Bad Request: extension list "a b": want a comma, a semicolon or an equals sign after a token at offset 2`},
	} {
		_, err := handshake.ValidateRequest(parseRequest(t, head(tt.line, tt.fields...)))
		wantText(t, tt.line, err, "websocket: handshake refused with "+tt.want)
	}

	with403 := "websocket: handshake refused with 403 Forbidden: "
	r := parseRequest(t, head(requestLine, "Host: h", "Origin: x"))
	wantText(t, "Origin", handshake.CheckOrigin(r, nil), with403+`Origin "x" is malformed`)
	r = parseRequest(t, head(requestLine, "Host: h", "Origin: null"))
	wantText(t, "Origin", handshake.CheckOrigin(r, nil), with403+`Origin "null" is not the origin of host "h"`)
	r = parseRequest(t, head(requestLine, "Host: h", "Origin: http://h", "Origin: http://h"))
	wantText(t, "Origin", handshake.CheckOrigin(r, nil), "websocket: handshake refused with 400 Bad Request: 2 Origin fields, want one")
	wantText(t, "Host", handshake.CheckHost(r, []string{"other"}), `websocket: handshake refused with 421 Misdirected Request: Host "h" matches none of 1 allowed patterns`)
}

// TestFieldsForAProxy checks AppendHeader, which writes the fields of a CONNECT
// request.
func TestFieldsForAProxy(t *testing.T) {
	got, err := handshake.AppendHeader([]byte("before "), map[string][]string{"X-B": {"1", "2"}, "Proxy-Authorization": {"Basic eA=="}})
	if want := "before Proxy-Authorization: Basic eA==\r\nX-B: 1\r\nX-B: 2\r\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for want, header := range map[string]map[string][]string{
		`"X": control character in the value`:   {"A": {"b"}, "X": {"\n"}},
		`"Host": the handshake sets this field`: {"A": {"b"}, "Host": {"h"}},
	} {
		got, err := handshake.AppendHeader([]byte("before"), header)
		wantText(t, want, err, "websocket: cannot send "+want)
		if string(got) != "before" {
			t.Errorf("%s: dst became %q", want, got)
		}
	}
}

// TestMalformedPatternsAreQuoted checks the error of the validation and the
// error for a request that no other pattern allows.
func TestMalformedPatternsAreQuoted(t *testing.T) {
	r := parseRequest(t, head(requestLine, "Host: h", "Origin: http://other"))
	for pattern, want := range map[string]string{
		"":                "empty pattern",
		"https://a b/x":   "an origin has no path",
		"https://a/x":     `an origin has no path; write "https://a"`,
		"https://":        "host is missing",
		"a\x7f.example":   `'\x7f' is not allowed in a host`,
		"a\u0080.example": "host must be ASCII; write an international name as A-labels, such as xn--bcher-kva.example",
		"a\x80.example":   "host must be ASCII; write an international name as A-labels, such as xn--bcher-kva.example",
		"[::1":            `IPv6 address without "]"`,
		"[::1]x":          `only a port can follow the "]"`,
		"[h]":             "brackets must contain an IPv6 address without a zone",
	} {
		wantText(t, pattern, handshake.ValidateOrigins([]string{"a", pattern}), "websocket: origin pattern "+strconv.Quote(pattern)+": "+want)
		wantText(t, pattern, handshake.CheckOrigin(r, []string{pattern}),
			`websocket: handshake refused with 403 Forbidden: Origin "http://other" is not the origin of host "h" and matches none of 1 allowed patterns; pattern `+
				strconv.Quote(pattern)+" is malformed: "+want)
	}
	wantText(t, "host", handshake.ValidateHosts([]string{"a", "b@c"}), `websocket: host pattern "b@c": a pattern has no user`)
	wantText(t, "host", handshake.CheckHost(r, []string{"b@c", "d"}),
		`websocket: handshake refused with 421 Misdirected Request: Host "h" matches none of 2 allowed patterns; pattern "b@c" is malformed: a pattern has no user`)
}

// TestURLErrorsSayWhatToWrite checks that errors, which are logged, are short and
// omit parts that may be secret (6455-3-e, T-F12).
func TestURLErrorsSayWhatToWrite(t *testing.T) {
	for in, want := range map[string]string{
		"ws://h/p#f":            `"ws://h/p#***": fragment not allowed; write "#" in path or query as %23`,
		"#x":                    `"#***": fragment not allowed; write "#" in path or query as %23`,
		"h/x?y":                 `"h/x?***": want "ws://" or "wss://" at the start`,
		"a b://h?x":             `"a b://h?***": want "ws://" or "wss://" at the start`,
		"ws://u:%zz@h/":         `"ws://***@h/": user and password must be percent-encoded, without control characters`,
		"ws://u%0A:p@h/":        `"ws://***@h/": user and password must be percent-encoded, without control characters`,
		"ws://u%3A:p@h/":        `"ws://***@h/": user name contains a colon (RFC 7617)`,
		"ws://u:p@h:x/?q":       `"ws://***@h:x/?***": port must be a number from 1 to 65535`,
		"ws://u p?p@h:x/":       `"ws://***": character not allowed in the host`,
		"u:p@h":                 `"***@h": want "ws://" or "wss://" at the start`,
		"ws://u:p@h:x/a@b?c@d#": `"ws://***": fragment not allowed; write "#" in path or query as %23`,
	} {
		_, err := handshake.ParseURL(in)
		wantText(t, in, err, "websocket: URL "+want)
	}
	if _, err := handshake.ParseURL("ws://" + strings.Repeat("h", 1<<20) + ":0/"); err == nil || len(err.Error()) > 300 {
		t.Errorf("error for a long URL has %d bytes", len(err.Error()))
	}
}
