package client

import (
	"context"
	"errors"
	"iter"
	"os"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/socket"
	"github.com/fibersock/fibersock/wire"
)

// This file reads from the socket on behalf of whoever has the turn.
//
//	begin/end   take and give back the turn, for a call that receives
//	receive     the next message, in the caller's buffer if there is one
//	step        makes a message of events
//	next        the next event of the engine
//	fill        more bytes from the socket, until the context ends
//
// Invariant: in is empty when fill reads, and an event's payload is used or
// copied before that, because it is part of the read buffer.

// Receive waits for the next message and returns it; the payload is the
// program's own. If ctx ends first, its error is returned, nothing is lost, and
// a later call receives the message. See Conn for the other errors.
//
// With Config.Control, Ping, Pong and Close frames are returned too.
func (c *Conn) Receive(ctx context.Context) (Message, error) {
	if err := c.begin(ctx); err != nil {
		return Message{}, err
	}
	defer c.end()
	if m, ok := c.takeInbox(); ok {
		return m, nil
	}
	return c.receive(ctx, nil)
}

// ReceiveInto is Receive with a buffer to receive into: the payload is appended
// to buf, and the extended slice is returned. It allocates only if buf is too
// small. Control messages are skipped, Config.Control or not. If there is an
// error, nothing has been appended, but buf's spare capacity may have been
// written to.
func (c *Conn) ReceiveInto(ctx context.Context, buf []byte) (wire.Opcode, []byte, error) {
	if err := c.begin(ctx); err != nil {
		return 0, buf, err
	}
	defer c.end()
	if m, ok := c.takeDataFromInbox(); ok {
		return m.Opcode, append(buf, m.Payload...), nil
	}
	for {
		m, err := c.receive(ctx, buf)
		if err != nil {
			return 0, buf, err
		}
		if m.Opcode.IsData() {
			return m.Opcode, m.Payload, nil
		}
	}
}

// Messages returns an iterator over the messages that Receive would return. It
// ends with the first error, which it yields with a zero Message; if the server
// closed normally, with 1000 or 1001, it ends without.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return endpoint.Messages(ctx, c.Receive)
}

// begin takes the turn for a call that receives.
func (c *Conn) begin(ctx context.Context) error {
	if !c.beginReceiving() {
		return ErrConcurrentReceive
	}
	if c.reader != nil {
		c.abandonReader() // its turn is ours
	} else if err := c.readLock.lockToReceive(ctx); err != nil {
		c.receiving.Store(false)
		return err
	}
	if err := c.cutByProgram(); err != nil {
		c.end()
		return err
	}
	return nil
}

// beginReceiving reports whether no other call receives for the program, and from
// now on this one does.
func (c *Conn) beginReceiving() bool {
	if c.receiving.CompareAndSwap(false, true) {
		return true
	}
	c.abandoning.Lock() // it may be a Close
	defer c.abandoning.Unlock()
	return c.receiving.CompareAndSwap(false, true)
}

// end gives back the turn, unless a reader has it now.
func (c *Conn) end() {
	if c.reader == nil {
		c.readLock.unlock()
	}
	c.endReceiving()
}

// endReceiving is the reverse of beginReceiving.
func (c *Conn) endReceiving() {
	parked := c.reader != nil
	c.receiving.Store(false)
	if parked {
		select {
		case c.parked <- struct{}{}:
		default:
		}
	}
}

// held is a message that began to arrive and whose receiver gave up.
type held struct {
	opcode wire.Opcode // Continuation if there is none
	bytes  []byte      // what has arrived of it
	skip   bool        // nobody wants it: what still comes is dropped
}

// receive receives a message by appending its payload to buf. If control frames
// are asked for, one of them may come first, even inside of a message. A message
// that does not come whole is held for the next call.
func (c *Conn) receive(ctx context.Context, buf []byte) (Message, error) {
	if buf != nil {
		c.held.bytes = append(buf, c.held.bytes...)
	}
	for {
		m, complete, err := c.step(ctx)
		if !complete && err == nil {
			continue
		}
		if buf != nil && !m.Opcode.IsData() { // what is held must not be the caller's
			c.held.bytes = append([]byte(nil), c.held.bytes[len(buf):]...)
		}
		return m, err
	}
}

