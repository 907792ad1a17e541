package server

import (
	"errors"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// This file makes calls of handlers out of what the loop brings. It runs on the
// loop's side of the connection only, one call at a time; that is why events do
// not overlap.

// receive takes bytes from the loop; see loop.go.
func (c *Conn) receive(b []byte) (rest []byte, more bool) {
	c.activity.enter(c.server.clock.now())
	defer c.left()
	var received endpoint.FrameCount
	returned := false
	defer func() {
		c.count(&received)
		if !returned {
			rest, more = nil, c.panicked(recover())
		}
	}()
	rest, more = c.receiveEvents(b, &received)
	returned = true
	return rest, more
}

// left notes that no handler is running any more.
func (c *Conn) left() { c.activity.leave(c.server.clock.now()) }

// receiveEvents is receive without the care for handlers that do not return. What
// has come is counted in received.
func (c *Conn) receiveEvents(b []byte, received *endpoint.FrameCount) (rest []byte, more bool) {
	if c.isOpening() {
		if b, more = c.handshake(b); !more || c.isOpening() {
			return nil, more
		}
	}
	if c.phase.load() == phaseEnded {
		return nil, false
	}
	for c.endpoint.Err() == nil { // else a handler has cut it; the loop will notice
		if len(b) > 0 && !c.takesMore() {
			return b, true
		}
		if op, p, n := c.endpoint.ReceiveMessage(b); n > 0 {
			b = b[n:]
			c.traffic()
			countPiece(received, len(p), true)
			c.message(op, p)
			continue
		}
		ev, n := c.endpoint.Receive(b)
		b = b[n:]
		c.noteProgress(ev.Kind)
		switch ev.Kind {
		case endpoint.KindNone:
			return nil, true
		case endpoint.KindMessage:
			countPiece(received, len(ev.Payload), true)
			c.message(ev.Opcode, ev.Payload)
		case endpoint.KindPartial:
			countPiece(received, len(ev.Payload), ev.Final)
			c.partial(ev.Opcode, ev.Payload, ev.Final)
		case endpoint.KindPing: // it has been answered
			received.Pings++
		case endpoint.KindPong: // one more sign of life
			received.Pongs++
			c.answered(ev.Payload)
		case endpoint.KindClose, endpoint.KindFailed:
			c.count(received)
			c.finish()
			return b, false
		}
	}
	return nil, true
}

// takesMore reports whether the program is ready for another message.
func (c *Conn) takesMore() bool {
	b := c.mailbox()
	return b == nil || b.hasRoom()
}

// message hands on a whole message.
func (c *Conn) message(op wire.Opcode, p []byte) {
	if b := c.mailbox(); b != nil {
		b.deliver(op, p, true)
	} else if c.handler.Message != nil {
		c.handler.Message(c, op, p)
	}
}

// partial hands on a piece of a message.
func (c *Conn) partial(op wire.Opcode, p []byte, final bool) {
	if b := c.mailbox(); b != nil {
		b.deliver(op, p, final)
	} else {
		c.handler.Partial(c, op, p, final)
	}
}

// callOpen opens the connection for the program.
func (c *Conn) callOpen() {
	if c.handler.Open != nil {
		c.handler.Open(c)
	}
	if c.server.shuttingDown() {
		_ = c.endpoint.Close(wire.GoingAway, "") // Shutdown may have been faster
	}
	if b := c.mailbox(); b != nil && b.accepted == nil {
		c.refs.Add(1)
		go c.serve()
	}
}

// callWritable calls Handler.Writable. It reports whether the connection accepts
// more input.
func (c *Conn) callWritable() (ok bool) {
	if !c.isOpen() {
		return true
	}
	c.activity.enter(c.server.clock.now())
	defer c.left()
	returned := false
	defer func() {
		if !returned {
			ok = c.panicked(recover())
		}
	}()
	c.handler.Writable(c)
	returned = true
	return true
}

// panicked fails the connection because a handler has panicked with value, or
// called runtime.Goexit if value is nil. The client learns no more than the code.
func (c *Conn) panicked(value any) (more bool) {
	err := c.server.caught(value)
	switch p := c.phase.load(); {
	case p.opening():
		return c.refuse(&handshake.Error{Status: 500, Reason: "panic in the opening handshake"})
	case p == phaseOpen:
		c.endpoint.Fail(wire.InternalError, "", err)
		c.finish()
	}
	return false
}

// finish ends the connection for the program: the closing handshake is done, or
// the connection has failed, or the transport has ended.
func (c *Conn) finish() {
	if !c.phase.change(phaseOpen, phaseEnded) {
		return
	}
	c.server.counters.count(func(st *Stats) { st.ended(&c.endpoint) })
	if box := c.outbox(); box != nil {
		box.clear()
	}
	c.shutdownWrite()
	c.endMailbox()
	if c.handler.Close != nil { // deferred, because Error may end the goroutine
		defer c.protect(func() { c.handler.Close(c, c.CloseCode(), c.CloseReason()) })
	}
	err := c.endpoint.Err()
	var closed *CloseError
	if c.handler.Error != nil && !errors.As(err, &closed) && err != ErrClosed {
		c.protect(func() { c.handler.Error(c, err) })
	}
}

// shutdownWrite tells the client that nothing more will be sent.
func (c *Conn) shutdownWrite() {
	c.endpoint.Uncork()
	if !c.endpoint.WriteBlocked() { // else backpressure.Written does it
		c.transport.CloseWrite(c.closeExchanged())
	}
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

// closeExchanged reports whether both sides have sent their Close.
func (c *Conn) closeExchanged() bool {
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
	switch p := c.phase.load(); {
	case p.opening():
		quiet := c.hungUp(err)
		if !c.phase.end() {
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
	case p == phaseOpen:
		c.endpoint.TransportClosed(err, c.transport.Abort)
		c.finish()
	}
}

// release is called by the loop and by the fiber, when they let go of the
// connection.
func (c *Conn) release() {
	if c.refs.Add(-1) == 0 {
		c.server.removeConn(c)
	}
}
