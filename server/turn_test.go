package server

import (
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wire/deflate"
)

// A connection gives others their turn after turnSize bytes of messages, also
// if they arrived compressed in a single read.
func TestTurnIsBounded(t *testing.T) {
	const size, many = 40 << 10, 100
	received, pieces := 0, 0
	count := func(c *Conn, op wire.Opcode, p []byte) { received += len(p) }
	for name, tt := range map[string]struct {
		handler  Handler
		compress bool
		most     int // bytes in a turn
	}{
		"messages": {Handler{Message: count}, true, turnSize + size},
		"pieces": {Handler{Message: count, Partial: func(c *Conn, op wire.Opcode, p []byte, final bool) {
			received += len(p)
			pieces++
		}}, true, turnSize + 32<<10},
		"uncompressed": {Handler{Message: count}, false, many * size},
	} {
		compression := permessage.Deflate{}
		accepted, err := compression.Accepted([]handshake.Extension{{Name: "permessage-deflate"}})
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{Handler: tt.handler, Compression: &compression}
		c := s.connOver(new(nowhere))
		if !c.open(Handshake{}, accepted) {
			t.Fatal("not open")
		}
		var b []byte
		for range many {
			h := wire.Header{Fin: true, Opcode: wire.Binary, Masked: true, Key: 0x3d21fa37}
			p := make([]byte, size)
			if tt.compress {
				h.RSV = wire.RSV1
				p, _ = deflate.AppendShared(nil, p)
			}
			b = wire.AppendFrame(b, h, p)
		}
		total, turns := 0, 0
		for ok := true; len(b) > 0; turns++ {
			received = 0
			before := len(b)
			if b, ok = c.receive(b); !ok || len(b) == before {
				t.Fatalf("%s: turn %d: open %t, %d bytes left of %d", name, turns, ok, len(b), before)
			}
			if received > tt.most {
				t.Errorf("%s: %d bytes in a turn, want at most %d", name, received, tt.most)
			}
			total += received
		}
		if total != many*size {
			t.Errorf("%s: %d bytes delivered, want %d", name, total, many*size)
		}
		c.lost(nil)
	}
	if pieces == 0 {
		t.Error("no message was delivered in pieces")
	}
}
