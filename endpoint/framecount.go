package endpoint

import "github.com/fibersock/fibersock/wire"

// FrameCount is how many frames have gone one way, and what was in them. A message is
// counted with its last frame.
type FrameCount struct {
	Bytes                             uint64 // payload of data frames
	Messages, Fragments, Pings, Pongs uint32 // Fragments: data frames that are only a part of a message
}

// Frame counts a frame, by the first byte of its header and the length of its
// payload in bytes.
func (t *FrameCount) Frame(first byte, payload int) {
	switch wire.Opcode(first & 0x0f) {
	case wire.Text, wire.Binary:
		t.Bytes += uint64(payload)
		if first&finBit != 0 {
			t.Messages++
		} else {
			t.Fragments++
		}
	case wire.Continuation:
		t.Bytes += uint64(payload)
		t.Fragments++
		if first&finBit != 0 {
			t.Messages++
		}
	case wire.Ping:
		t.Pings++
	case wire.Pong:
		t.Pongs++
	}
}
