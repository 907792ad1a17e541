package server

import (
	"errors"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// This file turns bytes and events of the transport into calls of handlers. The
// loop makes one call at a time for a connection, so that its events do not
// overlap.

// receive consumes bytes from the loop; see loopconn.go.
func (c *Conn) receive(b []byte) (rest []byte, ok bool) {
	c.activity.enter(c.server.clock.now())
	returned := false
	defer func() {
		if !returned {
			defer c.left()
			c.flushCounters()
			rest, ok = nil, c.panicked(recover())
		}
	}()
	rest, ok = c.receiveEvents(b)
	returned = true
	c.flushCounters()
	c.left()
	return rest, ok
}

// flushCounters counts the frames that have arrived.
func (c *Conn) flushCounters() {
	if !c.isOpening() {
		c.endpoint.FlushCounters()
	}
}

// left notes that no handler runs any more.
func (c *Conn) left() { c.activity.leave(c.server.clock.now()) }

// turnSize is the number of payload bytes after which a connection lets others
// of its loop have their turn. The messages of a single read are not larger,
// unless it is of one large message, but compressed messages can be a thousand
// times as large as their input.
const turnSize = 256 << 10

// receiveEvents is receive without the recovery of panics. It returns the rest
// of b if the connection takes no more at the moment, has had its turn, or the
// client does not read the Pongs.
func (c *Conn) receiveEvents(b []byte) (rest []byte, ok bool) {
	if c.isOpening() {
		if b, ok = c.handshake(b); !ok || c.isOpening() {
			return nil, ok
		}
	}
	if c.phase.load() == phaseEnded {
		return nil, false
	}
	var now time.Time
	if c.endpoint.NeedsTime() {
		now = time.Now()
	}
	delivered := 0 // payload bytes
	if c.handler.Message != nil && c.mailbox() == nil {
		n := c.receiveMessages(b)
		if b = b[n:]; n > 0 && len(b) == 0 {
			return nil, true
		}
		delivered = n
	}
	more := false                 // has been passed to the transport
	for c.endpoint.Err() == nil { // otherwise a handler has aborted it, which the loop notices
		if len(b) > 0 && (delivered >= turnSize || !c.takesMore()) {
			return b, true
		}
		ev, n := c.endpoint.Receive(now, b)
		b = b[n:]
		if more != (len(b) > 0) {
			more = !more
			c.transport.MoreInput(more)
		}
		delivered += len(ev.Payload)
		if ev.Kind == endpoint.KindMessage {
			c.noteWholeMessage()
			c.message(ev.Opcode, ev.Payload)
			continue
		}
		c.noteProgress(ev.Kind)
		switch ev.Kind {
		case endpoint.KindNone:
			return nil, true
		case endpoint.KindPartial:
			c.partial(ev.Opcode, ev.Payload, ev.Final)
		case endpoint.KindPing: // the engine has answered it
			c.control(wire.Ping, ev.Payload)
			if len(b) > 0 && c.transport.MustPause() { // Pongs are exempt from MaxBacklog
				return b, true
			}
		case endpoint.KindPong:
			c.notePong(ev.Payload)
			c.control(wire.Pong, ev.Payload)
		case endpoint.KindClose, endpoint.KindFailed:
			c.finish()
			return b, false
		}
	}
	return nil, true
}

// receiveMessages handles small messages at the beginning of b, which is the
// input of most connections. It returns the number of their bytes.
func (c *Conn) receiveMessages(b []byte) (n int) {
	expected := false // more input: has been passed to the transport
	return c.endpoint.ReceiveMessages(b, func(op wire.Opcode, p []byte, more bool) bool {
		if more != expected {
			expected = more
			c.transport.MoreInput(more)
		}
		c.noteWholeMessage()
		c.handler.Message(c, op, p)
		return true
	})
}

// takesMore reports whether the application is ready for another message.
func (c *Conn) takesMore() bool {
	b := c.mailbox()
	return b == nil || b.hasRoom()
}

// message delivers a whole message.
func (c *Conn) message(op wire.Opcode, p []byte) {
	switch b := c.mailbox(); {
	case b != nil:
		b.deliver(op, p, true)
	case c.handler.Message != nil:
		c.handler.Message(c, op, p)
	case c.handler.Partial != nil:
		c.handler.Partial(c, op, p, true)
	}
}

// partial delivers a piece of a message.
func (c *Conn) partial(op wire.Opcode, p []byte, final bool) {
	if b := c.mailbox(); b != nil {
		b.deliver(op, p, final)
	} else {
		c.handler.Partial(c, op, p, final)
	}
}

// control delivers a Ping or Pong.
func (c *Conn) control(op wire.Opcode, p []byte) {
	if c.handler.Control != nil {
		c.handler.Control(c, op, p)
	}
}

// callOpen calls Handler.Open and starts Handler.Serve.
func (c *Conn) callOpen() {
	if c.handler.Open != nil {
		c.handler.Open(c)
	}
	if c.server.shuttingDown() {
		_ = c.endpoint.Close(wire.GoingAway, "") // Shutdown may not have seen the connection open
	}
	if b := c.mailbox(); b != nil && !b.accepted {
		c.refs.Add(1)
		go c.serve()
	}
	c.finishAccept(nil)
}

// callWritable calls Handler.Writable. It reports whether the connection
// accepts more input.
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

// panicked fails the connection because a handler has panicked with value or,
// if value is nil, called runtime.Goexit. The client gets the status code only.
func (c *Conn) panicked(value any) (ok bool) {
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

// finish calls Handler.Error and Handler.Close: the closing handshake is done,
// or the connection has failed, or the transport has ended.
func (c *Conn) finish() {
	if !c.phase.change(phaseOpen, phaseEnded) {
		return
	}
	c.server.counters.count(func(st *Stats) { st.ended(&c.endpoint) })
	if q := c.sendQueue(); q != nil {
		q.clear()
	}
	c.shutdownWrite()
	c.endMailbox()
	c.endPings()
	c.endContext()
	c.endTopics()
	if c.handler.Close != nil { // deferred, because Error may end the goroutine
		defer c.callProtected(func() { c.handler.Close(c, c.CloseCode(), c.CloseReason()) })
	}
	err := c.endpoint.Err()
	var closed *CloseError
	if c.handler.Error != nil && !errors.As(err, &closed) && err != ErrClosed {
		c.callProtected(func() { c.handler.Error(c, err) })
	}
}

// shutdownWrite ends the connection's output.
func (c *Conn) shutdownWrite() {
	if !c.endpoint.WriteBlocked() { // otherwise backpressure.Written does it
		c.transport.CloseWrite(c.closeExchanged())
	}
}

// callProtected calls f and reports its panic. The connection has ended
// already. The caller reports a call of runtime.Goexit.
func (c *Conn) callProtected(f func()) {
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

// lost is the loop's last call: the socket has ended, by err unless the
// connection wanted that; see loopconn.go.
func (c *Conn) lost(err error) {
	defer c.release()
	defer func() { c.finishAccept(c.endedBy(err)) }()
	returned := false
	defer func() {
		if !returned {
			c.server.caught(recover())
		}
	}()
	c.lose(err)
	returned = true
}

// lose is lost without the recovery of panics.
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

// endedBy returns the error of a connection whose transport was ended by err.
func (c *Conn) endedBy(err error) error {
	if known := c.endpoint.Err(); known != nil {
		return known
	}
	if err == nil {
		return ErrClosed
	}
	return &LostError{Err: err}
}

// release drops a reference of the loop or of Handler.Serve. The last one
// removes the connection from the server.
func (c *Conn) release() {
	if c.refs.Add(-1) == 0 {
		c.server.removeConn(c)
	}
}
