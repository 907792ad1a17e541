package handshake_test

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// The texts of errors, whole: they are what is left of a peer's fault in a log,
// so that a part that is missing is a fault of ours.

func wantText(t *testing.T, about string, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("%s: error\n%v\nwant\n%s", about, err, want)
	}
}

// TestExtensionErrorsSayWhere in the list.
func TestExtensionErrorsSayWhere(t *testing.T) {
	for _, tt := range []struct{ list, want string }{
		{`;`, `";": the name of an extension is missing at offset 0`},
		{`a, ;`, `"a, ;": the name of an extension is missing at offset 3`},
		{`a;`, `"a;": the name of a parameter is missing at offset 2`},
		{`a; b=`, `"a; b=": the value of a parameter is missing at offset 5`},
		{`a b`, `"a b": only a comma, a semicolon or an equals sign may follow a token at offset 2`},
		{`a; b="1 0"`, `"a; b=\"1 0\"": a quoted value is not a token at offset 5`},
		{`a; b="c`, `"a; b=\"c": a quote is not closed at offset 5`},
		{strings.Repeat("a,", 129), `"` + strings.Repeat("a,", 40) + `"...: more than 128 extensions and parameters at offset 256`},
		{`a=; b;`, `"a=; b;": only a comma, a semicolon or an equals sign may follow a token at offset 1`},
	} {
		_, err := handshake.ParseExtensions(nil, tt.list)
		wantText(t, tt.list, err, "websocket: extension list "+tt.want)
	}
}

