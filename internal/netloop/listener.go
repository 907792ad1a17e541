//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// This file adds sockets to the polled loop.
//
//	duplicate  duplicates the descriptor of a net.TCPConn. Loop.Start then closes
//	           the original, which releases the runtime's poller, buffers and
//	           goroutines.
//	acceptor   duplicates the connections of a listener. On Linux, it duplicates
//	           the first of those that wait to be accepted, and calls accept(2)
//	           for the rest: setting up a connection in package net and
//	           duplicating it are ten of the twenty system calls of a short
//	           connection.
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
	controlErr := raw.Control(func(fd uintptr) { dup, err = sysDuplicate(int(fd)) })
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
func (l *polledLoop) serve(ln *net.TCPListener, open Open) error {
	if _, err := l.enter(); err != nil { // the pollers run as long as there is a listener
		return err
	}
	defer l.leave()
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	a := newAcceptor(l, ln, raw, open)
	return acceptAll(ln, l.Log, a.accept)
}

// add serves the connection fd.
func (a *acceptor) add(fd int, addrs addrPair) {
	if err := a.loop.add(fd, addrs, a.open, nil, nil); err != nil {
		syscall.Close(fd)
		a.loop.Log(err)
	}
}
