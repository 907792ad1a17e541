package server

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Message is a received message:
//
//	Opcode  wire.Opcode // Text or Binary
//	Payload []byte      // the program's own
//
// Its method Text returns the payload as a string; JSON decodes it into a value.
type Message = endpoint.Received

// fiber is the goroutine of Handler.Serve and how messages get to it: two may
// lie in the mailbox, so that the loop can go on and answer Pings while Serve is
// busy; what comes then waits, and so, in the end, does the client.
type mailbox struct {
	messages  chan Message
	room      chan struct{} // has room for one: there is room in the mailbox
	ended     chan struct{} // closed when nothing more will come
	endOnce   sync.Once
	returned  chan struct{} // closed when Serve has returned
	receiving atomic.Bool
	spare     chan []byte // a buffer that ReceiveInto does not need any more

	// Messages are numbered from 1. Once the client has ended its side, the
	// connection ends when Serve waits for a message that will not come: until
	// then it can answer those that did.
	received   uint64        // messages that Receive has returned; its own
	asked      atomic.Uint64 // number of the message that Receive waits for, or has waited for
	delivered  atomic.Uint64 // number of the last message in the mailbox
	inputEnded atomic.Bool   // the client has ended its side: delivered does not change any more
}

func newMailbox() *mailbox {
	return &mailbox{
		messages: make(chan Message, 2),
		room:     make(chan struct{}, 1),
		ended:    make(chan struct{}),
		returned: make(chan struct{}),
		spare:    make(chan []byte, 1),
	}
}

// fiber returns the connection's, nil if it has no Handler.Serve. It is known once
// the connection is open.
func (c *Conn) mailbox() *mailbox {
	if ext := c.ext.Load(); ext != nil {
		return ext.mailbox
	}
	return nil
}

// endMailbox tells Receive, if there may be one, that nothing more will come.
func (c *Conn) endMailbox() {
	if b := c.mailbox(); b != nil {
		b.end()
	}
}

// end tells Receive that nothing more will come.
func (b *mailbox) end() { b.endOnce.Do(func() { close(b.ended) }) }

// hasRoom reports whether the next message can be delivered, or need not be.
func (b *mailbox) hasRoom() bool {
	select {
	case <-b.returned:
		return true
	case <-b.ended:
		return true
	default:
		return len(b.messages) < cap(b.messages)
	}
}

// awaitRoom waits until there is room, or nothing will be received any more.
func (b *mailbox) awaitRoom() {
	for !b.hasRoom() {
		select {
		case <-b.room:
		case <-b.returned:
		case <-b.ended:
		}
	}
}

// awaitEnd waits until Serve has been served: see takesEnd.
func (b *mailbox) awaitEnd() {
	for !b.takesEnd() {
		select {
		case <-b.room:
		case <-b.returned:
		case <-b.ended:
		}
	}
}

// takesEnd reports whether Serve has received all messages and waits for more,
// or there never were any, or nothing will be received any more.
func (b *mailbox) takesEnd() bool {
	select {
	case <-b.returned:
		return true
	case <-b.ended:
		return true
	default:
		n := b.delivered.Load()
		return n == 0 || b.asked.Load() > n
	}
}

// inputEnded is called by the loop when the client has ended its side.
func (c *Conn) inputEnded() {
	if b := c.mailbox(); b != nil {
		b.inputEnded.Store(true)
	}
}

// takesEnd reports whether the connection may end, because the client has ended
// its side: see fiber.takesEnd. What Handler.Message has received it has
// answered when it returned.
func (c *Conn) takesEnd() bool {
	b := c.mailbox()
	return b == nil || b.takesEnd()
}

// wakeLoop is called when the mailbox has room, or Serve waits for a message
// that will not come.
func (c *Conn) wakeLoop() {
	select {
	case c.mailbox().room <- struct{}{}:
	default:
	}
	c.transport.Resume()
}

// took is called by the goroutine that receives, when it has room a message.
func (c *Conn) took() {
	c.mailbox().received++
	c.wakeLoop()
}

// deliver puts a copy of a message into the mailbox, in which there is room.
func (b *mailbox) deliver(op wire.Opcode, p []byte) {
	var buf []byte
	select {
	case buf = <-b.spare:
	default:
	}
	b.delivered.Add(1)
	select {
	case b.messages <- Message{Opcode: op, Payload: append(buf[:0], p...)}:
	case <-b.returned:
	case <-b.ended:
	}
}

// serve runs Handler.Serve and then closes the connection.
func (c *Conn) serve() {
	defer c.release()
	defer c.transport.Resume()
	defer close(c.mailbox().returned)
	code := wire.InternalError // unless Serve returns
	defer func() {
		if code == wire.InternalError {
			c.server.caught(recover())
		}
		_ = c.Close(code, "") // if it has ended already, so much the better
	}()
	c.handler.Serve(c)
	code = wire.NormalClosure
}

// Receive waits for the next message and returns it; the payload is the
// program's own. It is for Handler.Serve, and returns ErrNotServing in other
// connections. If ctx ends first, its error is returned, nothing is lost, and a
// later call receives the message. See Conn for the other errors.
func (c *Conn) Receive(ctx context.Context) (Message, error) {
	b := c.mailbox()
	if b == nil {
		return Message{}, ErrNotServing
	}
	if !b.receiving.CompareAndSwap(false, true) {
		return Message{}, ErrConcurrentReceive
	}
	defer b.receiving.Store(false)
	select {
	case m := <-b.messages:
		c.took()
		return m, nil
	default:
	}
	b.asked.Store(b.received + 1)
	if b.inputEnded.Load() {
		c.wakeLoop()
	}
	select {
	case m := <-b.messages:
		c.took()
		return m, nil
	case <-ctx.Done():
		return Message{}, ctx.Err()
	case <-b.ended:
	}
	select {
	case m := <-b.messages: // what came before the end
		return m, nil
	default:
		return Message{}, c.Err()
	}
}

// ReceiveInto is Receive with a buffer to receive into: the payload is appended
// to buf, and the extended slice is returned. It allocates only if buf is too
// small.
func (c *Conn) ReceiveInto(ctx context.Context, buf []byte) (wire.Opcode, []byte, error) {
	m, err := c.Receive(ctx)
	if err != nil {
		return 0, buf, err
	}
	buf = append(buf, m.Payload...)
	select {
	case c.mailbox().spare <- m.Payload:
	default:
	}
	return m.Opcode, buf, nil
}

// ReceiveJSON receives a message, text or binary, and decodes it into v. A
// message that is not the JSON for v is an error, and the next one can be
// received.
func (c *Conn) ReceiveJSON(ctx context.Context, v any) error {
	m, err := c.Receive(ctx)
	if err != nil {
		return err
	}
	return m.JSON(v)
}

// Messages returns an iterator over the messages that Receive would return. It
// ends with the first error, which it yields with a zero Message; if the client
// closed normally, with 1000 or 1001, it ends without.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return endpoint.Messages(ctx, c.Receive)
}
