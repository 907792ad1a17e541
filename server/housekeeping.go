package server

import (
	"sync/atomic"
	"time"
)

// This file looks after the connections' time limits: one goroutine for all of a
// server's connections, which looks at each of them at every tick of a coarse
// clock, so that a connection needs no timer.

// watch is what is known of a connection's signs of life, in ticks of the
// server's clock.
type watch struct {
	busy atomic.Int64 // since when a handler has been running, plus 1: nothing can be read meanwhile; 0 if none
	seen atomic.Int64 // when something came last, or a handler returned

	// The housekeeper's own.
	began   int64 // when it was first looked at
	pinged  int64 // when it was pinged last
	closing int64 // when it was first seen to wait for the client's Close
}

func (w *watch) alive(tick int64) { w.seen.Store(tick) }

// enter and leave stand around what handlers are called in.
func (w *watch) enter(tick int64) { w.busy.Store(tick + 1) }

func (w *watch) leave(tick int64) {
	w.alive(tick)
	w.busy.Store(0)
}

// late reports whether the client's Close has not come by the deadline. As long
// as a handler runs that was called before, the Close may have come and lie there
// unread; a handler that was called afterwards shows that something else came.
func (w *watch) late(now, deadline int64) bool {
	busy := w.busy.Load()
	return now >= deadline && (busy == 0 || busy-1 > deadline)
}

// The clock ticks between 100 times and once in a second.
const (
	shortestPeriod = 10 * time.Millisecond
	longestPeriod  = time.Second
)

// schedule is the server's timeouts, in ticks; 0 means none.
type schedule struct {
	period                       time.Duration
	handshake, close, ping, pong int64
}

// schedule returns the server's timeouts in ticks.
func (s *Server) schedule() schedule {
	timeouts := [...]time.Duration{
		orDefault(s.HandshakeTimeout, DefaultHandshakeTimeout),
		orDefault(s.CloseTimeout, DefaultCloseTimeout),
		orDefault(s.PingInterval, DefaultPingInterval),
		orDefault(s.PongTimeout, DefaultPongTimeout),
	}
	sch := schedule{period: longestPeriod}
	for _, d := range timeouts {
		if d > 0 {
			sch.period = max(min(sch.period, d/4), shortestPeriod)
		}
	}
	for i, ticks := range [...]*int64{&sch.handshake, &sch.close, &sch.ping, &sch.pong} {
		if d := timeouts[i]; d > 0 {
			*ticks = int64((d + sch.period - 1) / sch.period)
		}
	}
	return sch
}

// keepHouse starts the housekeeper. The caller holds mu.
func (s *Server) keepHouse() {
	s.house = make(chan struct{})
	go s.housekeeper(s.house, s.schedule())
}

// leaveHouse ends the housekeeper. The caller holds mu.
func (s *Server) leaveHouse() { close(s.house) }

// housekeeper looks at all connections at every tick, until stop is closed.
func (s *Server) housekeeper(stop chan struct{}, sch schedule) {
	ticker := time.NewTicker(sch.period)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			now := s.tick.Add(1)
			s.mu.Lock()
			for c := range s.conns {
				c.inspect(now, &sch, s)
			}
			s.mu.Unlock()
		}
	}
}

// inspect holds a connection against its time limits. What might block, because
// it writes, gets a goroutine.
func (c *Conn) inspect(now int64, sch *schedule, s *Server) {
	w := &c.watch
	if w.began == 0 {
		w.began = now
	}
	switch c.phase.Load() {
	case openingPhase:
		if sch.handshake > 0 && now-w.began >= sch.handshake {
			go c.cut(&silence{"no opening handshake", orDefault(s.HandshakeTimeout, DefaultHandshakeTimeout), "HandshakeTimeout"})
		}
		return
	case endedPhase:
		return
	}
	behind := !c.takesMore() // what came lies there unread, as long as the program is behind
	if c.State() == Closing && sch.close > 0 && !behind {
		if w.closing == 0 {
			w.closing = now
		}
		if w.late(now, w.closing+sch.close) {
			go c.cut(&silence{"no Close from the client", orDefault(s.CloseTimeout, DefaultCloseTimeout), "CloseTimeout"})
			return
		}
	}
	if w.busy.Load() != 0 || behind {
		w.alive(now)
		return
	}
	seen := w.seen.Load()
	switch {
	case sch.ping == 0 || now-seen <= sch.ping: // what was seen may have come at the end of its tick
	case w.pinged <= seen:
		w.pinged = now
		go c.endpoint.Ping(nil)
	case sch.pong > 0 && now-w.pinged >= sch.pong:
		go c.cut(&silence{"no sign of life after a Ping", orDefault(s.PongTimeout, DefaultPongTimeout), "PongTimeout"})
	}
}
