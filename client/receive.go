package client

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/wire"
)

// This file reads from the socket for the holder of the read lock.
//
//	startReceive, endReceive  lock and unlock for a call that receives
//	receiveMessage            the next message, in the caller's buffer if it has one
//	receiveEvent              assembles a message from events
//	nextEvent                 the next event of the engine
//	readMore                  more bytes from the socket, until the context ends
//
// Invariant: in is empty when readMore reads. The payload of an event is used
// or copied before, because it is part of the read buffer.

// Receive returns the next message and blocks until there is one. The caller
// owns the payload. If ctx ends first, Receive returns its error, no byte is
// lost and a later call returns the message. See Conn for the other errors.
//
// With Config.Control, Receive returns Ping, Pong and Close frames too.
func (c *Conn) Receive(ctx context.Context) (Message, error) {
	if err := c.startReceive(ctx); err != nil {
		return Message{}, err
	}
	m, ok := c.takeKept()
	var err error
	if !ok {
		m, err = c.receiveMessage(ctx, nil)
	}
	c.endReceive()
	return m, err
}

// ReceiveInto is Receive with a buffer of the caller: it appends the payload
// to buf and returns the extended slice. It allocates only if the capacity of
// buf is too small. It skips control frames, even with Config.Control. After
// an error nothing has been appended, but the capacity behind buf may have
// been written to.
func (c *Conn) ReceiveInto(ctx context.Context, buf []byte) (wire.Opcode, []byte, error) {
	if err := c.startReceive(ctx); err != nil {
		return 0, buf, err
	}
	defer c.endReceive()
	if m, ok := c.takeKeptData(); ok {
		return m.Opcode, append(buf, m.Payload...), nil
	}
	for {
		m, err := c.receiveMessage(ctx, buf)
		if err != nil {
			return 0, buf, err
		}
		if m.Opcode.IsData() {
			return m.Opcode, m.Payload, nil
		}
	}
}

// ReceiveJSON receives a text or binary message and decodes it into v with
// encoding/json. If the message cannot be decoded, the connection stays open
// and the next call receives the next message. It skips control frames, even
// with Config.Control.
func (c *Conn) ReceiveJSON(ctx context.Context, v any) error {
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		if m.Opcode.IsData() {
			return m.JSON(v)
		}
	}
}

// Messages returns an iterator over the messages that Receive would return.
// The first error ends it and is yielded with a zero Message. A normal Close
// of the server, 1000 or 1001, ends it without an error.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return endpoint.Messages(ctx, c.Receive)
}

// startReceive locks the read lock for a call that receives.
func (c *Conn) startReceive(ctx context.Context) error {
	if !c.setReceiving() {
		return ErrConcurrentReceive
	}
	if c.reader != nil {
		c.reader.abandon() // and inherit its lock
	} else if err := c.readLock.lockToReceive(ctx); err != nil {
		c.receiving.Store(false)
		return err
	}
	if err := c.cutErr(); err != nil {
		c.endReceive()
		return err
	}
	return nil
}

// setReceiving reports false if another call receives for the application.
func (c *Conn) setReceiving() bool {
	if c.receiving.CompareAndSwap(false, true) {
		return true
	}
	c.stealing.Lock() // the other call may be a Close
	ok := c.receiving.CompareAndSwap(false, true)
	c.stealing.Unlock()
	return ok
}

// endReceive unlocks the read lock, unless a reader holds it now.
func (c *Conn) endReceive() {
	if c.reader == nil {
		c.readLock.unlock()
	}
	c.clearReceiving()
}

// clearReceiving is the reverse of setReceiving.
func (c *Conn) clearReceiving() {
	idle := c.reader != nil
	c.receiving.Store(false)
	if idle {
		select {
		case c.readerIdle <- struct{}{}:
		default:
		}
	}
}

// partial is an unfinished message whose receiver has given up.
type partial struct {
	opcode wire.Opcode // Continuation if there is no such message
	bytes  []byte      // its payload so far
	skip   bool        // the rest is discarded
}

// receiveMessage appends the payload of the next message to buf. With
// Config.Control, it may return a control frame first, even inside a message.
// If it returns an error, the unfinished message stays in c.partial.
func (c *Conn) receiveMessage(ctx context.Context, buf []byte) (m Message, err error) {
	if buf != nil {
		c.partial.bytes = append(buf, c.partial.bytes...)
	}
	for {
		complete, err := c.receiveEvent(ctx, &m)
		if !complete && err == nil {
			continue
		}
		if buf != nil && !m.Opcode.IsData() { // do not keep the caller's buffer
			c.partial.bytes = append([]byte(nil), c.partial.bytes[len(buf):]...)
		}
		return m, err
	}
}

