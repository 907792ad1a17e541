//go:build !linux || portable

package server

import "net"

// loops are the loops of a Server: there is nothing to keep of the one there is.
type loops struct{}

// serve accepts connections of ln until it is closed.
func (s *Server) serve(ln net.Listener) error {
	return s.goroutines().serve(ln, s.begin, s.report)
}

// run serves one connection until it has ended.
func (s *Server) run(nc net.Conn, first func(*Conn) (rest []byte, more bool)) *Conn {
	var c *Conn
	s.goroutines().serveOne(nc, func(made *Conn, t transport) {
		c = made
		s.begin(c, t)
	}, first)
	return c
}
