//go:build !portable

package server

import "net"

// loops are the loops of a Server: TCP goes by epoll, all else by goroutines.
type loops struct{ epoll *epollLoop } // made when it is needed

// serve accepts connections of ln until it is closed.
func (s *Server) serve(ln net.Listener) error {
	if tcp, ok := ln.(*net.TCPListener); ok {
		return s.epoll().serve(tcp, s.startConn, s.report)
	}
	return s.goroutines().serve(ln, s.startConn, s.report)
}

// runElsewhere has nc served without a goroutine of its own, if that is possible, and
// reports whether it is. start is received before anything is read; ended, if it is
// not nil, is closed at the end.
func (s *Server) runElsewhere(nc net.Conn, open func(*Conn, transport), start []byte, ended chan struct{}) bool {
	tcp, ok := nc.(*net.TCPConn)
	return ok && s.epoll().run(tcp, open, start, ended) == nil
}

func (s *Server) epoll() *epollLoop {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loops.epoll == nil {
		s.loops.epoll = &epollLoop{
			writeTimeout: orDefault(s.WriteTimeout, DefaultWriteTimeout),
			maxBlocked:   orDefault(s.MaxBlocked, DefaultMaxBlocked),
			counters:     &s.counters,
		}
	}
	return s.loops.epoll
}
