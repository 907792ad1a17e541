package server

import (
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// This file enforces the connections' timeouts. One goroutine, the sweeper,
// checks all connections of the server at every tick of a coarse clock, so that
// a connection needs no timer. activity.go records the times that it checks.
//
//	opening    HandshakeTimeout             → abort
//	open       MaxLifetime, IdleTimeout     → closing handshake with 1001
//	           AssemblyTimeout              → fail with 1008, abort after lingerTimeout
//	           PingInterval                 → heartbeat; PongTimeout → abort
//	closing    CloseTimeout                 → abort; PingInterval and PongTimeout as before

// The clock ticks at least once a second and at most 100 times.
const (
	shortestPeriod = 10 * time.Millisecond
	longestPeriod  = time.Second
)

// schedule holds the server's timeouts in ticks; 0 means none.
type schedule struct {
	period time.Duration

	handshake, close, ping, pong, idle, assembly, lifetime int32

	linger int32 // lingerTimeout
}

// schedule returns the server's timeouts in ticks.
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
	sch.linger = sch.ticks(lingerTimeout)
	return sch
}

// ticks returns d in ticks. A number of ticks that the clock cannot count, 124
// days or more, means no limit.
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

// stopSweeper stops the sweeper. The caller holds mu.
func (s *Server) stopSweeper() { close(s.sweeperDone) }

// runSweeper checks all connections at every tick, until stop is closed.
func (s *Server) runSweeper(stop chan struct{}, sch *schedule) {
	ticker := time.NewTicker(sch.period)
	defer ticker.Stop()
	sweep := &sweep{Server: s, schedule: sch, stop: stop}
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			sweep.run(s.clock.advance())
		}
	}
}

// sweep checks all connections once.
type sweep struct {
	*Server
	*schedule
	stop  chan struct{}
	now   tick
	beats int // heartbeats that may still be sent at this tick
	batch [sweepBatch]*Conn
}

// sweepBatch is how many connections are checked between two releases of the
// processor. The server's lock is held only while a batch is copied.
const sweepBatch = 256

// run checks all connections that exist at its start. It goes from the last to
// the first: when one is removed, the last one takes its place.
func (w *sweep) run(now tick) {
	w.now = now
	for end := w.start(); end > 0; {
		var n int
		if n, end = w.nextBatch(end); n == 0 {
			return
		}
		for _, c := range w.batch[:n] {
			w.checkConn(c)
		}
		clear(w.batch[:n])
		runtime.Gosched()
	}
}

// start returns the number of connections.
//
// Connections that fell silent together would get their heartbeats together,
// and answer together, each time. The number of heartbeats at a tick is bounded
// so that all are sent within a quarter of PingInterval.
func (w *sweep) start() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.conns)
	w.beats = sweepBatch
	if w.ping > 0 {
		w.beats += 4 * n / int(w.ping)
	}
	return n
}

// nextBatch copies the connections before the end-th into batch. It returns
// their number, and the new end. A sweeper that has been stopped gets none: the
// connections since then are those of another.
func (w *sweep) nextBatch(end int) (n, newEnd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sweeperDone != w.stop {
		return 0, 0
	}
	end = min(end, len(w.conns))
	n = copy(w.batch[:], w.conns[max(end-sweepBatch, 0):end])
	return n, end - n
}

// checkConn checks a connection's timeouts. Calls that write, and so may block,
// get a goroutine.
func (w *sweep) checkConn(c *Conn) {
	switch p := c.phase.load(); {
	case p.opening():
		if w.exceeds(c.activity.began, w.handshake) {
			go c.abort(&TimeoutError{Missing: "opening handshake", After: orDefault(w.HandshakeTimeout, DefaultHandshakeTimeout), Option: "HandshakeTimeout"})
		}
		return
	case p == phaseEnded:
		return
	}
	a := &c.activity
	unread := !c.takesMore() // input may have arrived that the application does not accept
	switch c.State() {
	case Open:
		w.checkOpen(c, unread)
		if a.end != noTimeoutEnd && w.checkClosing(c, unread) { // the Close waits behind other output
			return
		}
	case Closing:
		if w.checkClosing(c, unread) {
			return
		}
	case Closed:
		if a.end == failedByTimeout {
			w.checkFailed(c)
			return
		}
	}
	if a.handlerSince.get() != 0 || unread {
		a.lastRead.set(w.now)
		a.extend()
		return
	}
	w.checkHeartbeat(c)
}

// exceeds reports whether more than limit ticks, if that is a limit, have
// passed since a time that may lie anywhere within its tick.
func (w *sweep) exceeds(since tick, limit int32) bool {
	return limit > 0 && w.now.since(since) > limit
}

