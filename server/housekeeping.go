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
	sch.drain = sch.ticks(drainTime)
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

// keepHouse starts the housekeeper. The caller holds mu.
func (s *Server) keepHouse() {
	s.house = make(chan struct{})
	s.clock.start()
	go s.housekeeper(s.house, s.schedule())
}

// leaveHouse ends the housekeeper. The caller holds mu.
func (s *Server) leaveHouse() { close(s.house) }

// housekeeper looks at all connections at every tick, until stop is closed.
func (s *Server) housekeeper(stop chan struct{}, sch *schedule) {
	ticker := time.NewTicker(sch.period)
	defer ticker.Stop()
	round := &round{Server: s, schedule: sch}
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			round.do(s.clock.advance(), stop)
		}
	}
}

// round is what the housekeeper needs for a look at all connections.
type round struct {
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
func (r *round) do(now tick, stop chan struct{}) {
	r.now = now
	for end := r.start(); end > 0; {
		var n int
		if n, end = r.take(end); n == 0 {
			return
		}
		for _, c := range r.some[:n] {
			r.inspect(c)
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
func (r *round) start() int {
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
func (r *round) take(end int) (n, newEnd int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end = min(end, len(r.conns))
	n = copy(r.some[:], r.conns[max(end-sliceSize, 0):end])
	return n, end - n
}

// inspect holds a connection against its time limits. What might wait, because it
// writes, gets a goroutine.
func (r *round) inspect(c *Conn) {
	switch c.phase.Load() {
	case acceptedPhase, requestPhase, answeringPhase:
		if r.over(c.watch.began, r.handshake) {
			go c.cut(&LateError{What: "no opening handshake", After: orDefault(r.HandshakeTimeout, DefaultHandshakeTimeout), Option: "HandshakeTimeout"})
		}
		return
	case endedPhase:
		return
	}
	w := &c.watch
	behind := !c.takesMore() // what came lies there unread, as long as the program is behind
	switch c.State() {
	case Open:
		r.inspectOpen(c, behind)
		if w.dismissed && r.overdue(c, behind) { // the Close waits for other output
			return
		}
	case Closing:
		if r.overdue(c, behind) {
			return
		}
	case Closed:
		if w.failed {
			r.inspectFailed(c)
			return
		}
	}
	if w.busy.get() != 0 || behind {
		w.seen.set(r.now)
		w.excuse()
		return
	}
	r.inspectPulse(c)
}

// over reports whether it is more than limit ticks, if that is a limit, since a
// moment that may have been at any time of its tick.
func (r *round) over(since tick, limit int32) bool {
	return limit > 0 && r.now.since(since) > limit
}

// inspectOpen looks whether it is time to end an open connection.
func (r *round) inspectOpen(c *Conn, behind bool) {
	w := &c.watch
	if w.dismissed || r.lifetime|r.idle|r.assembly == 0 {
		return
	}
	busy := behind || w.busy.get() != 0
	unfinished := w.unfinished.get()
	if r.idle > 0 && (behind || busy && r.now.since(w.busy.get()) > 1) { // who just pings at this moment keeps nobody busy
		w.data.set(r.now)
	}
	if r.lifetime > 0 && w.expires == 0 {
		w.expires = w.began + tick(withJitter(r.lifetime))
	}
	switch {
	case r.lifetime > 0 && r.now.since(w.expires) > 0:
		w.dismissed = true
		go c.Close(wire.GoingAway, "the connection has lasted its time")
	case r.over(w.data.get(), r.idle) && c.Buffered() == 0:
		w.dismissed = true
		go r.closeIdle(c)
	case busy || r.assembly == 0 || unfinished == 0:
	case r.behind(c) && c.transport.Choked():
		w.unfinished.replace(unfinished, r.now)
	case r.over(unfinished, r.assembly):
		w.dismissed, w.failed = true, true
		go c.failLate(&LateError{What: "no end of a message, nor 64 KiB more of it,", After: orDefault(r.AssemblyTimeout, DefaultAssemblyTimeout), Option: "AssemblyTimeout"})
	}
}

// withJitter returns a lifetime that is up to a tenth shorter or longer.
func withJitter(lifetime int32) int32 {
	return lifetime - lifetime/10 + rand.Int32N(2*(lifetime/10)+1)
}

// overdue looks after a connection in the closing handshake. It reports whether
// that has come to nothing.
func (r *round) overdue(c *Conn, behind bool) bool {
	w := &c.watch
	if r.close == 0 || behind && !c.awaitsClient() {
		return false
	}
	if w.closing == 0 {
		w.closing = r.now
	}
	if !w.late(r.now, w.closing+tick(r.close)) {
		return false
	}
	go c.cut(&LateError{What: "no Close from the client", After: orDefault(r.CloseTimeout, DefaultCloseTimeout), Option: "CloseTimeout"})
	return true
}

// inspectFailed cuts a connection that failLate has failed, if the client does not
// end it.
func (r *round) inspectFailed(c *Conn) {
	w := &c.watch
	if w.closing == 0 {
		w.closing = r.now
	}
	if r.now.since(w.closing) >= r.drain {
		go c.cut(nil)
	}
}

// inspectPulse sends a heartbeat to a connection of which nothing comes, or gives
// it up.
func (r *round) inspectPulse(c *Conn) {
	w := &c.watch
	seen := w.seen.get()
	if w.pinged != 0 && seen.since(w.pinged) >= 0 {
		w.pinged = 0
	}
	switch {
	case w.pinged != 0 && r.behind(c):
		w.seen.set(r.now)
	case w.pinged != 0 && r.pong > 0 && r.now.since(w.pinged) >= r.pong && c.acknowledges():
		w.seen.set(r.now) // the Ping lies behind other bytes, which the client takes
	case w.pinged != 0 && r.pong > 0 && r.now.since(w.pinged) >= r.pong:
		go c.cut(&LateError{What: "no sign of life after a Ping", After: orDefault(r.PongTimeout, DefaultPongTimeout), Option: "PongTimeout"})
	case w.pinged == 0 && r.over(seen, r.ping) && r.beats > 0:
		r.beats--
		w.pinged = r.now
		if n := c.transport.Unacknowledged(); n > 0 {
			c.reserve().unacknowledged = n
		}
		c.beat()
	}
}

// acknowledges reports whether the client has acknowledged some of the bytes that
// were on their way to it before the last heartbeat.
func (c *Conn) acknowledges() bool {
	more := c.more.Load()
	if more == nil || more.unacknowledged <= 0 {
		return false
	}
	before := more.unacknowledged
	more.unacknowledged = 0
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
// away, until the client has ended the connection or inspectFailed does.
func (c *Conn) failLate(why error) {
	if !c.endpoint.FailAsync(wire.PolicyViolation, "message not complete in time", why) {
		return
	}
	c.endFiber()
	c.noMore()
}

// behind reports whether a client has not taken what is for it, so that the last
// heartbeat may still lie here. It is WriteTimeout that ends that.
func (r *round) behind(c *Conn) bool {
	return orDefault(r.WriteTimeout, DefaultWriteTimeout) > 0 && c.transport.Buffered() > 0
}
