//go:build !linux || portable

package server

import "net"

// loops are the loops of a Server: there is nothing to keep of the one there is.
type loops struct{}

// serve accepts connections of ln until it is closed.
func (s *Server) serve(ln net.Listener) error {
	return s.goroutines().serve(ln, s.startConn, s.report)
}

// runElsewhere would have nc served without a goroutine of its own. It reports that
// this is not possible.
func (s *Server) runElsewhere(net.Conn, func(*Conn, transport), []byte, chan struct{}) bool {
	return false
}