// checkOpen checks MaxLifetime, IdleTimeout and AssemblyTimeout.
func (w *sweep) checkOpen(c *Conn, unread bool) {
	a := &c.activity
	if a.end != noTimeoutEnd || w.lifetime|w.idle|w.assembly == 0 {
		return
	}
	handlerSince, progressAt := a.handlerSince.get(), a.progressAt.get()
	busy := unread || handlerSince != 0
	if w.idle > 0 && (unread || busy && w.now.since(handlerSince) > 1) { // a handler of this tick may have received a Ping only
		a.lastMessage.set(w.now)
	}
	if w.lifetime > 0 && a.expires == 0 {
		a.expires = a.began + tick(withJitter(w.lifetime))
	}
	switch {
	case w.lifetime > 0 && w.now.since(a.expires) > 0:
		a.end = closedByTimeout
		go c.sendClose(wire.GoingAway, "maximum lifetime reached")
	case w.exceeds(a.lastMessage.get(), w.idle) && c.buffered() == 0:
		a.end = closedByTimeout
		go w.closeIdle(c)
	case busy || w.assembly == 0 || progressAt == 0:
	case w.writeBlocked(c) && c.transport.ReadPaused():
		a.progressAt.replace(progressAt, w.now)
	case w.exceeds(progressAt, w.assembly):
		a.end = failedByTimeout
		go c.failLate(&TimeoutError{Missing: "message progress", After: orDefault(w.AssemblyTimeout, DefaultAssemblyTimeout), Option: "AssemblyTimeout"})
	}
}

// withJitter returns a lifetime that is up to a tenth shorter or longer.
func withJitter(lifetime int32) int32 {
	return lifetime - lifetime/10 + rand.Int32N(2*(lifetime/10)+1)
}

// checkClosing checks CloseTimeout. It reports whether the closing handshake
// has failed.
func (w *sweep) checkClosing(c *Conn, unread bool) bool {
	a := &c.activity
	if w.close == 0 || unread && !c.awaitsClient() {
		return false
	}
	if a.endAt == 0 {
		a.endAt = w.now
	}
	if !a.expired(w.now, a.endAt+tick(w.close)) {
		return false
	}
	go c.abort(&TimeoutError{Missing: "Close", After: orDefault(w.CloseTimeout, DefaultCloseTimeout), Option: "CloseTimeout"})
	return true
}

// checkFailed aborts a connection that failLate has failed, if the client does
// not end it.
func (w *sweep) checkFailed(c *Conn) {
	a := &c.activity
	if a.endAt == 0 {
		a.endAt = w.now
	}
	if w.now.since(a.endAt) >= w.linger {
		go c.abort(nil)
	}
}

// checkHeartbeat sends a heartbeat to a silent connection, or aborts it if the
// last one has no answer.
func (w *sweep) checkHeartbeat(c *Conn) {
	a := &c.activity
	lastRead := a.lastRead.get()
	if a.pinged != 0 && lastRead.since(a.pinged) >= 0 {
		a.pinged = 0
	}
	overdue := a.pinged != 0 && w.pong > 0 && w.now.since(a.pinged) >= w.pong
	switch {
	case a.pinged != 0 && w.writeBlocked(c):
		a.lastRead.set(w.now)
	case overdue && c.acknowledges():
		a.lastRead.set(w.now) // the Ping lies behind other bytes, which the client reads
	case overdue:
		go c.abort(&TimeoutError{Missing: "bytes after a Ping", After: orDefault(w.PongTimeout, DefaultPongTimeout), Option: "PongTimeout"})
	case a.pinged == 0 && w.exceeds(lastRead, w.ping) && w.beats > 0:
		w.beats--
		a.pinged = w.now
		if n := c.transport.Unacknowledged(); n > 0 {
			c.ensureExt().unacknowledged = n
		}
		c.sendHeartbeat()
	}
}

// acknowledges reports whether the client has acknowledged some of the bytes
// that were sent before the last heartbeat.
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

// closeIdle starts the closing handshake with an idle client.
func (s *Server) closeIdle(c *Conn) {
	if c.sendClose(wire.GoingAway, "idle timeout") == nil {
		s.counters.count(func(st *Stats) { st.Timeouts.Idle++ })
	}
}

// failLate fails the connection on another goroutine than the one that
// receives. The loop reads and discards until the client ends the connection or
// checkFailed does.
func (c *Conn) failLate(why error) {
	if !c.endpoint.FailAsync(wire.PolicyViolation, "message not complete in time", why) {
		return
	}
	c.endMailbox()
	c.shutdownWrite()
}

// writeBlocked reports whether output for the client is buffered, which may
// include the last heartbeat. WriteTimeout bounds that.
func (w *sweep) writeBlocked(c *Conn) bool {
	return orDefault(w.WriteTimeout, DefaultWriteTimeout) > 0 && c.transport.Buffered() > 0
}
