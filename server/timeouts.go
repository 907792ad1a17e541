package server

import (
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// This file looks after the connections' time limits: one goroutine for all of a
// server's connections, which looks at each of them at every tick of a coarse
// clock, so that a connection needs no timer. What it sees is in watch.go.
//
//	opening          HandshakeTimeout → cut
//	open             MaxLifetime, IdleTimeout → closing handshake with 1001
//	                 AssemblyTimeout → failed with 1008, and soon cut
//	                 PingInterval → heartbeat; PongTimeout → cut
//	closing          CloseTimeout → cut; PingInterval and PongTimeout as before

// The clock ticks between 100 times and once in a second.
const (
	shortestPeriod = 10 * time.Millisecond
	longestPeriod  = time.Second
)

// schedule is the server's time limits, in ticks; 0 means none.
type schedule struct {
	period time.Duration

	handshake, close, ping, pong, idle, assembly, lifetime int32

	drain int32 // how long a failed connection may last
}

// schedule returns the server's time limits in ticks.
func (s *Server) schedule() *schedule {
	sch := &schedule{period: longestPeriod}
	limits := [...]struct {
		d     time.Duration
		ticks *int32
	}{
		{orDefault(s.HandshakeTimeout, DefaultHandshakeTimeout), &sch.handshake},
		{orDefault(s.CloseTimeout, DefaultCloseTimeout), &sch.close},
		{orDefault(s.PingInterval, DefaultPingInterval), &sch.ping},
		{orDefault(s.PongTimeout, DefaultPongTimeout), &sch.pong},
		{orDefault(s.AssemblyTimeout, DefaultAssemblyTimeout), &sch.assembly},
		{s.IdleTimeout, &sch.idle},
		{s.MaxLifetime, &sch.lifetime},
	}
	for _, limit := range limits {
		if limit.d > 0 {
			sch.period = max(min(sch.period, limit.d/4), shortestPeriod)
		}
	}
	for _, limit := range limits {
		*limit.ticks = sch.ticks(limit.d)
	}
	sch.drain = sch.ticks(lingerTimeout)
	return sch
}

// ticks returns d in ticks. What the clock cannot count, 124 days or more, is no
// limit.
func (sch *schedule) ticks(d time.Duration) int32 {
	if d <= 0 || d/sch.period >= 1<<30 {
		return 0
	}
	return int32((d-1)/sch.period) + 1
}

// startSweeper starts the sweeper. The caller holds mu.
func (s *Server) startSweeper() {
	s.sweeperDone = make(chan struct{})
	s.clock.start()
	go s.runSweeper(s.sweeperDone, s.schedule())
}

// stopSweeper ends the sweeper. The caller holds mu.
func (s *Server) stopSweeper() { close(s.sweeperDone) }

// sweeper looks at all connections at every tick, until stop is closed.
func (s *Server) runSweeper(stop chan struct{}, sch *schedule) {
	ticker := time.NewTicker(sch.period)
	defer ticker.Stop()
	sweep := &sweep{Server: s, schedule: sch}
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			sweep.run(s.clock.advance(), stop)
		}
	}
}

// round is what the sweeper needs for a look at all connections.
type sweep struct {
	*Server
	*schedule
	now   tick
	beats int // heartbeats that may still be sent at this tick
	some  [sliceSize]*Conn
}

// sliceSize is how many connections are looked at in one go. In between others
// get the processor, and the server's lock is free but for moments anyway.
const sliceSize = 256

// do looks at all connections that have been there since the round began. It goes
// from the last to the first: when one is removed, the last takes its place.
func (r *sweep) run(now tick, stop chan struct{}) {
	r.now = now
	for end := r.start(); end > 0; {
		var n int
		if n, end = r.take(end); n == 0 {
			return
		}
		for _, c := range r.some[:n] {
			r.checkConn(c)
		}
		clear(r.some[:n])
		select {
		case <-stop:
			return
		default:
			runtime.Gosched()
		}
	}
}

// start returns how many connections there are.
//
// Connections that fell silent together would be sent their heartbeats together,
// and would answer together, every time. So many are sent at a tick, and no more,
// that all have theirs within a quarter of PingInterval.
func (r *sweep) start() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.conns)
	r.beats = sliceSize
	if r.ping > 0 {
		r.beats += 4 * n / int(r.ping)
	}
	return n
}

// take takes connections to be looked at, from those before the end-th. It returns
// how many, and the new end.
func (r *sweep) take(end int) (n, newEnd int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end = min(end, len(r.conns))
	n = copy(r.some[:], r.conns[max(end-sliceSize, 0):end])
	return n, end - n
}

// checkConn holds a connection against its time limits. What might wait, because it
// writes, gets a goroutine.
func (r *sweep) checkConn(c *Conn) {
	switch p := c.phase.load(); {
	case p.opening():
		if r.over(c.activity.began, r.handshake) {
			go c.abort(&LateError{What: "no opening handshake", After: orDefault(r.HandshakeTimeout, DefaultHandshakeTimeout), Option: "HandshakeTimeout"})
		}
		return
	case p == phaseEnded:
		return
	}
	w := &c.activity
	behind := !c.takesMore() // what came lies there unread, as long as the program is behind
	switch c.State() {
	case Open:
		r.checkOpen(c, behind)
		if w.dismissed && r.checkClosing(c, behind) { // the Close waits for other output
			return
		}
	case Closing:
		if r.checkClosing(c, behind) {
			return
		}
	case Closed:
		if w.failed {
			r.checkFailed(c)
			return
		}
	}
	if w.handlerSince.get() != 0 || behind {
		w.lastRead.set(r.now)
		w.extend()
		return
	}
	r.checkHeartbeat(c)
}

