//go:build notls

package server

import "net"

// TLSConfig is empty, because of the build tag notls.
type TLSConfig struct{}

// serveListener serves the connections of ln.
func (s *Server) serveListener(ln net.Listener) error { return s.loop().Serve(ln, s.openAccepted) }
