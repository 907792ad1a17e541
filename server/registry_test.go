//go:build !race && !lockcheck

package server

import (
	"math/rand/v2"
	"net"
	"testing"
)

// Connections that come and go in any order are found as long as they are there,
// and no memory is kept for those that are not.
func TestConnectionsKnowTheirPlace(t *testing.T) {
	s := new(Server)
	alive := map[*Conn]bool{}
	check := func() {
		t.Helper()
		if len(s.conns) != len(alive) {
			t.Fatalf("%d connections, want %d", len(s.conns), len(alive))
		}
		for i, c := range s.conns {
			if !alive[c] || int(c.place) != i {
				t.Fatalf("place %d holds a connection that is alive: %v, and has place %d", i, alive[c], c.place)
			}
		}
	}
	const most = 20 * fewConns
	for range most {
		c := s.connOver(new(nowhere))
		c.open(Handshake{})
		alive[c] = true
	}
	for len(alive) > 0 {
		for c := range alive { // in any order
			delete(alive, c)
			c.lost(net.ErrClosed)
			if rand.IntN(10) == 0 && len(alive) > 0 {
				c := s.connOver(new(nowhere))
				c.open(Handshake{})
				alive[c] = true
			}
			if len(alive)%1000 == 0 {
				check()
			}
			if n := len(alive); cap(s.conns) > max(8*n, fewConns) {
				t.Fatalf("room for %d connections is kept for %d", cap(s.conns), n)
			}
		}
	}
	check()
	if s.conns != nil {
		t.Error("room is kept for none")
	}
}
