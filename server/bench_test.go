//go:build !race && !lockcheck

package server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// BenchmarkUpgrade measures a connection from the first byte of the request to
// the 101 response and its end.
func BenchmarkUpgrade(b *testing.B) {
	for name, request := range upgradeRequests {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := new(Server)
			out := new(nowhere)
			keep := s.connOver(out) // keeps the sweeper running
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

// BenchmarkEcho measures a message through the whole server, without the
// kernel.
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
			// The masking key is zero, so that the frame can be received again.
			// The work is the same as with other keys.
			h := wire.Header{Fin: true, Opcode: wire.Text, Masked: true}
			frame := slices.Clip(wire.AppendFrame(nil, h, []byte(strings.Repeat("a", size))))
			for b.Loop() {
				c.receive(frame)
			}
		})
	}
}

// BenchmarkSweep measures a tick of the sweeper for one connection with every
// timeout set, none of which expires.
func BenchmarkSweep(b *testing.B) {
	for _, conns := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			s := &Server{IdleTimeout: time.Hour, MaxLifetime: 24 * time.Hour}
			all := make([]*Conn, conns)
			for i := range all {
				all[i] = s.connOver(new(nowhere))
				all[i].open(Handshake{})
			}
			rand.Shuffle(conns, func(i, j int) { // the order after many additions and removals
				s.conns[i], s.conns[j] = s.conns[j], s.conns[i]
				s.conns[i].place, s.conns[j].place = int32(i), int32(j)
			})
			sweep := &sweep{Server: s, schedule: s.schedule()}
			for b.Loop() {
				sweep.run(s.clock.now(), nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(conns), "ns/conn")
			b.StopTimer()
			for _, c := range all {
				c.lost(net.ErrClosed)
			}
		})
	}
}
