//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"net"
	"net/netip"
	"sync/atomic"
)

// addrPair holds both addresses of a connection in few bytes: most connections
// of a server have the same local address.
type addrPair struct {
	known *addrs   // with the local address
	ip    [16]byte // of the peer
	port  uint16   // of the peer
	zoned bool     // the peer's address, which has a zone, is in known
}

// addrs are addresses that an addrPair does not hold itself.
type addrs struct{ local, zoned netip.AddrPort }

// newAddrPair returns a pair that shares the local address, if that is the
// same, with the one made last.
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

// unmapped returns an IPv4 address for one that is mapped to IPv6.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// addrPortOfNet returns an address of package net. It is invalid if the kernel
// did not know the address: a peer may have closed before net.FileConn was
// called.
func addrPortOfNet(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}
