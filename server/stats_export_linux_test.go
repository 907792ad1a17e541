//go:build !portable

package server

// SetMaxDisplaced bounds the handlers that may be displaced, in place of the
// default. It is for a server that does not serve yet.
func (s *Server) SetMaxDisplaced(n int) { s.epoll().maxDisplaced = n }