// TestResponseErrorsSayWhatIsWrong with each field.
func TestResponseErrorsSayWhatIsWrong(t *testing.T) {
	const switching = "HTTP/1.1 101 Switching Protocols"
	with := func(name string, lines ...string) []string { return replace(responseFields, name, lines...) }
	for _, tt := range []struct {
		line   string
		fields []string
		want   string
	}{
		{"HTTP/1.0 101 x", responseFields, `the version is "HTTP/1.0", not HTTP/1.1`},
		{"HTTP/1.1 404 Not Found", nil, `status 404 "Not Found" where 101 was expected`},
		{"HTTP/1.1 426 x", []string{"Sec-WebSocket-Version: 8"}, `status 426 "x" where 101 was expected; the server supports versions "8"`},
		{"HTTP/1.1 426 x", []string{"Sec-WebSocket-Version: 8, 7", "Sec-WebSocket-Version: 0"},
			`status 426 "x" where 101 was expected; the server supports versions "8, 7, 0"`},
		{switching, with("Upgrade", "Upgrade: h2c"), `Upgrade: it is "h2c", not "websocket"`},
		{switching, with("Connection", "Connection: close"), `Connection: it is "close", without "Upgrade"`},
		{switching, with("Sec-WebSocket-Accept"), `Sec-WebSocket-Accept: the field is missing`},
		{switching, append(with(""), "Sec-WebSocket-Accept: x"), `Sec-WebSocket-Accept: 2 fields, not one`},
		{switching, with("Sec-WebSocket-Accept", "Sec-WebSocket-Accept: x"), `Sec-WebSocket-Accept: "x" does not answer the key that was sent`},
		{switching, append(with(""), "Sec-WebSocket-Extensions: a;"), `Sec-WebSocket-Extensions: extension list "a;": the name of a parameter is missing at offset 2`},
		{switching, append(with(""), "Sec-WebSocket-Extensions:"), `Sec-WebSocket-Extensions: extension list "": it is empty`},
		{switching, append(with(""), "Sec-WebSocket-Extensions: bar"), `Sec-WebSocket-Extensions: "bar" was not offered`},
		{switching, append(with(""), "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"), `Sec-WebSocket-Protocol: 2 fields, not one`},
		{switching, append(with(""), "Sec-WebSocket-Protocol: other"), `Sec-WebSocket-Protocol: "other" was not offered`},
	} {
		_, err := handshake.ValidateResponse(parseResponse(t, head(tt.line, tt.fields...)), fullOffer())
		wantText(t, tt.line, err, "websocket: handshake response: "+tt.want)
	}
	for version, ok := range map[string]bool{"HTTP/1.1": true, "HTTP/1.2": true, "HTTP/1.9": true, "HTTP/1.0": false, "HTTP/2.1": false, "HTTP/0.9": false} {
		_, err := handshake.ValidateResponse(parseResponse(t, head(version+" 101 x", responseFields...)), fullOffer())
		if (err == nil) != ok {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// TestRefusalsOfAHeadSayWhere, by the number of bytes before the fault.
func TestRefusalsOfAHeadSayWhere(t *testing.T) {
	for in, want := range map[string]string{
		"\x16\x03\x01":                           "TLS on a port for plain HTTP",
		"G\x16":                                  "byte 0x16 is not allowed in the method (offset 1)",
		"GET\t/":                                 "byte 0x9 is not allowed in the method (offset 3)",
		"GET /a\tb":                              "byte 0x9 is not allowed in the request target (offset 6)",
		"G@T":                                    "byte 0x40 is not allowed in the method (offset 1)",
		"GET /\x01":                              "byte 0x1 is not allowed in the request target (offset 5)",
		"GET / http":                             "byte 0x68 is not allowed in the HTTP version (offset 6)",
		"GET / HTTP/1.1x":                        "byte 0x78 is not allowed in the HTTP version (offset 14)",
		"GET / HTTP/1.1\rx":                      "a CR is not followed by LF (offset 15)",
		"GET / HTTP/1.1\n":                       "a line end lacks its CR (offset 14)",
		"GET / HTTP/1.1\r\n x":                   "a header field line is folded or begins with white space (offset 16)",
		"GET / HTTP/1.1\r\n\tx":                  "a header field line is folded or begins with white space (offset 16)",
		"GET / HTTP/1.1\r\n:":                    "byte 0x3a is not allowed in the name of a header field (offset 16)",
		"GET / HTTP/1.1\r\nA b":                  "white space stands before the colon of a header field (offset 17)",
		"GET / HTTP/1.1\r\nA\tb":                 "white space stands before the colon of a header field (offset 17)",
		"GET / HTTP/1.1\r\nA/b":                  "byte 0x2f is not allowed in the name of a header field (offset 17)",
		"GET / HTTP/1.1\r\nA: b\x00":             "byte 0x0 is not allowed in the value of a header field (offset 20)",
		"GET / HTTP/1.1\r\nA: b\n":               "a line end lacks its CR (offset 20)",
		"GET / HTTP/1.1\r\nA: b\rc":              "a CR is not followed by LF (offset 21)",
		"GET / HTTP/1.1\r\nA: b\r\n\rc":          "a CR is not followed by LF (offset 23)",
		"GET / HTTP/1.1\r\n\rc":                  "a CR is not followed by LF (offset 17)",
		"\n":                                     "a line end lacks its CR (offset 0)",
		"GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\x16": "byte 0x16 is not allowed in the name of a header field (offset 28)",
	} {
		for _, size := range []int{len(in), 1} {
			var p handshake.RequestParser
			_, err := inPieces(p.Parse, in, size)
			wantText(t, in, err, "websocket: handshake refused with 400 Bad Request: "+want)
		}
	}
	for in, want := range map[string]string{
		"SSH-2.0":                  "byte 0x53 is not allowed in the status line (offset 0)",
		"\x16\x03\x01":             "byte 0x16 is not allowed in the status line (offset 0)",
		"HTTP/1.1\t101":            "byte 0x9 is not allowed in the status line (offset 8)",
		"HTTP/1.1 1x1":             "byte 0x78 is not allowed in the status line (offset 10)",
		"HTTP/1.1 1010":            "byte 0x30 is not allowed in the status line (offset 12)",
		"HTTP/1.1 101 a\x00":       "byte 0x0 is not allowed in the reason phrase (offset 14)",
		"HTTP/1.1 101 a\n":         "a line end lacks its CR (offset 14)",
		"HTTP/1.1 101\rx":          "a CR is not followed by LF (offset 13)",
		"HTTP/1.1 101 a\r\nb c: d": "white space stands before the colon of a header field (offset 17)",
	} {
		var p handshake.ResponseParser
		_, err := inPieces(p.Parse, in, len(in))
		wantText(t, in, err, "websocket: handshake response: "+want)
	}
}

// TestRefusalsOfALargeHeadNameTheLimit, and its value.
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
	} {
		p := handshake.RequestParser{Limits: tt.limits}
		_, err := inPieces(p.Parse, tt.in, 7)
		wantText(t, want, err, "websocket: handshake refused with "+want)
	}
}

// TestFieldsThatCannotBeSentAreNamed with what is wrong with them.
func TestFieldsThatCannotBeSentAreNamed(t *testing.T) {
	for want, change := range map[string]func(o *handshake.ClientOffer){
		`"Host": it must be a host, perhaps with ":" and a port`:                             func(o *handshake.ClientOffer) { o.Host = "" },
		`"request target": it must begin with "/" and hold printable ASCII without "#" only`: func(o *handshake.ClientOffer) { o.Target = "x" },
		`"Sec-WebSocket-Key": it must be base64 of 16 bytes`:                                 func(o *handshake.ClientOffer) { o.Key = "" },
		`"Sec-WebSocket-Protocol": subprotocol 2 is not a token`:                             func(o *handshake.ClientOffer) { o.Subprotocols = []string{"a", ""} },
		`"Sec-WebSocket-Protocol": subprotocol 3 is offered twice`:                           func(o *handshake.ClientOffer) { o.Subprotocols = []string{"a", "b", "a"} },
		`"Sec-WebSocket-Extensions": a name or a value is not a token`:                       func(o *handshake.ClientOffer) { o.Extensions = extensions{extension("")} },
		`"X Y": it is not the name of a header field`:                                        func(o *handshake.ClientOffer) { o.Header = map[string][]string{"X Y": {"z"}} },
		`"sec-websocket-x": the handshake sets this field`:                                   func(o *handshake.ClientOffer) { o.Header = map[string][]string{"sec-websocket-x": {"z"}} },
		`"X": the value holds a control character`:                                           func(o *handshake.ClientOffer) { o.Header = map[string][]string{"X": {"ok", "\r"}} },
		`"` + strings.Repeat("x", 79) + `:"...: it is not the name of a header field`:        func(o *handshake.ClientOffer) { o.Header = map[string][]string{strings.Repeat("x", 79) + ":y": {"z"}} },
	} {
		o := fullOffer()
		change(o)
		_, err := handshake.AppendRequest(nil, o)
		wantText(t, want, err, "websocket: cannot send "+want)
	}
	for want, a := range map[string]handshake.ServerAnswer{
		`"Sec-WebSocket-Key": it must be base64 of 16 bytes`:           {},
		`"Sec-WebSocket-Protocol": "a b" is not a token`:               {Key: sampleKey, Subprotocol: "a b"},
		`"Sec-WebSocket-Extensions": a name or a value is not a token`: {Key: sampleKey, Extensions: make(extensions, 1)},
		`"Upgrade": the handshake sets this field`:                     {Key: sampleKey, Header: map[string][]string{"Upgrade": {"x"}}},
	} {
		_, err := handshake.AppendResponse(nil, &a)
		wantText(t, want, err, "websocket: cannot send "+want)
	}
}

// TestRefusalsOfARequestSayWhy: the reason is in the log of a server, whose
// operator sees nothing else of the client.
func TestRefusalsOfARequestSayWhy(t *testing.T) {
	with := func(name string, lines ...string) []string { return replace(requestFields, name, lines...) }
	also := func(lines ...string) []string { return append(with(""), lines...) }
	for _, tt := range []struct {
		line   string
		fields []string
		want   string
	}{
		{"GET / HTTP/1.0", requestFields, `505 HTTP Version Not Supported: the request came over "HTTP/1.0", and only an HTTP/1.1 connection can become a WebSocket. A proxy may have lowered the version`},
		{"POST / HTTP/1.1", requestFields, `405 Method Not Allowed: method is "POST", not GET`},
		{"GET /a#b HTTP/1.1", requestFields, `400 Bad Request: request target "/a" (and more) holds a byte that is not printable ASCII, or a fragment`},
		{"GET /a?b#c HTTP/1.1", requestFields, `400 Bad Request: request target "/a" (and more) holds a byte that is not printable ASCII, or a fragment`},
		{"GET #c HTTP/1.1", requestFields, `400 Bad Request: request target "" (and more) holds a byte that is not printable ASCII, or a fragment`},
		{"GET chat HTTP/1.1", requestFields, `400 Bad Request: request target "chat" does not begin with "/"`},
		{"GET * HTTP/1.1", requestFields, `400 Bad Request: request target "*" does not begin with "/"`},
		{"GET ftp://h/ HTTP/1.1", requestFields, `400 Bad Request: request target "ftp://h/" does not begin with "/"`},
		{"GET http://u@h/?x HTTP/1.1", requestFields, `400 Bad Request: request target "http://u@h/" (and more) has a malformed host or port`},
		{requestLine, with("Host"), `400 Bad Request: 0 Host fields, not one`},
		{requestLine, also("Host: h"), `400 Bad Request: 2 Host fields, not one`},
		{requestLine, with("Host", "Host: u@h"), `400 Bad Request: Host "u@h" is not a host, perhaps with a port; an IPv6 address stands in brackets`},
		{requestLine, also("Transfer-Encoding: chunked"), `400 Bad Request: a handshake has no body, Transfer-Encoding "chunked"`},
		{requestLine, also("Content-Length: 5"), `400 Bad Request: a handshake has no body, Content-Length "5"`},
		{requestLine, also("Expect: 100-continue"), `417 Expectation Failed: a handshake has no body, Expect "100-continue"`},
		{requestLine, with("Upgrade", "Upgrade: h2c"), `426 Upgrade Required: Upgrade is "h2c", without websocket`},
		{requestLine, with("Connection", "Connection: close"), `400 Bad Request: Connection is "close", without Upgrade`},
		{requestLine, also("Sec-WebSocket-Version: 13"), `400 Bad Request: 2 Sec-WebSocket-Version fields, not one`},
		{requestLine, with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), `426 Upgrade Required: Sec-WebSocket-Version is "8", not 13`},
		{requestLine, also("Sec-WebSocket-Key: x"), `400 Bad Request: 2 Sec-WebSocket-Key fields, not one`},
		{requestLine, with("Sec-WebSocket-Key", "Sec-WebSocket-Key: x"), `400 Bad Request: Sec-WebSocket-Key "x" is not base64 of 16 bytes`},
		{requestLine, also("Sec-WebSocket-Protocol:"), `400 Bad Request: Sec-WebSocket-Protocol: it is empty`},
		{requestLine, also("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b, c/d"), `400 Bad Request: Sec-WebSocket-Protocol: subprotocol 3 is not a token`},
		{requestLine, also("Sec-WebSocket-Protocol: " + strings.Repeat("a,", 129)), `400 Bad Request: Sec-WebSocket-Protocol: it names more than 128 subprotocols`},
		{requestLine, also("Sec-WebSocket-Extensions:"), `400 Bad Request: extension list "": it is empty`},
		{requestLine, also("Sec-WebSocket-Extensions: a b"), `400 Bad Request: extension list "a b": only a comma, a semicolon or an equals sign may follow a token at offset 2`},
	} {
		_, err := handshake.ValidateRequest(parseRequest(t, head(tt.line, tt.fields...)))
		wantText(t, tt.line, err, "websocket: handshake refused with "+tt.want)
	}

	with403 := "websocket: handshake refused with 403 Forbidden: "
	r := parseRequest(t, head(requestLine, "Host: h", "Origin: x"))
	wantText(t, "Origin", handshake.CheckOrigin(r, nil), with403+`Origin "x" is malformed`)
	r = parseRequest(t, head(requestLine, "Host: h", "Origin: null"))
	wantText(t, "Origin", handshake.CheckOrigin(r, nil), with403+`Origin "null" is not that of the host "h" and matches none of 0 allowed patterns`)
	r = parseRequest(t, head(requestLine, "Host: h", "Origin: http://h", "Origin: http://h"))
	wantText(t, "Origin", handshake.CheckOrigin(r, nil), "websocket: handshake refused with 400 Bad Request: 2 Origin fields where one is allowed")
	wantText(t, "Host", handshake.CheckHost(r, []string{"other"}), `websocket: handshake refused with 421 Misdirected Request: Host "h" is not one that this server goes by`)
}

