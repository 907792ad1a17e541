package server_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
)

// A socket inherited from another process has no remote address for package net
// if its client has reset it. Adopt and Run report its end like any other. They
// used to panic, and RemoteAddr would have returned nil.
func TestFileConnOfAResetClient(t *testing.T) {
	each(t, ours, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		handed := func() (nc net.Conn) {
			passed, theirs := tcpPair(t)
			f, err := passed.File()
			check.Must(t, err)
			defer f.Close()
			passed.Close()
			(&peer{nc: theirs}).reset()
			for nc == nil || nc.RemoteAddr() != nil {
				if nc != nil {
					nc.Close()
				}
				nc, err = net.FileConn(f)
				check.Must(t, err)
			}
			return wrap(nc)
		}
		rec := newRecorder(t)
		h := rec.handler()
		h.Open = func(c *server.Conn) { rec.note("open %v", c.RemoteAddr().String() != "") }
		s := &server.Server{Handler: h, MaxConnsPerAddr: 1}
		s.Adopt(handed(), server.Handshake{})
		rec.want("open true", "lost", `close 1006 ""`)
		if err := s.Run(handed(), server.Handshake{}); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Run returned %v", err)
		}
		rec.want("open true", "lost", `close 1006 ""`)
		shutdown(t, s)
	})
}

// A listener made blocking by the application, with File().Fd() or os/exec,
// accepts like any other. Connections used to wait for 15 others, and Shutdown
// for the next one.
func TestListenerMadeBlocking(t *testing.T) {
	t.Parallel()
	starters := map[string]func(t *testing.T, s *server.Server, ln net.Listener) *running{"system's": serve}
	addListenTLS(starters)
	each(t, starters, func(t *testing.T, start func(t *testing.T, s *server.Server, ln net.Listener) *running) {
		ln := listenTCP(t)
		block := func() {
			f, err := ln.(*net.TCPListener).File()
			check.Must(t, err)
			f.Fd()
			f.Close()
		}
		block()
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}}, ln)
		for range 4 {
			p := s.open(t)
			p.echo("Hello")
			p.nc.Close()
			block()
		}
		shutdown(t, s.Server)
	})
}
