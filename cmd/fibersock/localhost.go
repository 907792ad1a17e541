package main

import (
	"net"
	"strings"
	"sync"
)

// listenTCP listens on addr. The name localhost is every loopback address there
// is: clients that try ::1 first, and do not try another, connect too.
func listenTCP(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !strings.EqualFold(host, "localhost") {
		return net.Listen("tcp", addr)
	}
	for attempt := 1; ; attempt++ {
		lns, err := listenLoopback(port)
		switch {
		case err == nil && len(lns) > 0:
			return mergeListeners(lns), nil
		case err == nil:
			return net.Listen("tcp", addr)
		case port != "0" && port != "" || attempt == 20: // the port of one may be taken on the other
			return nil, err
		}
	}
}

// listenLoopback listens on one port of the loopback addresses that the system
// has.
func listenLoopback(port string) (lns []net.Listener, err error) {
	for _, ip := range [...]string{"127.0.0.1", "::1"} {
		ln, err := net.Listen("tcp", net.JoinHostPort(ip, port))
		if err != nil && !canListen(ip) {
			continue
		}
		if err != nil {
			for _, ln := range lns {
				ln.Close()
			}
			return nil, err
		}
		lns = append(lns, ln)
		_, port, _ = net.SplitHostPort(ln.Addr().String()) // the system may have chosen it
	}
	return lns, nil
}

// canListen reports whether the system has the address.
func canListen(ip string) bool {
	ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err == nil {
		ln.Close()
	}
	return err == nil
}

// mergedListener accepts the connections of several listeners.
type mergedListener struct {
	listeners []net.Listener
	accepted  chan acceptResult
	closed    chan struct{}
	closeOnce sync.Once
}

type acceptResult struct {
	nc  net.Conn
	err error
}

func mergeListeners(lns []net.Listener) net.Listener {
	if len(lns) == 1 {
		return lns[0]
	}
	m := &mergedListener{listeners: lns, accepted: make(chan acceptResult), closed: make(chan struct{})}
	for _, ln := range lns {
		go m.acceptFrom(ln)
	}
	return m
}

// acceptFrom accepts from ln until m is closed. An error waits until Accept has
// returned it, as one that recurs must not use up the processor.
func (m *mergedListener) acceptFrom(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		select {
		case m.accepted <- acceptResult{nc, err}:
		case <-m.closed:
			if err == nil {
				nc.Close()
			}
			return
		}
	}
}

func (m *mergedListener) Accept() (net.Conn, error) {
	select {
	case r := <-m.accepted:
		return r.nc, r.err
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *mergedListener) Close() error {
	m.closeOnce.Do(func() {
		close(m.closed)
		for _, ln := range m.listeners {
			ln.Close()
		}
	})
	return nil
}

// Addr returns the address of the first listener; they all have its port.
func (m *mergedListener) Addr() net.Addr { return m.listeners[0].Addr() }
