package server

import (
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/endpoint"
)

// This file records a connection's activity for the sweeper of timeouts.go. It
// reads no clock: it records the ticks of the sweeper.

// tick is a time on the server's clock. It is never 0, which stands for no
// time, and wraps around after 497 days or more.
type tick uint32

// since returns how many ticks after earlier t is: negative if it is before.
func (t tick) since(earlier tick) int32 { return int32(t - earlier) }

// clock is a server's coarse clock. The sweeper advances it.
type clock struct {
	ticks atomic.Uint32
	epoch time.Time // zero of micros; set before the first connection begins
}

// start starts the clock, if it has not started.
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

// atomicTick is a tick that several goroutines read and write.
type atomicTick struct{ at atomic.Uint32 }

func (m *atomicTick) get() tick { return tick(m.at.Load()) }

// set stores t. It reads first, because reading is cheaper and most calls
// change nothing.
func (m *atomicTick) set(t tick) {
	if m.get() != t {
		m.at.Store(uint32(t))
	}
}

// replace stores t in place of old.
func (m *atomicTick) replace(old, t tick) { m.at.CompareAndSwap(uint32(old), uint32(t)) }

// activity records the last events of a connection. The fields of type
// atomicTick are written by its goroutines and by the sweeper.
type activity struct {
	handlerSince atomicTick // when the running handler was called; 0 if none runs
	lastRead     atomicTick // when bytes arrived last, or a handler returned
	lastMessage  atomicTick // when a part of a message arrived or was sent last; kept for IdleTimeout only
	progressAt   atomicTick // when the incomplete message or frame made progress last, see noteProgress; 0 if none is incomplete

	parts uint32 // assemblyParts of the incomplete message that have arrived; the receiving goroutine's own
	pulse pulse

	// The rest belongs to the sweeper.
	began   tick // when the connection began
	expires tick // end of MaxLifetime; 0 if there is none, or it is not computed yet
	pinged  tick // when a heartbeat was sent; 0 once bytes have arrived after it
	endAt   tick // when the end began that CloseTimeout or lingerTimeout bounds; 0 before
	end     timeoutEnd
}

// timeoutEnd is how the sweeper has ended an open connection.
type timeoutEnd uint8

const (
	noTimeoutEnd    timeoutEnd = iota
	closedByTimeout            // by a Close, after MaxLifetime or IdleTimeout
	failedByTimeout            // by failLate, after AssemblyTimeout
)

// begin is called before another goroutine can find the connection.
func (a *activity) begin(now tick) {
	a.began = now
	a.lastRead.set(now)
	a.lastMessage.set(now)
}

// enter and leave are called before and after handlers.
func (a *activity) enter(now tick) { a.handlerSince.set(now) }

func (a *activity) leave(now tick) {
	a.lastRead.set(now)
	a.handlerSince.set(0)
}

// expired reports whether the client's Close has not arrived by the deadline.
// While a handler runs that was called before the deadline, the Close may have
// arrived unread; a handler that was called later shows that other input
// arrived.
func (a *activity) expired(now, deadline tick) bool {
	since := a.handlerSince.get()
	return now.since(deadline) >= 0 && (since == 0 || since.since(deadline) > 0)
}

// noteMessage records that a data message, or a part of one, is received or
// sent.
func (c *Conn) noteMessage() {
	if c.server.IdleTimeout > 0 {
		c.activity.lastMessage.set(c.server.clock.now())
	}
}

// assemblyPart is the progress of a message, in bytes, that restarts
// AssemblyTimeout.
const assemblyPart = 64 << 10

// noteWholeMessage is noteProgress for KindMessage: no message is incomplete
// then.
func (c *Conn) noteWholeMessage() {
	c.noteMessage()
	c.activity.progressAt.set(0)
}

// noteProgress records, after each event of the engine, the progress of the
// incomplete message or frame.
func (c *Conn) noteProgress(kind endpoint.Kind) {
	arrived, incomplete := c.endpoint.Progress()
	if arrived > 0 || kind == endpoint.KindPartial {
		c.noteMessage()
	}
	a := &c.activity
	if !incomplete {
		a.progressAt.set(0)
		return
	}
	parts := uint32(arrived / assemblyPart)
	if a.progressAt.get() == 0 || parts > a.parts {
		a.parts = parts
		a.progressAt.set(c.server.clock.now())
	}
}

// extend gives an incomplete message one more tick, because the application did
// not accept input for the last one.
func (a *activity) extend() {
	if t := a.progressAt.get(); t != 0 && t+1 != 0 {
		a.progressAt.replace(t, t+1)
	}
}
