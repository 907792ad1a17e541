package server

import (
	"bytes"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// unread is a socket whose client reads none of the replies. Reading must pause
// after limit bytes of them.
type unread struct {
	nowhere
	replies, limit int
}

func (t *unread) Writev(head, payload []byte) error {
	t.replies += len(head) + len(payload)
	return nil
}

func (t *unread) MustPause() bool { return t.replies > t.limit }

// When reading must pause, Pings that were read are not answered before the
// client has read the Pongs. All of them used to be answered at once.
func TestPingsWaitWhileReadingMustPause(t *testing.T) {
	const pings, limit = 1000, 64
	ping := wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Ping, Masked: true}, nil)
	for name, h := range map[string]Handler{
		"Message": {Message: func(*Conn, wire.Opcode, []byte) {}},
		"Partial": {Partial: func(*Conn, wire.Opcode, []byte, bool) {}},
		"Serve":   {Serve: func(c *Conn) { c.Receive(t.Context()) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Server{Handler: h}
			out := &unread{limit: limit}
			c := s.connOver(out)
			if !c.open(Handshake{}, nil) {
				t.Fatal("not open")
			}
			defer c.lost(nil)
			calls := 0
			for b := bytes.Repeat(ping, pings); len(b) > 0; calls++ {
				var ok bool
				if b, ok = c.receive(b); !ok {
					t.Fatal("the connection accepts no more")
				}
				if out.replies > limit+2 {
					t.Fatalf("%d bytes of Pongs were sent at once", out.replies)
				}
				out.replies = 0 // the client has read
			}
			if most := 2*pings/limit + 1; calls > most {
				t.Errorf("handled in %d parts, want at most %d", calls, most)
			}
			if n := s.Stats().Sent.Pongs; n != pings {
				t.Errorf("%d Pongs were sent, want %d", n, pings)
			}
		})
	}
}
