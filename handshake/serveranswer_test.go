package handshake_test

import (
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
