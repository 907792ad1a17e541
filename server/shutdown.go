package server

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// Shutdown ends the server. It closes the listeners, refuses handshakes with
// status 503, closes all connections with 1001, and waits until they have ended
// and Handler.Serve has returned. If ctx ends first, Shutdown aborts the
// remaining connections and returns ctx's error. A client that has connected
// and sent nothing is disconnected at once. The server cannot be used again.
//
// The connections are closed over the time of Server.ShutdownSpread, but not
// more than half of the time that ctx has left, so that all clients can answer.
// A connection is served until it is closed.
//
// http.Server.Shutdown does not end connections of package httpupgrade. Call
// Shutdown after it, or by http.Server.RegisterOnShutdown.
func (s *Server) Shutdown(ctx context.Context) error {
	empty, closed := s.stop()
	s.closeConns(ctx, empty)
	if err := await(ctx, empty); err != nil {
		for _, c := range s.snapshot() {
			go c.abort(nil) // waits for a write, which it makes fail
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

// closeConns closes all connections, over the time of ShutdownSpread. It
// returns when all are closed, or there are none, or ctx has ended.
func (s *Server) closeConns(ctx context.Context, empty <-chan struct{}) {
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
			if c.isOpen() { // callOpen closes one that is opening
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

// stop closes the listeners. It returns a channel that is closed when there are
// no connections, and one that is closed when all listeners are closed.
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
