package server

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// Shutdown ends the server: it stops listening, refuses handshakes with status
// 503, closes all connections with 1001, waits until they have ended and what
// Handler.Serve runs has returned, and, if ctx ends before that, cuts those that
// are left and returns the error of ctx. A client that has connected and sent
// nothing is cut at once. The server cannot be used again.
//
// The closings are spread over Server.ShutdownSpread, or over half the time that
// ctx has left if that is shorter, so that all clients can answer. Until its turn
// comes, a connection is served as before.
//
// For connections that came by way of net/http, call it from
// http.Server.RegisterOnShutdown or after http.Server.Shutdown, which does not
// know them.
func (s *Server) Shutdown(ctx context.Context) error {
	empty, closed := s.stop()
	s.dismiss(ctx, empty)
	if err := await(ctx, empty); err != nil {
		for _, c := range s.snapshot() {
			go c.abort(nil) // waits for the write that it makes fail
		}
		return err
	}
	return await(ctx, closed)
}

// await waits until done is closed. If ctx ends first, its error is returned.
func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dismiss closes all connections, spread over a time. It returns when that has been
// done, or there are no connections, or ctx has ended.
func (s *Server) dismiss(ctx context.Context, empty <-chan struct{}) {
	conns := s.snapshot()
	for _, c := range conns {
		if c.isOpening() {
			go c.refuseShutdown() // may wait for a slow write
		}
	}
	spread := max(s.ShutdownSpread, 0)
	if deadline, ok := ctx.Deadline(); ok {
		spread = max(min(spread, time.Until(deadline)/2), 0)
	}
	steps := int64(max(min(spread/shortestPeriod, time.Duration(len(conns))), 1))
	pause := time.NewTimer(0)
	defer pause.Stop()
	for i, done := int64(1), 0; i <= steps; i++ {
		part := conns[done : int64(len(conns))*i/steps]
		for _, c := range part {
			if c.isOpen() { // one that opens now sees by itself that the server is shutting down
				go c.sendClose(wire.GoingAway, "") // may wait for a slow write
			}
		}
		done += len(part)
		if i == steps {
			return
		}
		pause.Reset(spread / time.Duration(steps))
		select {
		case <-pause.C:
		case <-empty:
			return
		case <-ctx.Done():
			return
		}
	}
}

// stop stops listening and returns a channel that is closed when there are no
// connections, and one that is closed when all listeners are.
func (s *Server) stop() (empty, closed chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	closed = make(chan struct{})
	listeners := slices.Collect(maps.Keys(s.listeners))
	go func() {
		defer close(closed)
		for _, ln := range listeners {
			(*ln).Close()
		}
	}()
	empty = s.empty
	if empty == nil {
		empty = make(chan struct{})
		if len(s.conns) == 0 {
			close(empty)
		} else {
			s.empty = empty
		}
	}
	return empty, closed
}
