//go:build !portable

package server

import (
	"net/netip"
	"sync/atomic"
)

// addrPair is both addresses of a connection, in little room: most connections of a server have the same local one.
type addrPair struct {
	known *addrs   // with the local address
	ip    [16]byte // of the client
	port  uint16   // of the client
	zoned bool     // the client's address, which has a zone, is in known
}

// addrs are addresses that an addrPair does not hold itself.
type addrs struct{ local, zoned netip.AddrPort }

// newAddrPair returns a pair that shares the local address, if that is the same, with the one made last.
func newAddrPair(local, remote netip.AddrPort, last *atomic.Pointer[addrs]) (a addrPair) {
	a.known = last.Load()
	a.zoned = remote.Addr().Zone() != ""
	switch {
	case a.zoned:
		a.known = &addrs{local: local, zoned: remote}
	case a.known == nil || a.known.local != local:
		a.known = &addrs{local: local}
		last.Store(a.known)
	}
	a.ip, a.port = remote.Addr().As16(), remote.Port()
	return a
}

func (a *addrPair) local() netip.AddrPort { return unmapped(a.known.local) }

func (a *addrPair) remote() netip.AddrPort {
	if a.zoned {
		return a.known.zoned
	}
	return unmapped(netip.AddrPortFrom(netip.AddrFrom16(a.ip), a.port))
}

// unmapped shows an address of IPv4 that came over an IPv6 socket as what it is.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
