package server

import (
	"errors"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// This file makes calls of handlers out of what the loop brings. It runs on the
// loop's side of the connection only, one call at a time; that is why events do
// not overlap.

// receive takes bytes from the loop; see loop.go.
func (c *Conn) receive(b []byte) (rest []byte, more bool) {
	c.watch.enter(c.server.clock.now())
	defer c.left()
	returned := false
	defer func() {
		if !c.isOpening() {
			c.endpoint.FlushCounters()
		}
		if !returned {
			rest, more = nil, c.panicked(recover())
		}
	}()
	rest, more = c.receiveEvents(b)
	returned = true
	return rest, more
}

// left notes that no handler is running any more.
func (c *Conn) left() { c.watch.leave(c.server.clock.now()) }

// receiveEvents is receive without the care for handlers that do not return.
func (c *Conn) receiveEvents(b []byte) (rest []byte, more bool) {
	if c.isOpening() {
		if b, more = c.handshake(b); !more || c.isOpening() {
			return nil, more
		}
	}
	if c.phase.Load() == endedPhase {
		return nil, false
	}
	var now time.Time
	if c.endpoint.NeedsTime() {
		now = time.Now()
	}
	for c.endpoint.Err() == nil { // else a handler has cut it; the loop will notice
		if len(b) > 0 && !c.takesMore() {
			return b, true
		}
		ev, n := c.endpoint.Receive(now, b)
		b = b[n:]
		c.follow(ev.Kind)
		switch ev.Kind {
		case endpoint.KindNone:
			return nil, true
		case endpoint.KindMessage:
			c.message(ev.Opcode, ev.Payload)
		case endpoint.KindPartial:
			c.handler.Partial(c, ev.Opcode, ev.Payload, ev.Final)
		case endpoint.KindPing: // it has been answered
		case endpoint.KindPong: // one more sign of life
			c.answered(ev.Payload)
		case endpoint.KindClose, endpoint.KindFailed:
			c.finish()
			return b, false
		}
	}
	return nil, true
}

// takesMore reports whether the program is ready for another message.
func (c *Conn) takesMore() bool {
	f := c.fiber()
	return f == nil || f.hasRoom()
}

// message hands on a whole message.
func (c *Conn) message(op wire.Opcode, p []byte) {
	if f := c.fiber(); f != nil {
		f.deliver(op, p)
	} else if c.handler.Message != nil {
		c.handler.Message(c, op, p)
	}
}

// begin opens the connection for the program.
func (c *Conn) begin() {
	if c.handler.Open != nil {
		c.handler.Open(c)
	}
	if c.server.shuttingDown() {
		_ = c.endpoint.Close(wire.GoingAway, "") // Shutdown may have been faster
	}
	if c.fiber() != nil {
		c.holders.Add(1)
		go c.serve()
	}
}

// drain tells the program that the client has taken all that waited for it; see
// loop.go.
func (c *Conn) drain() (more bool) {
	if !c.isOpen() {
		return true
	}
	c.watch.enter(c.server.clock.now())
	defer c.left()
	returned := false
	defer func() {
		if !returned {
			more = c.panicked(recover())
		}
	}()
	c.handler.Drain(c)
	returned = true
	return true
}

// panicked fails the connection because a handler has panicked with value, or
// called runtime.Goexit if value is nil. The client learns no more than the code.
func (c *Conn) panicked(value any) (more bool) {
	err := c.server.caught(value)
	switch c.phase.Load() {
	case acceptedPhase, requestPhase, answeringPhase:
		return c.refuse(&handshake.Error{Status: 500, Reason: "panic in the opening handshake"})
	case openPhase:
		c.endpoint.Fail(wire.InternalError, "", err)
		c.finish()
	}
	return false
}

// finish ends the connection for the program: the closing handshake is done, or
// the connection has failed, or the transport has ended.
func (c *Conn) finish() {
	if !c.phase.CompareAndSwap(openPhase, endedPhase) {
		return
	}
	c.server.counters.count(func(st *Stats) { st.ended(&c.endpoint) })
	if box := c.outbox(); box != nil {
		box.clear()
	}
	c.noMore()
	c.endFiber()
	if c.handler.Close != nil { // deferred, because Error may end the goroutine
		defer c.protect(func() { c.handler.Close(c, c.CloseCode(), c.CloseReason()) })
	}
	err := c.endpoint.Err()
	var closed *CloseError
	if c.handler.Error != nil && !errors.As(err, &closed) && err != ErrClosed {
		c.protect(func() { c.handler.Error(c, err) })
	}
}

// noMore tells the client that nothing more will be sent.
func (c *Conn) noMore() {
	c.endpoint.Uncork()
	if !c.endpoint.WriteBlocked() { // else backpressure.Written does it
		c.transport.Finish(drainTime)
	}
}

// lingerTime is how long the socket of an ended connection may last. A frame that
// is being written to a client that reads slowly, and the Close behind it, have
// CloseTimeout.
func (c *Conn) lingerTime() time.Duration {
	if !c.endpoint.WriteBlocked() {
		return drainTime
	}
	if c.server.CloseTimeout <= 0 { // no limit is no reason to keep a socket for good
		return DefaultCloseTimeout
	}
	return max(drainTime, c.server.CloseTimeout)
}

// protect reports a panic of f. The connection is at its end anyway. The caller
// reports a call of runtime.Goexit.
func (c *Conn) protect(f func()) {
	defer func() {
		if p := recover(); p != nil {
			c.server.caught(p)
		}
	}()
	f()
}

// parted reports whether both sides have sent their Close.
func (c *Conn) parted() bool {
	code := c.CloseCode()
	return code != 0 && code != wire.AbnormalClosure && !c.endpoint.WriteBlocked()
}

// lost is the loop's last call: the socket has ended, by err if that was not
// wanted; see loop.go.
func (c *Conn) lost(err error) {
	defer c.release()
	returned := false
	defer func() {
		if !returned {
			c.server.caught(recover())
		}
	}()
	c.lose(err)
	returned = true
}

// lose is lost without the care for handlers that do not return.
func (c *Conn) lose(err error) {
	switch c.phase.Load() {
	case acceptedPhase, requestPhase, answeringPhase:
		quiet := c.hungUp(err)
		if c.phase.Swap(endedPhase) == endedPhase {
			return // Shutdown has refused it
		}
		why := c.endpoint.Err()
		c.server.counters.count(func(st *Stats) { st.unfinished(why) })
		if why == nil && !quiet {
			why = &LostError{Err: err}
		}
		if why != nil {
			c.server.report(&RefusedError{RemoteAddr: c.RemoteAddr(), Err: why})
		}
	case openPhase:
		c.endpoint.TransportClosed(err, c.transport.Close)
		c.finish()
	case endedPhase:
	}
}

// release is called by the loop and by the fiber, when they let go of the
// connection.
func (c *Conn) release() {
	if c.holders.Add(-1) == 0 {
		c.server.removeConn(c)
	}
}