// step takes one event, and reports whether a message is complete with it.
func (c *Conn) step(ctx context.Context) (m Message, complete bool, err error) {
	ev, err := c.next(ctx)
	switch ev.Kind {
	case endpoint.KindMessage, endpoint.KindPartial:
		if c.skipped(ev) {
			return m, false, nil
		}
		c.held.opcode = ev.Opcode
		c.held.bytes = ev.AppendTo(c.held.bytes)
		if complete = ev.Kind == endpoint.KindMessage || ev.Final; complete {
			m.Opcode, m.Payload = ev.Opcode, c.held.bytes
			c.held = held{}
		}
	case endpoint.KindPing, endpoint.KindPong, endpoint.KindClose:
		if c.control {
			if m, ok := controlMessage(ev); ok {
				return m, true, nil
			}
		}
	}
	return m, complete, err
}

// skipped reports whether ev is a piece of a message that nobody wants.
func (c *Conn) skipped(ev endpoint.Event) bool {
	if !c.held.skip {
		return false
	}
	if ev.Final {
		c.held.opcode, c.held.skip = wire.Continuation, false // bytes may be a receiver's buffer
	}
	return true
}

// takeInbox returns the oldest message that a Ping received.
func (c *Conn) takeInbox() (Message, bool) {
	if len(c.inbox) == 0 {
		return Message{}, false
	}
	m := c.inbox[0]
	c.inbox[0] = Message{}
	c.inbox = c.inbox[1:]
	c.queued -= messageOverhead + len(m.Payload)
	return m, true
}

// takeDataFromInbox is takeInbox for a call that does not return control frames:
// it drops those that come before.
func (c *Conn) takeDataFromInbox() (m Message, ok bool) {
	for m, ok = c.takeInbox(); ok && !m.Opcode.IsData(); {
		m, ok = c.takeInbox()
	}
	return m, ok
}

// next returns the next event. For Closing and Failed it returns the error as
// well, and the connection is on its way to its end.
func (c *Conn) next(ctx context.Context) (endpoint.Event, error) {
	for {
		var now time.Time
		if c.endpoint.NeedsTime() {
			now = time.Now()
		}
		ev, n := c.endpoint.Receive(now, c.in)
		c.in = c.in[n:]
		switch ev.Kind {
		case endpoint.KindNone:
			if err := c.endpoint.Err(); err != nil {
				return ev, err
			}
			if err := c.fill(c.readLock.readContext(ctx)); err != nil {
				return ev, err
			}
		case endpoint.KindPong:
			c.pings.answer(ev.Payload)
			return ev, nil
		case endpoint.KindClose, endpoint.KindFailed:
			c.part(ctx, ev.Kind)
			return ev, ev.Err
		default:
			return ev, nil
		}
	}
}

// fill reads more bytes, until ctx ends.
func (c *Conn) fill(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var began time.Time
	patience := c.patience()
	if patience > 0 {
		began = time.Now()
		c.socket.SetReadDeadline(began.Add(patience))
	}
	stop := c.interruptReadOn(ctx)
	buf := c.readBuffer()
	n, err := c.socket.Read(buf)
	interrupted := !stop()
	if patience > 0 {
		c.assembly.waited += time.Since(began)
		c.socket.SetReadDeadline(time.Time{})
	}
	c.in = buf[:n]
	switch {
	case n > 0 || err == nil:
		return nil // an error comes again
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return c.lost(err)
	case interrupted:
		return ctx.Err()
	case patience > 0 && time.Since(began) >= patience:
		return c.failLate(ctx)
	}
	return c.lost(err) // the connection has a limit of its own
}

// interruptReadOn makes a read fail as soon as ctx ends. The function that it returns
// undoes that, so that a later read can go on.
func (c *Conn) interruptReadOn(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return notInterrupted
	}
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		c.socket.SetReadDeadline(time.Unix(1, 0))
		close(done)
	})
	return func() bool {
		if cancel() {
			return true
		}
		<-done
		c.socket.SetReadDeadline(time.Time{})
		return false
	}
}

func notInterrupted() bool { return true }

// readBuffer returns the buffer to read into, larger while a large frame comes, and
// where the message belongs if there is room.
func (c *Conn) readBuffer() []byte {
	rest := c.endpoint.Remaining()
	if end := c.held.bytes[len(c.held.bytes):cap(c.held.bytes)]; rest > socket.SmallBuffer && len(end) > socket.SmallBuffer &&
		c.held.opcode != wire.Continuation && !c.held.skip {
		return end[:min(rest, int64(len(end)))]
	}
	return c.buffer.Get(int(min(rest, socket.LargeBuffer)))
}
