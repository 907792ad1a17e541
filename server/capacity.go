package server

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/fibersock/fibersock/handshake"
)

// This file bounds how many connections there may be. What is too many is cut when
// it has been accepted, before anything is read from it or answered: that costs
// least, and there is nothing for it to be answered to.

// CapacityError says that a connection was one too many. It is the cause of a
// RefusedError.
type CapacityError struct {
	Max    int          // the limit
	Option string       // the option that sets it
	From   netip.Prefix // whence there were so many, with MaxConnsPerAddr
}

// Error names the limit, its value and the option that sets it.
func (e *CapacityError) Error() string {
	from := ""
	if e.From.IsValid() {
		from = " from " + e.From.String()
	}
	return fmt.Sprintf("websocket: too many connections%s: no more than %d at a time (%s)", from, e.Max, e.Option)
}

// connCounter knows how many connections there are from where, if that is limited.
type connCounter struct {
	from   map[*Conn]netip.Prefix
	counts map[netip.Prefix]int
}

// origin returns what of an address counts as one: an IPv4 address, or the network
// of 64 bits that one user of IPv6 has at least. It is not valid for what has none.
func origin(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.WithZone("").Prefix(bits) // the zero Prefix, if there is no address
	return p
}

// origin returns where c comes from, if MaxConnsPerAddr limits that. The caller does not
// hold mu: RemoteAddr may be a method of the program's own, and wait for the client.
func (s *Server) origin(c *Conn) netip.Prefix {
	if s.MaxConnsPerAddr <= 0 {
		return netip.Prefix{}
	}
	return origin(c.transport.RemoteAddr())
}

// countConn counts c, which is in conns already and comes from there, and returns which
// limit it breaks. The caller holds mu.
func (s *Server) countConn(c *Conn, from netip.Prefix) *CapacityError {
	if s.MaxConns > 0 && len(s.conns) > s.MaxConns {
		return &CapacityError{Max: s.MaxConns, Option: "MaxConns"}
	}
	if !from.IsValid() {
		return nil
	}
	n := &s.connCounter
	if n.counts == nil {
		n.from, n.counts = make(map[*Conn]netip.Prefix), make(map[netip.Prefix]int)
	}
	if n.counts[from] >= s.MaxConnsPerAddr {
		return &CapacityError{Max: s.MaxConnsPerAddr, Option: "MaxConnsPerAddr", From: from}
	}
	n.counts[from]++
	n.from[c] = from
	return nil
}

// uncountConn is the opposite of countConn. The caller holds mu.
func (s *Server) uncountConn(c *Conn) {
	n := &s.connCounter
	from, counted := n.from[c]
	if !counted {
		return
	}
	delete(n.from, c)
	if n.counts[from]--; n.counts[from] == 0 {
		delete(n.counts, from)
	}
}

// full returns why a handshake that somebody else has read cannot be accepted, nil
// if it can.
func (s *Server) full() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.MaxConns > 0 && len(s.conns) >= s.MaxConns {
		return &handshake.Error{Status: 503, Reason: "too many connections (MaxConns)"}
	}
	return nil
}
