package fuzz

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/fibersock/fibersock/wire"
)

// ClosePayload reads data as the payload of a Close frame.
// wire.ParseClosePayload must accept the payloads that RFC 6455, Sections 5.5.1
// and 7.4 allow, and wire.AppendClosePayload must reproduce them.
//
// Then it reads the same bytes as a status code, which may not fit into two
// bytes, and a reason: wire.AppendClosePayload either returns an error or a
// payload that parses to both.
func ClosePayload(data []byte) int {
	data = data[:min(len(data), 2*wire.MaxControlPayload)]
	valid := false
	if len(data) <= wire.MaxControlPayload {
		valid = parseClose(data)
	}
	p := &program{data}
	code := wire.StatusCode(p.uint16())
	if p.byte()%4 == 3 {
		code += 1 << 16
	}
	buildClose(code, string(p.all()))
	return worth(valid)
}

func parseClose(payload []byte) (valid bool) {
	code, reason, err := wire.ParseClosePayload(payload)
	wantCode, wantErr := readClose(payload)
	if !errors.Is(err, wantErr) {
		violated("a Close payload is empty, or a code that may be sent and UTF-8", "% x: error %v, want %v", payload, err, wantErr)
	}
	if err != nil {
		return false
	}
	if int(code) != wantCode || len(payload) > 2 && !bytes.Equal(reason, payload[2:]) || len(payload) <= 2 && len(reason) > 0 {
		violated("the code is the first two bytes, the reason the others, and no code is 1005", "% x: %d %q", payload, int(code), reason)
	}
	if code == wire.NoStatusReceived {
		code = 0
	}
	if again, err := wire.AppendClosePayload(nil, code, string(reason)); err != nil || !bytes.Equal(again, payload) {
		violated("a received payload can be sent", "% x became % x, error %v", payload, again, err)
	}
	return true
}

func buildClose(code wire.StatusCode, reason string) {
	b, err := wire.AppendClosePayload([]byte("kept"), code, reason)
	payload := bytes.TrimPrefix(b, []byte("kept"))
	empty := code == 0 && reason == ""
	legal := mayBeSent(int(code)) && len(reason) <= 123 && utf8.ValidString(reason)
	if (err == nil) != (empty || legal) {
		violated("a Close is sent with a code that may be sent and at most 123 bytes of UTF-8, or without both", "%d %q: error %v", int(code), reason, err)
	}
	if !bytes.HasPrefix(b, []byte("kept")) || (err != nil || empty) && len(payload) > 0 {
		violated("nothing is appended that may not be sent", "%d %q: %q", int(code), reason, b)
	}
	if err != nil || empty {
		return
	}
	if gotCode, gotReason, err := wire.ParseClosePayload(payload); gotCode != code || string(gotReason) != reason || err != nil {
		violated("a written payload parses to its parts", "%d %q as % x: %d %q, error %v", int(code), reason, payload, int(gotCode), gotReason, err)
	}
}

// readClose returns the code that a Close payload reports, or the rule that it
// breaks.
func readClose(payload []byte) (code int, broken error) {
	switch len(payload) {
	case 0:
		return 1005, nil
	case 1:
		return 0, wire.ErrClosePayload
	}
	code = int(payload[0])<<8 | int(payload[1])
	switch {
	case !mayBeSent(code):
		return 0, wire.ErrStatusCode
	case !utf8.Valid(payload[2:]):
		return 0, wire.ErrInvalidUTF8
	}
	return code, nil
}

// mayBeSent reports whether a Close frame may have the code (Section 7.4; the
// registry has since added 1012 to 1014).
func mayBeSent(code int) bool {
	return 1000 <= code && code <= 1003 || 1007 <= code && code <= 1014 || 3000 <= code && code <= 4999
}
