//go:build !portable

package server

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
)

// This file is how sockets come to the epoll loop.
//
//	takeOver    of a net.TCPConn a duplicate is taken, and the original closed: Go's poller, buffers and goroutines are
//	            rid of it. That is how Run and Adopt do it.
//	doorkeeper  of the connections that wait to be accepted, the first is taken over, and the rest accepted directly: to
//	            be set up by package net, and taken over, is ten of the twenty system calls of a short connection.
//
// One goroutine accepts for all pollers. That each of them accepts by itself, told by EPOLLEXCLUSIVE, was measured: it costs the
// same, and nobody would notice that the program closes the listener.

// run serves nc. start, if it is not nil, is received before anything is read; ended, if it is not nil, is closed at the end.
// The error is that nc cannot be served, and nothing has happened to it.
func (l *epollLoop) run(nc *net.TCPConn, open func(*Conn, transport), start []byte, ended chan struct{}) error {
	fd, addrs, err := takeOver(nc, &l.addrs)
	if err != nil {
		return err
	}
	if err := l.add(fd, addrs, open, start, ended); err != nil {
		syscall.Close(fd)
		return err
	}
	nc.Close()
	return nil
}

// takeOver returns another descriptor for tcp's connection, which the caller closes then, and its addresses; last is for those.
func takeOver(tcp *net.TCPConn, last *atomic.Pointer[addrs]) (fd int, addrs addrPair, err error) {
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

// addrPortOfNet returns an address of package net. It is not valid if the
// system did not know it any more: that of a client that has gone before
// net.FileConn was called.
func addrPortOfNet(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// serve accepts from ln until it is closed. An error that may pass, such as too many open files, is reported and waited
// out.
func (l *epollLoop) serve(ln *net.TCPListener, open func(*Conn, transport), report func(error)) error {
	if _, err := l.enter(); err != nil { // the pollers stay as long as there is a listener
		return err
	}
	defer l.leave()
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	d := &doorkeeper{loop: l, raw: raw, open: open, report: report, local: ln.Addr().(*net.TCPAddr).AddrPort()}
	return acceptAll(ln, report, d.admit)
}

// A doorkeeper admits connections of one listener.
//
// It waits in net.Listener.Accept, because only that ends when the listener is closed, keeps to its deadline, and says what is
// wrong with it. When it has got a connection there, others often wait too: those it accepts without package net.
type doorkeeper struct {
	loop   *epollLoop
	raw    syscall.RawConn // of the listener
	open   func(*Conn, transport)
	report func(error)
	local  netip.AddrPort // of the listener

	manner  manner
	values  [len(options)]int // of options, once there was a connection
	waiting [16]visitor
}

// A visitor is a connection that was accepted directly.
type visitor struct {
	fd     int
	remote syscall.Sockaddr
}

// manner is how connections can be accepted.
type manner uint8

const (
	byNet    manner = iota // by package net
	fitted                 // directly; but they may be older than the options of the listener, and have to be given them
	directly               // directly: they are as package net would have made them
)

// admit serves nc, and what else waits.
func (d *doorkeeper) admit(nc net.Conn) {
	fd, addrs, err := takeOver(nc.(*net.TCPConn), &d.loop.addrs)
	if err != nil {
		d.report(err)
	} else {
		if d.manner == byNet {
			d.learn(fd)
		}
		d.serve(fd, addrs)
	}
	nc.Close()
	for d.manner != byNet && d.admitSome() {
	}
}

// serve serves the connection fd.
func (d *doorkeeper) serve(fd int, addrs addrPair) {
	if err := d.loop.add(fd, addrs, d.open, nil, nil); err != nil {
		syscall.Close(fd)
		d.report(err)
	}
}

// options are what package net sets of each connection that it accepts, as net.ListenConfig says. Connections inherit them from
// their listener.
var options = [...]struct{ level, option int }{
	{syscall.IPPROTO_TCP, syscall.TCP_NODELAY},
	{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
}

// learn sets the options of the listener to those of a connection that package net has accepted. If that is not possible, as
// with options that Multipath TCP does not know, it stays as it is.
func (d *doorkeeper) learn(fd int) {
	for i, o := range options {
		value, err := syscall.GetsockoptInt(fd, o.level, o.option)
		if err != nil {
			return
		}
		d.values[i] = value
	}
	err := net.ErrClosed
	if d.raw.Control(func(listener uintptr) { err = d.fit(int(listener)) }) == nil && err == nil {
		d.manner = fitted
	}
}

// fit gives a socket the options.
func (d *doorkeeper) fit(fd int) error {
	for i, o := range options {
		if err := syscall.SetsockoptInt(fd, o.level, o.option, d.values[i]); err != nil {
			return err
		}
	}
	return nil
}

// admitSome serves some of the connections that wait, and reports whether there may be more. If one cannot be accepted, Accept
// will say why.
func (d *doorkeeper) admitSome() (more bool) {
	n, none := 0, false
	err := d.raw.Control(func(listener uintptr) {
		if syscall.SetNonblock(int(listener), true) != nil { // the program may have made it blocking since: see setNonblock
			return
		}
		for n < len(d.waiting) {
			fd, remote, err := syscall.Accept4(int(listener), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if err != nil {
				none = err == syscall.EAGAIN
				return
			}
			d.waiting[n] = visitor{fd, remote}
			n++
		}
	})
	for _, v := range d.waiting[:n] {
		if d.manner == fitted {
			_ = d.fit(v.fd) // if it does not work, the client has gone
		}
		d.serve(v.fd, newAddrPair(d.localOf(v.fd), addrPortOf(v.remote), &d.loop.addrs))
	}
	if none {
		d.manner = directly // all that come from now on have the options
	}
	return err == nil && n == len(d.waiting)
}

// localOf returns the address of this side of a connection: that of the listener, unless that listens on all.
func (d *doorkeeper) localOf(fd int) netip.AddrPort {
	if d.local.Addr().IsUnspecified() {
		if local, err := syscall.Getsockname(fd); err == nil {
			return addrPortOf(local)
		}
	}
	return d.local
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
