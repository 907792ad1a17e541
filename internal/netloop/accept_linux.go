//go:build !portable

package netloop

import (
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// An acceptor accepts connections from one listener.
//
// It waits in net.Listener.Accept, because only that returns when the listener
// is closed, observes its deadline, and returns its errors. More connections
// often wait behind the first: the acceptor accepts them without package net.
type acceptor struct {
	loop  *polledLoop
	raw   syscall.RawConn // of the listener
	open  Open
	local netip.AddrPort // of the listener

	mode    acceptMode
	values  [len(sockopts)]int // of sockopts, once there was a connection
	waiting [16]accepted
}

// accepted is a connection that accept(2) has returned.
type accepted struct {
	fd     int
	remote syscall.Sockaddr
}

// newAcceptor returns an acceptor of ln, whose descriptor is raw's.
func newAcceptor(l *polledLoop, ln *net.TCPListener, raw syscall.RawConn, open Open) *acceptor {
	return &acceptor{loop: l, raw: raw, open: open, local: ln.Addr().(*net.TCPAddr).AddrPort()}
}

// acceptMode is how connections can be accepted.
type acceptMode uint8

const (
	acceptNet    acceptMode = iota // by package net
	acceptSetOpt                   // by accept(2); they may be older than the options of the listener, which are set for each
	acceptDirect                   // by accept(2); they have the options that package net would have set
)

// accept serves nc, and the connections that wait behind it.
func (a *acceptor) accept(nc net.Conn) {
	fd, addrs, err := duplicate(nc.(*net.TCPConn), &a.loop.addrs)
	if err != nil {
		a.loop.Log(err)
	} else {
		if a.mode == acceptNet {
			a.readSockopts(fd)
		}
		a.add(fd, addrs)
	}
	nc.Close()
	for a.mode != acceptNet && a.acceptSome() {
	}
}

// sockopts are the options that package net sets for each connection that it
// accepts, as net.ListenConfig says. Connections inherit them from their
// listener.
var sockopts = [...]struct{ level, option int }{
	{syscall.IPPROTO_TCP, syscall.TCP_NODELAY},
	{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
}

// readSockopts sets the options of the listener to those of a connection that
// package net has accepted. If that is not possible, as with options that
// Multipath TCP does not know, the mode stays as it is.
func (a *acceptor) readSockopts(fd int) {
	for i, o := range sockopts {
		value, err := syscall.GetsockoptInt(fd, o.level, o.option)
		if err != nil {
			return
		}
		a.values[i] = value
	}
	err := net.ErrClosed
	if a.raw.Control(func(listener uintptr) { err = a.applySockopts(int(listener)) }) == nil && err == nil {
		a.mode = acceptSetOpt
	}
}

// applySockopts sets the options of a socket.
func (a *acceptor) applySockopts(fd int) error {
	for i, o := range sockopts {
		if err := syscall.SetsockoptInt(fd, o.level, o.option, a.values[i]); err != nil {
			return err
		}
	}
	return nil
}

// acceptSome serves some of the connections that wait, and reports whether
// there may be more. If one cannot be accepted, Accept will return the reason.
func (a *acceptor) acceptSome() (more bool) {
	n, none := 0, false
	err := a.raw.Control(func(listener uintptr) {
		if syscall.SetNonblock(int(listener), true) != nil { // the program may have made it blocking since: see setNonblock
			return
		}
		for n < len(a.waiting) {
			fd, remote, err := syscall.Accept4(int(listener), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if err != nil {
				none = err == syscall.EAGAIN
				return
			}
			a.waiting[n] = accepted{fd, remote}
			n++
		}
	})
	for _, c := range a.waiting[:n] {
		if a.mode == acceptSetOpt {
			_ = a.applySockopts(c.fd) // it fails if the peer has closed
		}
		a.add(c.fd, newAddrPair(a.localOf(c.fd), addrPortOf(c.remote), &a.loop.addrs))
	}
	if none {
		a.mode = acceptDirect // all connections from now on have the options
	}
	return err == nil && n == len(a.waiting)
}

// localOf returns the address of this side of a connection: that of the
// listener, unless it listens on all addresses.
func (a *acceptor) localOf(fd int) netip.AddrPort {
	if a.local.Addr().IsUnspecified() {
		if local, err := syscall.Getsockname(fd); err == nil {
			return addrPortOf(local)
		}
	}
	return a.local
}

// addrPortOf returns an address as package net has it.
func addrPortOf(sa syscall.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *syscall.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			addr = addr.WithZone(zone(int(sa.ZoneId)))
		}
		return netip.AddrPortFrom(addr, uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// zone returns the name of a network interface.
func zone(index int) string {
	if i, err := net.InterfaceByIndex(index); err == nil {
		return i.Name
	}
	return strconv.Itoa(index)
}
