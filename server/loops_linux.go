//go:build !portable

package server

import "net"

// loops are the loops of a Server: TCP goes by epoll, all else by goroutines.
type loops struct{ epoll *epollLoop } // made when it is needed

// serve accepts connections of ln until it is closed.
func (s *Server) serve(ln net.Listener) error {
	if tcp, ok := ln.(*net.TCPListener); ok {
		return s.epoll().serve(tcp, s.begin, s.report)
	}
	return s.goroutines().serve(ln, s.begin, s.report)
}

// run serves one connection until it has ended.
func (s *Server) run(nc net.Conn, first func(*Conn) (rest []byte, more bool)) *Conn {
	var c *Conn
	open := func(made *Conn, t transport) {
		c = made
		s.begin(c, t)
	}
	if tcp, ok := nc.(*net.TCPConn); ok && s.epoll().run(tcp, open, first) == nil {
		return c
	}
	s.goroutines().serveOne(nc, open, first)
	return c
}

func (s *Server) epoll() *epollLoop {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loops.epoll == nil {
		s.loops.epoll = &epollLoop{
			writeTimeout: orDefault(s.WriteTimeout, DefaultWriteTimeout),
			counters:     &s.counters,
		}
	}
	return s.loops.epoll
}
