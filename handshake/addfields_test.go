package handshake_test

import (
	"errors"
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

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
