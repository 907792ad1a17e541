//go:build !race && !lockcheck

package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// All that a server does from the first byte of a request to the 101, and to the connection's end.
func BenchmarkUpgrade(b *testing.B) {
	for name, request := range upgradeRequests {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := new(Server)
			out := new(nowhere)
			keep := s.connOver(out) // so that the sweeper stays
			defer keep.lost(nil)
			in := make([]byte, len(request))
			for b.Loop() {
				c := s.connOver(out)
				copy(in, request)
				c.receive(in)
				if !c.isOpen() {
					b.Fatal("refused")
				}
				c.lost(nil)
			}
		})
	}
}

// A message through the whole server, without the system.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{125, 1 << 10, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			s := &Server{Handler: Handler{Message: func(c *Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
			c := s.connOver(new(nowhere))
			defer c.lost(nil)
			if !c.open(Handshake{}) {
				b.Fatal("not open")
			}
			// The masking key is zero, with which the work is the same, so that the frame can be received again.
			h := wire.Header{Fin: true, Opcode: wire.Text, Masked: true}
			frame := slices.Clip(wire.AppendFrame(nil, h, []byte(strings.Repeat("a", size))))
			for b.Loop() {
				c.receive(frame)
			}
		})
	}
}