// receiveEvent receives one event and reports whether it completes a message,
// which is then in m.
func (c *Conn) receiveEvent(ctx context.Context, m *Message) (complete bool, err error) {
	var ev endpoint.Event
	err = c.nextEvent(ctx, &ev)
	switch ev.Kind {
	case endpoint.KindMessage, endpoint.KindPartial:
		if c.skipped(ev.Final) {
			return false, nil
		}
		c.partial.opcode = ev.Opcode
		c.partial.bytes = ev.AppendTo(c.partial.bytes)
		if complete = ev.Kind == endpoint.KindMessage || ev.Final; complete {
			m.Opcode, m.Payload = ev.Opcode, c.partial.bytes
			c.partial = partial{}
		}
	case endpoint.KindPing, endpoint.KindPong, endpoint.KindClose:
		if c.control && controlMessage(&ev, m) {
			return true, nil
		}
	}
	return complete, err
}

// skipped reports whether an event is a piece of a message that is discarded.
// final is set with the last one.
func (c *Conn) skipped(final bool) bool {
	if !c.partial.skip {
		return false
	}
	if final {
		c.partial.opcode, c.partial.skip = wire.Continuation, false // bytes may be a receiver's buffer
	}
	return true
}

// takeKept removes and returns the oldest message that a Ping or Close kept.
func (c *Conn) takeKept() (Message, bool) {
	if len(c.kept) == 0 {
		return Message{}, false
	}
	m := c.kept[0]
	c.kept[0] = Message{}
	c.kept = c.kept[1:]
	c.keptSize -= messageOverhead + len(m.Payload)
	return m, true
}

// takeKeptData is takeKept for a call that does not return control frames. It
// removes the control frames before the message.
func (c *Conn) takeKeptData() (m Message, ok bool) {
	for m, ok = c.takeKept(); ok && !m.Opcode.IsData(); {
		m, ok = c.takeKept()
	}
	return m, ok
}

// nextEvent sets ev to the next event. For KindClose and KindFailed it returns
// the error as well, after it has begun to close the transport.
func (c *Conn) nextEvent(ctx context.Context, ev *endpoint.Event) error {
	for {
		var now time.Time
		if c.endpoint.NeedsTime() {
			now = time.Now()
		}
		var n int
		*ev, n = c.endpoint.Receive(now, c.in)
		c.in = c.in[n:]
		switch ev.Kind {
		case endpoint.KindNone:
			if err := c.endpoint.Err(); err != nil {
				return err
			}
			if err := c.readMore(c.readLock.readContext(ctx)); err != nil {
				return err
			}
			continue
		case endpoint.KindPong:
			c.pong(ev.Payload)
		case endpoint.KindClose, endpoint.KindFailed:
			c.closeTransport(ctx, ev.Kind)
		}
		return ev.Err
	}
}

// readMore reads bytes from the socket, until ctx ends.
func (c *Conn) readMore(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h := &c.heartbeat
	if h.state == off && h.interval > 0 {
		h.start(c, quiet, h.interval)
	}
	var start time.Duration
	timeout := c.assemblyTimeout()
	timed := timeout > 0 || h.state == pinged
	if timed {
		start = now()
	}
	if timeout > 0 {
		c.setReadDeadline(start + timeout)
	}
	var expired chan struct{} // closed when the end of ctx has interrupted the Read
	var stop func() bool
	if ctx.Done() != nil {
		expired = make(chan struct{})
		stop = context.AfterFunc(ctx, func() {
			c.transport.SetReadDeadline(time.Unix(1, 0))
			close(expired)
		})
	}
	buf := c.readBuffer()
	n, err := c.transport.Read(buf)
	interrupted := stop != nil && !stop()
	if interrupted {
		<-expired
	}
	if timeout > 0 || interrupted {
		c.setReadDeadline(0)
	}
	if timed {
		waited := now() - start
		c.assembly.waited += waited
		h.waited += waited
	}
	switch {
	case n == 0:
	case h.state == pinged:
		h.start(c, heard, h.interval)
	default:
		h.state = heard
	}
	c.in = buf[:n]
	if n == firstRead && c.buffer.Freed() {
		c.buffer.Get(0) // probably there is more
	}
	switch {
	case n > 0 || err == nil:
		return nil // the next Read returns err again
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return c.transportClosed(err)
	case interrupted:
		return ctx.Err()
	case timeout > 0 && c.assembly.waited >= c.assembly.limit:
		return c.failAssembly(ctx)
	}
	return c.deadlineReached(err)
}

// firstRead is the size in bytes of the buffer that every connection has, for
// Pongs and short messages.
const firstRead = 64

// readBuffer returns the buffer for the next Read: the place of the payload in
// the unfinished message if it has room, else the read buffer, which is larger
// during a large frame. A connection has no read buffer before a Read has
// filled first, and after a silence of the server: see deadlineReached.
func (c *Conn) readBuffer() []byte {
	remaining := c.endpoint.Remaining()
	if end := c.partial.bytes[len(c.partial.bytes):cap(c.partial.bytes)]; remaining > netloop.SmallBuffer && len(end) > netloop.SmallBuffer &&
		!c.endpoint.Decompressing() && c.partial.opcode != wire.Continuation && !c.partial.skip {
		return end[:min(remaining, int64(len(end)))]
	}
	if c.buffer.Freed() {
		return c.first[:]
	}
	return c.buffer.Get(int(min(remaining, netloop.LargeBuffer)))
}
