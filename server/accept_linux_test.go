//go:build !portable

package server

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// acceptTogether starts a server on a listener in whose queue n connections
// wait, and opens n more at the same time later. It returns the server's
// connections in the order of the clients. The clients are closed at the end of
// the test.
func acceptTogether(t *testing.T, ln net.Listener, n int) (conns []*Conn, clients []net.Conn) {
	t.Helper()
	addr := ln.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		addr = &net.TCPAddr{IP: net.IPv6loopback, Port: addr.Port}
		if ln.Addr().Network() == "tcp4" || addr.IP.To4() != nil {
			addr.IP = net.IPv4(127, 0, 0, 1)
		}
	}
	connect := func() {
		for range n {
			nc, err := net.Dial("tcp", addr.String())
			check.Must(t, err)
			t.Cleanup(func() { nc.Close() })
			check.Must(t, check.Err(nc.Write([]byte(upgradeRequests["minimal"]))))
			clients = append(clients, nc)
		}
	}
	connect()
	opened := make(chan *Conn, 2*n)
	s := &Server{Handler: Handler{Open: func(c *Conn) { opened <- c }}}
	served := make(chan error)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		for _, nc := range clients {
			nc.Close()
		}
		if err := s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		<-served
	})
	found := map[string]*Conn{}
	for i := range 2 * n {
		if i == n {
			connect()
		}
		select {
		case c := <-opened:
			found[c.RemoteAddr().String()] = c
		case <-time.After(10 * time.Second):
			t.Fatal("a connection was not opened")
		}
	}
	for _, nc := range clients {
		conns = append(conns, found[nc.LocalAddr().String()])
	}
	return conns, clients
}

// The server and the client see the same addresses of a connection, for
// connections accepted one by one and together.
func TestAddressesOfConnectionsAcceptedTogether(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0", "0.0.0.0:0"} {
		t.Run(addr, func(t *testing.T) {
			ln, err := net.Listen("tcp", addr)
			check.Must(t, err)
			conns, clients := acceptTogether(t, ln, 40)
			for i, nc := range clients {
				c := conns[i]
				if c == nil {
					t.Errorf("no connection is known to be from %v", nc.LocalAddr())
					continue
				}
				if got, want := c.LocalAddr().String(), nc.RemoteAddr().String(); got != want {
					t.Errorf("RemoteAddr is %s, the client has %s", got, want)
				}
			}
		})
	}
}

// Lack of descriptors is reported, and the server retries.
func TestTooManyOpenFilesAreWaitedOut(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	reported := make(chan error, 100)
	s := &Server{
		Handler: Handler{Message: func(c *Conn, op wire.Opcode, p []byte) { c.Send(op, p) }},
		Log:     func(err error) { reported <- err },
	}
	served := make(chan error)
	go func() { served <- s.Serve(ln) }()
	dial := func() net.Conn {
		t.Helper()
		nc, err := net.Dial("tcp", ln.Addr().String())
		check.Must(t, err)
		nc.SetDeadline(time.Now().Add(10 * time.Second))
		return nc
	}
	answered := func(nc net.Conn) error {
		if _, err := nc.Write([]byte(upgradeRequests["minimal"])); err != nil {
			return err
		}
		_, err := nc.Read(make([]byte, 1000))
		return err
	}
	first := dial()
	if err := answered(first); err != nil { // the server has opened all descriptors that it needs
		t.Fatal(err)
	}

	var limit syscall.Rlimit
	check.Must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	free, err := os.Open(os.DevNull) // gets the lowest free descriptor
	check.Must(t, err)
	low := syscall.Rlimit{Cur: uint64(free.Fd()) + 1, Max: limit.Max}
	free.Close()
	check.Must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	restore := func() {
		check.Must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	}
	defer restore()
	second := dial() // uses the last descriptor
	select {
	case err := <-reported:
		if !errors.Is(err, syscall.EMFILE) {
			t.Errorf("reported: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("no error is reported")
	}
	restore()
	check.OK(t, answered(second))
	first.Close()
	second.Close()
	check.OK(t, s.Shutdown(t.Context()))
	<-served
}

// A listener closed by the application ends Serve. Connections stay open.
func TestClosedListenerEndsServe(t *testing.T) {
	opened := make(chan *Conn, 1)
	s := &Server{Handler: Handler{Open: func(c *Conn) { opened <- c }}}
	listeners, served := make([]net.Listener, 3), make([]chan error, 3)
	for i := range listeners {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		check.Must(t, err)
		listeners[i], served[i] = ln, make(chan error, 1)
		go func() { served[i] <- s.Serve(ln) }()
	}
	for i, ln := range listeners {
		nc, err := net.Dial("tcp", ln.Addr().String())
		check.Must(t, err)
		nc.Write([]byte(upgradeRequests["minimal"]))
		c := <-opened
		ln.Close()
		if err := <-served[i]; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
		if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			t.Error("the listener is still open")
		}
		if c.State() != Open {
			t.Error("the connection is not open any more")
		}
		nc.Close()
	}
	check.OK(t, s.Shutdown(t.Context()))
}
