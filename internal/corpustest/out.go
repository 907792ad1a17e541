package corpustest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/wire"
)

var (
	errNotMasked  = errors.New("a frame from a client is not masked")
	errMasked     = errors.New("a frame from a server is masked")
	errKeyOfFrame = errors.New("a frame has the masking key of the frame before")
)

// outCheck compares what one endpoint writes with what its script wants.
type outCheck struct {
	role   corpus.Role
	masked bool    // a masked frame has been written
	key    [4]byte // of the last one
}

// check compares what was written in one step. The line is the script's to
// which an error belongs.
func (c *outCheck) check(step corpus.Step, written []byte) (line int, err error) {
	frames, rest := corpus.SplitFrames(written)
	for i, want := range step.Out {
		if i >= len(frames) {
			return want.Line, fmt.Errorf("want the frame %v, got none", want)
		}
		got, err := c.plain(frames[i])
		if err != nil {
			return want.Line, fmt.Errorf("%w: %s", err, corpus.Hex(frames[i]))
		}
		if !sameFrame(want, got) {
			return want.Line, fmt.Errorf("want the frame %v, got %s", want, corpus.Hex(got))
		}
	}
	if len(frames) > len(step.Out) {
		return step.Line, fmt.Errorf("after %v: want no frame more, got %s", step.Action.Kind, corpus.Hex(frames[len(step.Out)]))
	}
	if len(rest) > 0 {
		return step.Line, fmt.Errorf("after %v: want whole frames, got at the end %s", step.Action.Kind, corpus.Hex(rest))
	}
	return 0, nil
}

// plain returns a frame as scripts spell it, after a look at its masking.
func (c *outCheck) plain(frame []byte) ([]byte, error) {
	plain, key, masked := corpus.Unmasked(frame)
	switch {
	case c.role == corpus.Server && masked:
		return nil, errMasked
	case c.role == corpus.Server:
		return plain, nil
	case !masked:
		return nil, errNotMasked
	case c.masked && key == c.key:
		// By chance once in 2^32 frames.
		return nil, errKeyOfFrame
	}
	c.masked, c.key = true, key
	return plain, nil
}

// sameFrame reports whether a frame, as plain returns it, is the one wanted.
func sameFrame(want corpus.Frame, got []byte) bool {
	if want.CloseCode == 0 {
		return bytes.Equal(want.Bytes, got)
	}
	if got[0] != 0x88 { // FIN, Close
		return false
	}
	payload := got[len(got)-int(got[1]&0x7f):]
	return len(payload) >= 2 && wire.StatusCode(binary.BigEndian.Uint16(payload)) == want.CloseCode && utf8.Valid(payload[2:])
}
