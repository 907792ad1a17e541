package server

import (
	"context"

	"github.com/fibersock/fibersock/wire"
)

// Shutdown ends the server: it stops listening, refuses new handshakes with
// status 503, closes all connections with 1001, waits until they have ended and
// what Handler.Serve runs has returned, and, if ctx ends before that, cuts those
// that are left and returns the error of ctx. The server cannot be used again.
//
// For connections that came by way of net/http, call it from
// http.Server.RegisterOnShutdown or after http.Server.Shutdown, which does not
// know them.
func (s *Server) Shutdown(ctx context.Context) error {
	empty := s.stop()
	for _, c := range s.snapshot() {
		if c.isOpen() {
			go c.Close(wire.GoingAway, "") // may wait for a slow write
		}
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	for _, c := range s.snapshot() {
		go c.cut(nil) // waits for the write that it makes fail
	}
	return ctx.Err()
}

// stop stops listening and returns a channel that is closed when there are no
// connections.
func (s *Server) stop() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for ln := range s.listeners {
		ln.Close()
	}
	empty := s.empty
	if empty == nil {
		empty = make(chan struct{})
		if len(s.conns) == 0 {
			close(empty)
		} else {
			s.empty = empty
		}
	}
	return empty
}