// TestURLErrorsSayWhatToWrite, and hide what may be secret.
func TestURLErrorsSayWhatToWrite(t *testing.T) {
	for in, want := range map[string]string{
		"ws://h/\x00":           `"ws://h/\x00": it holds a control character`,
		"ws://h/p#f":            `"ws://h/p#***": a ws URL has no fragment; write a "#" of the path or query as %23`,
		"#x":                    `"#***": a ws URL has no fragment; write a "#" of the path or query as %23`,
		"ftp://h/":              `"ftp://h/": it must begin with "ws://" or "wss://"`,
		"h/x?y":                 `"h/x?***": it must begin with "ws://" or "wss://"`,
		"a b://h?x":             `"a b://h?***": it must begin with "ws://" or "wss://"`,
		"ws://u:%zz@h/":         `"ws://***@h/": user and password must be percent-encoded, and may not hold control characters`,
		"ws://u%3A:p@h/":        `"ws://***@h/": a user name with a colon cannot be sent (RFC 7617)`,
		"ws://[::1":             `"ws://[::1": the IPv6 address lacks its "]"`,
		"ws://[::1]x":           `"ws://[::1]x": only a port may follow the "]"`,
		"ws://[h]":              `"ws://[h]": what the brackets hold is not an IPv6 address`,
		"ws://[::1%25]":         `"ws://[::1%25]": the zone of the IPv6 address is empty`,
		"ws://[::1%25a%5D]":     `"ws://[::1%25a%5D]": the zone of the IPv6 address holds a character that is not allowed`,
		"ws://bücher/":          `"ws://bücher/": the host must be ASCII; write an international name in its A-label form, such as xn--bcher-kva.example`,
		"ws:///":                `"ws:///": the host is missing`,
		"ws://a b/":             `"ws://a b/": the host holds a character that is not allowed`,
		"ws://h:x/":             `"ws://h:x/": the port must be a number from 1 to 65535`,
		"ws://h/%":              `"ws://h/%": two hexadecimal digits must follow each "%" of path and query`,
		"ws://u:p@h:x/?q":       `"ws://***@h:x/?***": the port must be a number from 1 to 65535`,
		"ws://u p?p@h:x/":       `"ws://***": the host holds a character that is not allowed`,
		"u:p@h":                 `"***@h": it must begin with "ws://" or "wss://"`,
		"ws://u:p@h:x/a@b?c@d#": `"ws://***": a ws URL has no fragment; write a "#" of the path or query as %23`,
	} {
		_, err := handshake.ParseURL(in)
		wantText(t, in, err, "websocket: URL "+want)
	}
}
