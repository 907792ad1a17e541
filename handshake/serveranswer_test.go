package handshake_test

import (
	"errors"
	"net/http"
	"reflect"
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// 6455-4.2.2-f, 6455-4.2.2-h, 6455-4.2.2-i, 6455-4.2.2-j, 6455-4.2.2-k,
// 9110-8.6-a: the response has no empty fields and no body.
func TestResponseOfAPlainAnswer(t *testing.T) {
	got, err := handshake.AppendResponse([]byte("before "), &handshake.ServerAnswer{Key: sampleKey})
	want := "before " + head(switching, responseFields...)
	if err != nil || string(got) != want {
		t.Errorf("AppendResponse = %q, %v; want %q", got, err, want)
	}
}

func TestResponseOfAFullAnswer(t *testing.T) {
	a := handshake.ServerAnswer{
		Key:         sampleKey,
		Subprotocol: "chat",
		Extensions:  extensions{extension("foo", param("x", "1")), extension("permessage-deflate")},
		Header:      http.Header{"Set-Cookie": {"a=b", "c=d"}, "Server": {"x"}},
	}
	want := head(switching, append(responseFields, "Sec-WebSocket-Protocol: chat",
		"Sec-WebSocket-Extensions: foo; x=1, permessage-deflate", "Server: x", "Set-Cookie: a=b", "Set-Cookie: c=d")...)
	got, err := handshake.AppendResponse(nil, &a)
	if err != nil || string(got) != want {
		t.Fatalf("AppendResponse = %q, %v; want %q", got, err, want)
	}
	agreed, err := handshake.ValidateResponse(parseResponse(t, want), fullOffer())
	if err != nil || agreed.Subprotocol != a.Subprotocol || !reflect.DeepEqual(agreed.Extensions, a.Extensions) {
		t.Errorf("the client reads %+v, %v", agreed, err)
	}
}

// 6455-4.2.2-o, T-D17, T-D18: a response with an invalid value is not written.
func TestAnswersThatMayNotBeSent(t *testing.T) {
	type test struct {
		rule, field string
		a           handshake.ServerAnswer
	}
	field := func(name, value string) handshake.ServerAnswer {
		return handshake.ServerAnswer{Key: sampleKey, Header: map[string][]string{"X-A": {"b"}, name: {"ok", value}}}
	}
	cases := []test{
		{"no key", "Sec-WebSocket-Key", handshake.ServerAnswer{}},
		{"two subprotocols", "Sec-WebSocket-Protocol", handshake.ServerAnswer{Key: sampleKey, Subprotocol: "a, b"}},
		{"extension without name", "Sec-WebSocket-Extensions", handshake.ServerAnswer{Key: sampleKey, Extensions: make(extensions, 1)}},
	}
	for _, name := range []string{"Upgrade", "connection", "Sec-Websocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
		"Content-Length", "Transfer-Encoding", "Host"} {
		cases = append(cases, test{"the handshake's own " + name, name, field(name, "x")})
	}
	for _, s := range injections {
		cases = append(cases,
			test{"T-D18 in the subprotocol", "Sec-WebSocket-Protocol", handshake.ServerAnswer{Key: sampleKey, Subprotocol: s}},
			test{"T-D18 in an extension", "Sec-WebSocket-Extensions", handshake.ServerAnswer{Key: sampleKey, Extensions: extensions{extension(s)}}},
			test{"T-D18 in a name", s, field(s, "x")},
			test{"T-D18 in a value", "X", field("X", s)},
		)
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			got, err := handshake.AppendResponse([]byte("kept"), &c.a)
			checkNotSent(t, got, err, c.field)
		})
	}
}

// TestFieldsAreAddedToAResponse checks that AddFields appends fields sorted by
// name. It skips fields of the handshake, the connection and the body (RFC
// 9110, Section 7.6.1), invalid names, and names that the response has.
func TestFieldsAreAddedToAResponse(t *testing.T) {
	begin := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSet-Cookie: a=b\r\nX-There: 1\r\n"
	extra := map[string][]string{"X-New": {"2", "3"}, "Set-Cookie": {"c=d"}, "A": {"1"}}
	const added = "A: 1\r\nSet-Cookie: c=d\r\nX-New: 2\r\nX-New: 3\r\n"
	for _, left := range []string{
		"", "X Y", "x-there", "Upgrade", "connection", "Host", "Sec-WebSocket-Protocol", "Content-Length", "Transfer-Encoding",
		"Keep-Alive", "proxy-connection", "TE", "Trailer", "Content-Type", "Content-Encoding", "Content-Language", "Content-Location",
		"Content-Range", "Accept-Ranges", "ETag", "last-modified",
	} {
		extra[left] = []string{"left out"}
		got, err := handshake.AddFields([]byte(begin+"\r\n"), extra)
		if err != nil || string(got) != begin+added+"\r\n" {
			t.Errorf("with %q: %q, %v; want %q added", left, got, err, added)
		}
		delete(extra, left)
	}

	whole := []byte(begin + "\r\n")
	if got, err := handshake.AddFields(whole, nil); err != nil || &got[0] != &whole[0] || len(got) != len(whole) {
		t.Errorf("no field: %q, %v; want the response itself", got, err)
	}
	got, err := handshake.AddFields(whole, map[string][]string{"A": {"1"}, "X": {"ok", "a\r\nb"}})
	var refused *handshake.FieldError
	if !errors.As(err, &refused) || refused.Field != "X" || string(got) != string(whole) {
		t.Errorf("a value of two lines: %q, %v; want the response itself and a *FieldError", got, err)
	}
	got, err = handshake.AddFields([]byte(begin), extra)
	if !errors.As(err, &refused) || err.Error() != `websocket: cannot send "101": the response is not a complete head` || string(got) != begin {
		t.Errorf("half a response: %q, %v; want it itself and a *FieldError", got, err)
	}
	if string(whole) != begin+"\r\n" {
		t.Errorf("the response itself became %q", whole)
	}
}
