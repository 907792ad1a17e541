package server

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/fibersock/fibersock/handshake"
)

// This file bounds the number of connections. One that exceeds a limit is
// closed when it has been accepted: nothing is read from it, so that there is
// no request to answer.

// CapacityError reports a connection that exceeded a limit on their number. It
// is the cause of a RefusedError.
type CapacityError struct {
	Max    int          // the limit
	Option string       // the option that sets it
	From   netip.Prefix // the address, with MaxConnsPerAddr
}

// Error returns a text with the limit and its option.
func (e *CapacityError) Error() string {
	from := ""
	if e.From.IsValid() {
		from = " from " + e.From.String()
	}
	return fmt.Sprintf("websocket: too many connections%s: limit is %d (%s)", from, e.Max, e.Option)
}

// connCounter counts connections by address, if their number is limited.
type connCounter struct {
	from   map[*Conn]netip.Prefix
	counts map[netip.Prefix]int
}

// add counts c, and reports whether its address has fewer than limit
// connections.
func (n *connCounter) add(c *Conn, from netip.Prefix, limit int) bool {
	if n.counts == nil {
		n.from, n.counts = make(map[*Conn]netip.Prefix), make(map[netip.Prefix]int)
	}
	if n.counts[from] >= limit {
		return false
	}
	n.counts[from]++
	n.from[c] = from
	return true
}

// remove ends the counting of c, if it is counted.
func (n *connCounter) remove(c *Conn) {
	from, counted := n.from[c]
	if !counted {
		return
	}
	delete(n.from, c)
	if n.counts[from]--; n.counts[from] == 0 {
		delete(n.counts, from)
	}
}

// addrKey returns the part of an address that MaxConnsPerAddr counts: an IPv4
// address, or the network of 64 bits that is the least one user of IPv6 has. It
// is not valid for other addresses.
func addrKey(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.WithZone("").Prefix(bits) // the zero Prefix without an address
	return p
}

// addrKey returns the key of c's address, if MaxConnsPerAddr is set. The caller
// does not hold mu: RemoteAddr may be a method of the application, and block.
func (s *Server) addrKey(c *Conn) netip.Prefix {
	if s.MaxConnsPerAddr <= 0 {
		return netip.Prefix{}
	}
	return addrKey(c.transport.RemoteAddr())
}

// countConn counts c, which is in conns already, and returns the limit that it
// exceeds, if any. The caller holds mu.
func (s *Server) countConn(c *Conn, from netip.Prefix) *CapacityError {
	if s.MaxConns > 0 && len(s.conns) > s.MaxConns {
		return &CapacityError{Max: s.MaxConns, Option: "MaxConns"}
	}
	if from.IsValid() && !s.connCounter.add(c, from, s.MaxConnsPerAddr) {
		return &CapacityError{Max: s.MaxConnsPerAddr, Option: "MaxConnsPerAddr", From: from}
	}
	return nil
}

// full returns an error if a handshake of AcceptHandshake would exceed
// MaxConns.
func (s *Server) full() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.MaxConns > 0 && len(s.conns) >= s.MaxConns {
		return &handshake.Error{Status: 503, Reason: "too many connections (MaxConns)"}
	}
	return nil
}
