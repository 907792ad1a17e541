//go:build !race && !lockcheck

package server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// A tick costs the sweeper so much, with every time limit set, if nothing is
// to be done.
func BenchmarkSweep(b *testing.B) {
	for _, conns := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			s := &Server{IdleTimeout: time.Hour, MaxLifetime: 24 * time.Hour}
			all := make([]*Conn, conns)
			for i := range all {
				all[i] = s.connOver(new(nowhere))
				all[i].open(Handshake{})
			}
			rand.Shuffle(conns, func(i, j int) { // as after many have come and gone
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
