package server

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wire/deflate"
)

// A connection gives others their turn after turnSize bytes of messages, also
// if they arrived compressed in a single read.
func TestTurnIsBounded(t *testing.T) {
	const size, many = 40 << 10, 40
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

// slowSocket is a socket whose output is buffered.
type slowSocket struct {
	nowhere
	buffered atomic.Int64
	frames   []string // guarded by the endpoint
}

func (s *slowSocket) Buffered() int { return int(s.buffered.Load()) }

func (s *slowSocket) Writev(head, payload []byte) error {
	s.frames = append(s.frames, string(head)+string(payload))
	return nil
}

// A message that waits for a slow client is compressed when it is sent, with
// the messages before it in the window.
func TestQueuedMessagesAreCompressedWhenSent(t *testing.T) {
	var compression permessage.Deflate
	accepted, err := compression.Accepted([]handshake.Extension{{Name: "permessage-deflate"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{SlowPolicy: SlowDropOldest, MaxBacklog: 1000, Compression: &compression}
	socket := new(slowSocket)
	c := s.connOver(socket)
	if !c.open(Handshake{}, accepted) {
		t.Fatal("not open")
	}
	defer c.lost(nil)
	text := func(n int) string {
		return fmt.Sprintf(`{"type":"tick","number":%d,"symbol":"ACME","venue":"XNYS","currency":"USD","bid":104,"ask":105}`, n)
	}
	send := func(n int) {
		if err := c.SendText(text(n)); err != nil {
			t.Fatal(err)
		}
	}
	send(0)
	socket.buffered.Store(1)
	for n := range 30 {
		send(1 + n) // the first ones are dropped
	}
	if len(socket.frames) != 1 || s.Stats().Dropped == 0 {
		t.Fatalf("%d frames, %+v", len(socket.frames), s.Stats())
	}
	socket.buffered.Store(0)
	c.flushed()
	c.forceFlush(false)

	d := deflate.NewDecompressor(deflate.DecompressorOptions{WindowBits: 15, Takeover: true})
	if len(socket.frames) < 5 || len(socket.frames) > 12 {
		t.Errorf("%d frames", len(socket.frames))
	}
	for i, b := range socket.frames {
		f, _, err := wire.DecodeFrame([]byte(b))
		if err != nil || f.RSV != wire.RSV1 {
			t.Fatalf("frame %d: %+v, %v", i, f, err)
		}
		if i > 0 && len(f.Payload) > 20 {
			t.Errorf("message %d has %d bytes", i, len(f.Payload))
		}
		got, _, err := d.Append(nil, f.Payload, true, 1000)
		want := text(0)
		if i > 0 {
			want = text(31 - len(socket.frames) + i)
		}
		if err != nil || string(got) != want {
			t.Errorf("message %d: %q, %v; want %q", i, got, err, want)
		}
	}
}
