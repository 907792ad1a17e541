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
type Message = endpoint.Message

// fiber is the goroutine of Handler.Serve and how messages get to it: two may
// lie in the mailbox, so that the loop can go on and answer Pings while Serve is
// busy; what comes then waits, and so, in the end, does the client.
type fiber struct {
	mailbox   chan Message
	taken     chan struct{} // has room for one: there is room in the mailbox
	ended     chan struct{} // closed when nothing more will come
	endOnce   sync.Once
	exited    chan struct{} // closed when Serve has returned
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

func newFiber() *fiber {
	return &fiber{
		mailbox: make(chan Message, 2),
		taken:   make(chan struct{}, 1),
		ended:   make(chan struct{}),
		exited:  make(chan struct{}),
		spare:   make(chan []byte, 1),
	}
}

// fiber returns the connection's, nil if it has no Handler.Serve. It is known once
// the connection is open.
func (c *Conn) fiber() *fiber {
	if more := c.more.Load(); more != nil {
		return more.fiber
	}
	return nil
}

// endFiber tells Receive, if there may be one, that nothing more will come.
func (c *Conn) endFiber() {
	if f := c.fiber(); f != nil {
		f.end()
	}
}

// end tells Receive that nothing more will come.
func (f *fiber) end() { f.endOnce.Do(func() { close(f.ended) }) }

// hasRoom reports whether the next message can be delivered, or need not be.
func (f *fiber) hasRoom() bool {
	select {
	case <-f.exited:
		return true
	case <-f.ended:
		return true
	default:
		return len(f.mailbox) < cap(f.mailbox)
	}
}

// awaitRoom waits until there is room, or nothing will be received any more.
func (f *fiber) awaitRoom() {
	for !f.hasRoom() {
		select {
		case <-f.taken:
		case <-f.exited:
		case <-f.ended:
		}
	}
}

// awaitEnd waits until Serve has been served: see takesEnd.
func (f *fiber) awaitEnd() {
	for !f.takesEnd() {
		select {
		case <-f.taken:
		case <-f.exited:
		case <-f.ended:
		}
	}
}

// takesEnd reports whether Serve has received all messages and waits for more,
// or there never were any, or nothing will be received any more.
func (f *fiber) takesEnd() bool {
	select {
	case <-f.exited:
		return true
	case <-f.ended:
		return true
	default:
		n := f.delivered.Load()
		return n == 0 || f.asked.Load() > n
	}
}

// inputEnded is called by the loop when the client has ended its side.
func (c *Conn) inputEnded() {
	if f := c.fiber(); f != nil {
		f.inputEnded.Store(true)
	}
}

// takesEnd reports whether the connection may end, because the client has ended
// its side: see fiber.takesEnd. What Handler.Message has received it has
// answered when it returned.
func (c *Conn) takesEnd() bool {
	f := c.fiber()
	return f == nil || f.takesEnd()
}

// wakeLoop is called when the mailbox has room, or Serve waits for a message
// that will not come.
func (c *Conn) wakeLoop() {
	select {
	case c.fiber().taken <- struct{}{}:
	default:
	}
	c.transport.Resume()
}

// took is called by the goroutine that receives, when it has taken a message.
func (c *Conn) took() {
	c.fiber().received++
	c.wakeLoop()
}

// deliver puts a copy of a message into the mailbox, in which there is room.
func (f *fiber) deliver(op wire.Opcode, p []byte) {
	var buf []byte
	select {
	case buf = <-f.spare:
	default:
	}
	f.delivered.Add(1)
	select {
	case f.mailbox <- Message{Opcode: op, Payload: append(buf[:0], p...)}:
	case <-f.exited:
	case <-f.ended:
	}
}

// serve runs Handler.Serve and then closes the connection.
func (c *Conn) serve() {
	defer c.release()
	defer c.transport.Resume()
	defer close(c.fiber().exited)
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
	f := c.fiber()
	if f == nil {
		return Message{}, ErrNotServing
	}
	if !f.receiving.CompareAndSwap(false, true) {
		return Message{}, ErrConcurrentReceive
	}
	defer f.receiving.Store(false)
	select {
	case m := <-f.mailbox:
		c.took()
		return m, nil
	default:
	}
	f.asked.Store(f.received + 1)
	if f.inputEnded.Load() {
		c.wakeLoop()
	}
	select {
	case m := <-f.mailbox:
		c.took()
		return m, nil
	case <-ctx.Done():
		return Message{}, ctx.Err()
	case <-f.ended:
	}
	select {
	case m := <-f.mailbox: // what came before the end
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
	case c.fiber().spare <- m.Payload:
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
