package server

import (
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/endpoint"
)

// This file is what connections note of their signs of life, for the housekeeper
// to look at. They read no clock for that: they note its ticks.

// tick is a moment of a server's clock. It is never 0, which stands for no moment,
// and comes round after 497 days or more.
type tick uint32

// since returns how many ticks after earlier t is: negative if it is before.
func (t tick) since(earlier tick) int32 { return int32(t - earlier) }

// clock is a server's coarse clock, which the housekeeper moves on.
type clock struct {
	ticks atomic.Uint32
	epoch time.Time // of heartbeats; set before the first connection is there
}

// start sets the clock going, if it is not.
func (k *clock) start() {
	if k.ticks.CompareAndSwap(0, 1) {
		k.epoch = time.Now()
	}
}

func (k *clock) now() tick { return tick(k.ticks.Load()) }

func (k *clock) advance() tick {
	if now := k.ticks.Add(1); now != 0 {
		return tick(now)
	}
	return tick(k.ticks.Add(1))
}

// moment is a tick that somebody else may look at.
type moment struct{ at atomic.Uint32 }

func (m *moment) get() tick { return tick(m.at.Load()) }

// set notes t. Most of the time that is known, and reading is cheaper than writing.
func (m *moment) set(t tick) {
	if m.get() != t {
		m.at.Store(uint32(t))
	}
}

// replace notes t, unless another moment than old has been noted.
func (m *moment) replace(old, t tick) { m.at.CompareAndSwap(uint32(old), uint32(t)) }

// watch is what is known of a connection's signs of life.
type watch struct {
	busy moment // since when a handler has been running: nothing can be read meanwhile; 0 if none
	seen moment // when something came last, or a handler returned
	data moment // when a data message, or part of one, came or was sent last; only noted for IdleTimeout

	// The message or frame under way.
	unfinished moment // since when its next part is awaited, see follow; 0 if none is under way
	parts      uint32 // how many parts have come; the receiving goroutine's own

	pulse pulse

	// The housekeeper's own.
	began     tick // when the connection began
	expires   tick // the end of its lifetime; 0 if that is not known, or there is none
	pinged    tick // when a heartbeat was sent that nothing has come after; 0 if none
	closing   tick // when it was first seen to wait for the client's Close, or, if it has failed, for its end
	dismissed bool // its end has begun, because its time is over
	failed    bool // by failLate; it is dismissed too
}

// begin is called before the connection can be found by anybody.
func (w *watch) begin(now tick) {
	w.began = now
	w.seen.set(now)
	w.data.set(now)
}

// enter and leave stand around what handlers are called in.
func (w *watch) enter(now tick) { w.busy.set(now) }

func (w *watch) leave(now tick) {
	w.seen.set(now)
	w.busy.set(0)
}

// late reports whether the client's Close has not come by the deadline. As long
// as a handler runs that was called before, the Close may have come and lie there
// unread; a handler that was called afterwards shows that something else came.
func (w *watch) late(now, deadline tick) bool {
	busy := w.busy.get()
	return now.since(deadline) >= 0 && (busy == 0 || busy.since(deadline) > 0)
}

// traffic notes that a data message is being received or sent.
func (c *Conn) traffic() {
	if c.server.IdleTimeout > 0 {
		c.watch.data.set(c.server.clock.now())
	}
}

// assemblyPart is of how much of a message AssemblyTimeout bounds the time, in
// bytes: see there.
const assemblyPart = 64 << 10

// follow notes, after each event of the engine, how far the message or frame has
// come that is under way.
func (c *Conn) follow(kind endpoint.Kind) {
	arrived, underWay := c.endpoint.Progress()
	if arrived > 0 || kind == endpoint.KindMessage || kind == endpoint.KindPartial {
		c.traffic()
	}
	w := &c.watch
	if !underWay {
		w.unfinished.set(0)
		return
	}
	parts := uint32(arrived / assemblyPart)
	if w.unfinished.get() == 0 || parts > w.parts {
		w.parts = parts
		w.unfinished.set(c.server.clock.now())
	}
}

// excuse moves on, by the tick that has passed, since when the rest of a message
// is awaited: it may have come, but the program was not ready for it.
func (w *watch) excuse() {
	if t := w.unfinished.get(); t != 0 && t+1 != 0 {
		w.unfinished.replace(t, t+1)
	}
}
