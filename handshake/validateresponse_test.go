package handshake_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

const switching = "HTTP/1.1 101 Switching Protocols"

func fullOffer() *handshake.ClientOffer {
	o := sampleOffer()
	o.Subprotocols = []string{"chat", "superchat"}
	o.Extensions = extensions{extension("permessage-deflate", flag("client_max_window_bits")), extension("foo")}
	return o
}

func TestResponsesThatOpenTheConnection(t *testing.T) {
	cases := []struct {
		rule   string
		line   string
		fields []string
		want   handshake.Negotiated
	}{
		{"the minimum; 6455-4.1-ab no subprotocol", switching, responseFields, handshake.Negotiated{}},
		{"reason phrase means nothing", "HTTP/1.1 101 ", responseFields, handshake.Negotiated{}},
		{"no reason phrase", "HTTP/1.1 101", responseFields, handshake.Negotiated{}},
		{"later minor version", "HTTP/1.2 101 x", responseFields, handshake.Negotiated{}},
		{"6455-4.1-s any case", switching, replace(responseFields, "Upgrade", "Upgrade: WebSocket"), handshake.Negotiated{}},
		{"6455-4.1-t in a list", switching, replace(responseFields, "Connection", "Connection: keep-alive, Upgrade"), handshake.Negotiated{}},
		{"6455-4.1-t two lines", switching, replace(responseFields, "Connection", "Connection: keep-alive", "Connection: Upgrade"), handshake.Negotiated{}},
		{"6455-4.1-t any case", switching, replace(responseFields, "Connection", "Connection: upgrade"), handshake.Negotiated{}},
		{"6455-4.1-u white space around it", switching, replace(responseFields, "Sec-WebSocket-Accept", "Sec-WebSocket-Accept: \t "+sampleAccept+" \t"), handshake.Negotiated{}},
		{"6455-4.1-y names in any case", switching, []string{"UPGRADE: websocket", "connection:upgrade", "sec-websocket-accept: " + sampleAccept}, handshake.Negotiated{}},
		{"6455-4.1-w offered subprotocol", switching, append(responseFields, "Sec-WebSocket-Protocol: superchat"), handshake.Negotiated{Subprotocol: "superchat"}},
		{"6455-4.1-v offered extension", switching, append(responseFields, "Sec-WebSocket-Extensions: foo; x=1"),
			handshake.Negotiated{Extensions: extensions{extension("foo", param("x", "1"))}}},
		{"6455-9.1-f any case", switching, append(responseFields, "Sec-WebSocket-Extensions: PerMessage-Deflate"),
			handshake.Negotiated{Extensions: extensions{extension("PerMessage-Deflate")}}},
		{"6455-11.3.2-a 6455-9.1-b 6455-9.1-d two lines, order kept", switching,
			append(responseFields, "Sec-WebSocket-Extensions: foo", "Sec-WebSocket-Extensions: permessage-deflate"),
			handshake.Negotiated{Extensions: extensions{extension("foo"), extension("permessage-deflate")}}},
		{"other fields", switching, append(responseFields, "Date: x", "Server: y", "X-A: b"), handshake.Negotiated{}},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			got, err := handshake.ValidateResponse(parseResponse(t, head(c.line, c.fields...)), fullOffer())
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("ValidateResponse = %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

// ValidateUpgrade refuses extensions if none was offered, and leaves others to
// NegotiatedExtensions (6455-4.1-v).
func TestUpgradeBesideExtensions(t *testing.T) {
	one := fullOffer()
	one.Extensions = one.Extensions[:1]
	for _, c := range []struct {
		name   string
		offer  *handshake.ClientOffer
		line   string
		fields []string
		want   string // the subprotocol
		err    string
	}{
		{"none offered, one line", sampleOffer(), switching, []string{"Sec-WebSocket-Extensions: foo"}, "", `Sec-WebSocket-Extensions: "foo" was not offered`},
		{"none offered, two lines", sampleOffer(), switching, []string{"Sec-WebSocket-Extensions: foo", "Sec-WebSocket-Extensions: bar"},
			"", `Sec-WebSocket-Extensions: "foo, bar" was not offered`},
		{"one offered", one, switching, []string{"Sec-WebSocket-Extensions: bar", "Sec-WebSocket-Protocol: chat"}, "chat", ""},
		{"no upgrade", one, "HTTP/1.1 200 OK", nil, "", "200"},
	} {
		got, err := handshake.ValidateUpgrade(parseResponse(t, head(c.line, append(responseFields, c.fields...)...)), c.offer)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v; want %q, %q", c.name, got, err, c.want, c.err)
		}
	}
}

// The error has the field, its value and the expected value.
func TestResponsesThatDoNotOpenTheConnection(t *testing.T) {
	with := func(name string, lines ...string) []string { return replace(responseFields, name, lines...) }
	also := func(lines ...string) []string { return append(responseFields, lines...) }
	accept := func(value string) []string { return with("Sec-WebSocket-Accept", "Sec-WebSocket-Accept: "+value) }
	cases := []struct {
		rule   string
		offer  *handshake.ClientOffer
		line   string
		fields []string
		want   string // the error, which begins with its field if there is one
	}{
		{"6455-4.1-x HTTP/1.0", fullOffer(), "HTTP/1.0 101 Switching Protocols", responseFields, `version "HTTP/1.0", want HTTP/1.1`},
		{"HTTP/2.0", fullOffer(), "HTTP/2.0 101 Switching Protocols", responseFields, `version "HTTP/2.0", want HTTP/1.1`},
		{"6455-4.1-r 200", fullOffer(), "HTTP/1.1 200 OK", responseFields, `status 200 "OK", want 101`},
		{"6455-4.1-r 301", fullOffer(), "HTTP/1.1 301 Moved", also("Location: ws://h/"), `status 301 "Moved", want 101`},
		{"6455-4.1-r 401", fullOffer(), "HTTP/1.1 401 Unauthorized", nil, `status 401 "Unauthorized", want 101`},
		{"6455-4.1-r 403", fullOffer(), "HTTP/1.1 403 Forbidden", nil, `status 403 "Forbidden", want 101`},
		{"6455-4.1-r 426", fullOffer(), "HTTP/1.1 426 Upgrade Required", nil, `status 426 "Upgrade Required", want 101`},
		{"6455-4.1-r 500 over HTTP/1.0", fullOffer(), "HTTP/1.0 500 x", nil, `status 500 "x", want 101`},
		{"9110-15.2-a 100 is not final", fullOffer(), "HTTP/1.1 100 Continue", responseFields, `status 100 "Continue", want 101`},
		{"6455-4.1-s no Upgrade", fullOffer(), switching, with("Upgrade"), `Upgrade: missing`},
		{"6455-4.1-s another protocol", fullOffer(), switching, with("Upgrade", "Upgrade: h2c"), `Upgrade: "h2c", want "websocket"`},
		{"6455-4.1-s longer word", fullOffer(), switching, with("Upgrade", "Upgrade: websocket2"), `Upgrade: "websocket2", want "websocket"`},
		{"6455-4.1-s two protocols", fullOffer(), switching, with("Upgrade", "Upgrade: websocket, h2c"), `Upgrade: "websocket, h2c", want "websocket"`},
		{"6455-4.1-s two lines", fullOffer(), switching, also("Upgrade: h2c"), `Upgrade: 2 fields, want one`},
		{"6455-4.1-t no Connection", fullOffer(), switching, with("Connection"), `Connection: missing`},
		{"6455-4.1-t longer word", fullOffer(), switching, with("Connection", "Connection: upgraded"), `Connection: "upgraded" lacks "Upgrade"`},
		{"6455-4.1-u no Accept", fullOffer(), switching, with("Sec-WebSocket-Accept"), `Sec-WebSocket-Accept: missing`},
		{"6455-4.1-u another key's", fullOffer(), switching, accept("C/0nmHhBztSRGR1CwL6Tf4ZjwpY="), `Sec-WebSocket-Accept: "C/0nmHhBztSRGR1CwL6Tf4ZjwpY=" does not match the key of the request`},
		{"6455-4.1-u in small letters", fullOffer(), switching, accept(strings.ToLower(sampleAccept)), `Sec-WebSocket-Accept: "s3pplmbitxaq9kygzzhzrbk+xoo=" does not match the key of the request`},
		{"6455-4.1-u cut short", fullOffer(), switching, accept(sampleAccept[:27]), `Sec-WebSocket-Accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo" does not match the key of the request`},
		{"6455-4.1-u the key itself", fullOffer(), switching, accept(sampleKey), `Sec-WebSocket-Accept: "dGhlIHNhbXBsZSBub25jZQ==" does not match the key of the request`},
		{"6455-4.1-u empty", fullOffer(), switching, accept(""), `Sec-WebSocket-Accept: "" does not match the key of the request`},
		{"6455-4.1-x 6455-11.3.3-a Accept twice", fullOffer(), switching, also("Sec-WebSocket-Accept: " + sampleAccept), `Sec-WebSocket-Accept: 2 fields, want one`},
		{"6455-4.1-v extension not offered", fullOffer(), switching, also("Sec-WebSocket-Extensions: bar"), `Sec-WebSocket-Extensions: "bar" was not offered`},
		{"6455-4.1-v one offered, one not", fullOffer(), switching, also("Sec-WebSocket-Extensions: foo, bar"), `Sec-WebSocket-Extensions: "bar" was not offered`},
		{"6455-4.1-v T-G07 extension though none offered", sampleOffer(), switching, also("Sec-WebSocket-Extensions: permessage-deflate"), `Sec-WebSocket-Extensions: "permessage-deflate" was not offered`},
		{"6455-9.1-a malformed", fullOffer(), switching, also("Sec-WebSocket-Extensions: permessage-deflate;;"), `Sec-WebSocket-Extensions: extension list "permessage-deflate;;": parameter name is missing at offset 19`},
		{"6455-9.1-a empty", fullOffer(), switching, also("Sec-WebSocket-Extensions:"), `Sec-WebSocket-Extensions: extension list "": empty list`},
		{"6455-4.1-w subprotocol not offered", fullOffer(), switching, also("Sec-WebSocket-Protocol: other"), `Sec-WebSocket-Protocol: "other" was not offered`},
		{"6455-4.1-w another case", fullOffer(), switching, also("Sec-WebSocket-Protocol: Chat"), `Sec-WebSocket-Protocol: "Chat" was not offered`},
		{"6455-4.1-w both", fullOffer(), switching, also("Sec-WebSocket-Protocol: chat, superchat"), `Sec-WebSocket-Protocol: "chat, superchat" was not offered`},
		{"6455-4.1-w though none offered", sampleOffer(), switching, also("Sec-WebSocket-Protocol: chat"), `Sec-WebSocket-Protocol: "chat" was not offered`},
		{"6455-4.1-x empty subprotocol", fullOffer(), switching, also("Sec-WebSocket-Protocol:"), `Sec-WebSocket-Protocol: "" was not offered`},
		{"6455-4.1-x 6455-11.3.4-a two lines", fullOffer(), switching, also("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"), `Sec-WebSocket-Protocol: 2 fields, want one`},
		{"6455-4.4-a 6455-11.3.5-a the server's versions", fullOffer(), "HTTP/1.1 400 Bad Request", []string{"Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8, 7"},
			`status 400 "Bad Request", want 101; the server supports versions "13, 8, 7"`},
		{"6455-4.4-a the server's version", fullOffer(), "HTTP/1.1 426 x", []string{"Sec-WebSocket-Version: 8"}, `status 426 "x", want 101; the server supports versions "8"`},
		{"6455-4.1-t two lines without it", fullOffer(), switching, with("Connection", "Connection: a", "Connection: b"), `Connection: "a, b" lacks "Upgrade"`},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			a, err := handshake.ValidateResponse(parseResponse(t, head(c.line, c.fields...)), c.offer)
			field, _, named := strings.Cut(c.want, ": ")
			var refused *handshake.ResponseError
			if !errors.As(err, &refused) || named && refused.Field != field || !named && refused.Field != "" || err.Error() != "websocket: handshake response: "+c.want {
				t.Fatalf("ValidateResponse = %+v, %v; want a *ResponseError with %s", a, err, c.want)
			}
			if !reflect.DeepEqual(a, handshake.Negotiated{}) {
				t.Errorf("a refused response gave %+v", a)
			}
		})
	}
}