// over reports whether it is more than limit ticks, if that is a limit, since a
// moment that may have been at any time of its tick.
func (r *sweep) over(since tick, limit int32) bool {
	return limit > 0 && r.now.since(since) > limit
}

// checkOpen looks whether it is time to end an open connection.
func (r *sweep) checkOpen(c *Conn, behind bool) {
	w := &c.activity
	if w.dismissed || r.lifetime|r.idle|r.assembly == 0 {
		return
	}
	busy := behind || w.handlerSince.get() != 0
	unfinished := w.progressAt.get()
	if r.idle > 0 && (behind || busy && r.now.since(w.handlerSince.get()) > 1) { // who just pings at this moment keeps nobody busy
		w.lastMessage.set(r.now)
	}
	if r.lifetime > 0 && w.expires == 0 {
		w.expires = w.began + tick(withJitter(r.lifetime))
	}
	switch {
	case r.lifetime > 0 && r.now.since(w.expires) > 0:
		w.dismissed = true
		go c.Close(wire.GoingAway, "the connection has lasted its time")
	case r.over(w.lastMessage.get(), r.idle) && c.Buffered() == 0:
		w.dismissed = true
		go r.closeIdle(c)
	case busy || r.assembly == 0 || unfinished == 0:
	case r.behind(c) && c.transport.ReadPaused():
		w.progressAt.replace(unfinished, r.now)
	case r.over(unfinished, r.assembly):
		w.dismissed, w.failed = true, true
		go c.failLate(&LateError{What: "no end of a message, nor 64 KiB more of it,", After: orDefault(r.AssemblyTimeout, DefaultAssemblyTimeout), Option: "AssemblyTimeout"})
	}
}

// withJitter returns a lifetime that is up to a tenth shorter or longer.
func withJitter(lifetime int32) int32 {
	return lifetime - lifetime/10 + rand.Int32N(2*(lifetime/10)+1)
}

// checkClosing looks after a connection in the closing handshake. It reports whether
// that has come to nothing.
func (r *sweep) checkClosing(c *Conn, behind bool) bool {
	w := &c.activity
	if r.close == 0 || behind && !c.awaitsClient() {
		return false
	}
	if w.closing == 0 {
		w.closing = r.now
	}
	if !w.late(r.now, w.closing+tick(r.close)) {
		return false
	}
	go c.abort(&LateError{What: "no Close from the client", After: orDefault(r.CloseTimeout, DefaultCloseTimeout), Option: "CloseTimeout"})
	return true
}

// checkFailed cuts a connection that failLate has failed, if the client does not
// end it.
func (r *sweep) checkFailed(c *Conn) {
	w := &c.activity
	if w.closing == 0 {
		w.closing = r.now
	}
	if r.now.since(w.closing) >= r.drain {
		go c.abort(nil)
	}
}

// checkHeartbeat sends a heartbeat to a connection of which nothing comes, or gives
// it up.
func (r *sweep) checkHeartbeat(c *Conn) {
	w := &c.activity
	seen := w.lastRead.get()
	if w.pinged != 0 && seen.since(w.pinged) >= 0 {
		w.pinged = 0
	}
	switch {
	case w.pinged != 0 && r.behind(c):
		w.lastRead.set(r.now)
	case w.pinged != 0 && r.pong > 0 && r.now.since(w.pinged) >= r.pong && c.acknowledges():
		w.lastRead.set(r.now) // the Ping lies behind other bytes, which the client takes
	case w.pinged != 0 && r.pong > 0 && r.now.since(w.pinged) >= r.pong:
		go c.abort(&LateError{What: "no sign of life after a Ping", After: orDefault(r.PongTimeout, DefaultPongTimeout), Option: "PongTimeout"})
	case w.pinged == 0 && r.over(seen, r.ping) && r.beats > 0:
		r.beats--
		w.pinged = r.now
		if n := c.transport.Unacknowledged(); n > 0 {
			c.ensureExt().unacknowledged = n
		}
		c.beat()
	}
}

// acknowledges reports whether the client has acknowledged some of the bytes that
// were on their way to it before the last heartbeat.
func (c *Conn) acknowledges() bool {
	ext := c.ext.Load()
	if ext == nil || ext.unacknowledged <= 0 {
		return false
	}
	before := ext.unacknowledged
	ext.unacknowledged = 0
	n := c.transport.Unacknowledged()
	return n >= 0 && n < before
}

// closeIdle starts the closing handshake with a client that has been idle.
func (s *Server) closeIdle(c *Conn) {
	if c.Close(wire.GoingAway, "idle for too long") == nil {
		s.counters.count(func(st *Stats) { st.Timeouts.Idle++ })
	}
}

// failLate fails the connection from outside of the goroutine that receives,
// because something did not come in time. The loop goes on reading, and throws
// away, until the client has ended the connection or checkFailed does.
func (c *Conn) failLate(why error) {
	if !c.endpoint.FailAsync(wire.PolicyViolation, "message not complete in time", why) {
		return
	}
	c.endMailbox()
	c.shutdownWrite()
}

// behind reports whether a client has not taken what is for it, so that the last
// heartbeat may still lie here. It is WriteTimeout that ends that.
func (r *sweep) behind(c *Conn) bool {
	return orDefault(r.WriteTimeout, DefaultWriteTimeout) > 0 && c.transport.Buffered() > 0
}
