//go:build !portable

package netloop

import (
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
)

// This file adds sockets to the epoll loop.
//
//	duplicate  duplicates the descriptor of a net.TCPConn. Loop.Start then closes
//	           the original, which releases the runtime's poller, buffers and
//	           goroutines.
//	acceptor   duplicates the first of the connections that wait to be accepted,
//	           and calls accept(2) for the rest: setting up a connection in
//	           package net and duplicating it are ten of the twenty system
//	           calls of a short connection.
//
// One goroutine accepts for all pollers. Accepting in each of them, by
// EPOLLEXCLUSIVE, was measured: it costs the same, and it would not notice that
// the program closes the listener.

// duplicate returns a duplicate of tcp's descriptor, and tcp's addresses. last
// caches addresses. The caller closes tcp.
func duplicate(tcp *net.TCPConn, last *atomic.Pointer[addrs]) (fd int, addrs addrPair, err error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, addrs, err
	}
	dup := -1
	controlErr := raw.Control(func(fd uintptr) {
		const fDupfdCloexec = 1030
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, fDupfdCloexec, 0)
		if errno != 0 {
			err = errno
			return
		}
		dup = int(n)
	})
	if controlErr != nil {
		err = controlErr
	}
	if err != nil {
		return -1, addrs, err
	}
	if err := syscall.SetNonblock(dup, true); err != nil { // the program may have made it blocking, by File().Fd()
		syscall.Close(dup)
		return -1, addrs, os.NewSyscallError("fcntl", err)
	}
	return dup, newAddrPair(addrPortOfNet(tcp.LocalAddr()), addrPortOfNet(tcp.RemoteAddr()), last), nil
}

// serve accepts from ln until it is closed. An error that may pass, such as too
// many open files, is logged and waited out.
func (l *epollLoop) serve(ln *net.TCPListener, open Open) error {
	if _, err := l.enter(); err != nil { // the pollers run as long as there is a listener
		return err
	}
	defer l.leave()
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	a := &acceptor{loop: l, raw: raw, open: open, local: ln.Addr().(*net.TCPAddr).AddrPort()}
	return acceptAll(ln, l.Log, a.accept)
}

// An acceptor accepts connections from one listener.
//
// It waits in net.Listener.Accept, because only that returns when the listener
// is closed, observes its deadline, and returns its errors. More connections
// often wait behind the first: the acceptor accepts them without package net.
type acceptor struct {
	loop  *epollLoop
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

// add serves the connection fd.
func (a *acceptor) add(fd int, addrs addrPair) {
	if err := a.loop.add(fd, addrs, a.open, nil, nil); err != nil {
		syscall.Close(fd)
		a.loop.Log(err)
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
