package corpus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/fibersock/fibersock/wire"
)

// The errors of masking.
var (
	errNotMasked  = errors.New("a frame from a client is not masked")
	errFromServer = errors.New("a frame from a server is masked")
	errKeyOfFrame = errors.New("a frame has the masking key of the frame before")
)

// Written checks the masking of consecutive frames of an endpoint (RFC 6455,
// Sections 5.1 and 5.3).
type Written struct {
	Role Role

	masked bool    // a masked frame has been written
	key    [4]byte // of the last one
}

// Plain returns the next frame, a whole one, as scripts spell it.
func (w *Written) Plain(frame []byte) ([]byte, error) {
	plain, key, masked := Unmasked(frame)
	switch {
	case w.Role == Server && masked:
		return nil, errFromServer
	case w.Role == Server:
		return plain, nil
	case !masked:
		return nil, errNotMasked
	case w.masked && key == w.key:
		// By chance once in 2^32 frames.
		return nil, errKeyOfFrame
	}
	w.masked, w.key = true, key
	return plain, nil
}

// Matches reports whether a frame, as Written.Plain returns it, is f.
func (f Frame) Matches(plain []byte) bool {
	if f.CloseCode == 0 {
		return bytes.Equal(f.Bytes, plain)
	}
	if plain[0] != 0x88 { // FIN, Close
		return false
	}
	payload := plain[len(plain)-int(plain[1]&0x7f):]
	return len(payload) >= 2 && wire.StatusCode(binary.BigEndian.Uint16(payload)) == f.CloseCode && utf8.Valid(payload[2:])
}