// A 101 with Content-Length or Transfer-Encoding was rejected
// (dotnet/corefx#29984, envoyproxy/envoy#10811, istio/istio#32127). Servers and
// sidecars send these fields. They have no meaning there, because a 101 ends
// with the blank line.
func TestBodyFieldsOfA101AreIgnored(t *testing.T) {
	for _, field := range []string{"Content-Length: 0", "Content-Length: 12", "Transfer-Encoding: chunked", "Content-Type: text/plain"} {
		r := parseResponse(t, head(switching, append(responseFields, field)...))
		check.OKf(t, check.Err(handshake.ValidateResponse(r, sampleOffer())), "%s", field)
	}
}

// 6455-4.1-aa: the caller interprets the other fields of the response.
func TestCookiesOfTheResponseAreReported(t *testing.T) {
	r := parseResponse(t, head(switching, append(responseFields, "Set-Cookie: a=b", "set-cookie: c=d")...))
	check.OK(t, check.Err(handshake.ValidateResponse(r, sampleOffer())))
	if got := r.Header.Values("Set-Cookie"); !reflect.DeepEqual(got, []string{"a=b", "c=d"}) {
		t.Errorf("cookies %q", got)
	}
}

// A status has three digits, whatever they are (RFC 9112, Section 4).
func TestHighestStatusOfAResponse(t *testing.T) {
	if r := parseResponse(t, head("HTTP/1.1 999 Strange", responseFields...)); r.Status != 999 {
		t.Errorf("Status is %d", r.Status)
	}
}
