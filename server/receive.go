package server

import (
	"context"
	"io"
	"iter"
	"net"
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// This file is the blocking style of receiving: the loop delivers messages to a
// mailbox, and one goroutine of the application at a time receives from it.

// Message is a received message:
//
//	Opcode  wire.Opcode // Text or Binary
//	Payload []byte      // the caller's own
//
// Its method Text returns the payload as a string; JSON decodes it into a
// value.
type Message = endpoint.Message

// mailbox holds the messages, in pieces, that the loop has read and Receive has
// not returned. It has room for two pieces, so that the loop can read on and
// answer Pings while the application is busy. A full mailbox pauses reading,
// which in the end blocks the client.
type mailbox struct {
	pieces    chan piece
	ended     chan struct{} // closed when no piece follows
	endOnce   sync.Once
	returned  chan struct{}   // closed when Handler.Serve has returned
	spare     chan []byte     // capacity 1: a buffer for the next piece
	accepted  bool            // of Server.Accept, not of Handler.Serve
	receiving atomic.Bool     // a goroutine of the application receives
	discard   atomic.Bool     // pieces that find a full mailbox are dropped
	base      context.Context // Handshake.Context; may be nil

	// Messages are numbered from 1. Once the client has shut its side down, the
	// connection ends when Receive waits for a message that cannot arrive. The
	// application can answer the earlier ones until then.
	asked     atomic.Uint64 // number of the last message that Receive has waited for
	delivered atomic.Uint64 // number of the last message that is complete; final with connExt.inputEnded

	// The rest belongs to the goroutine that has set receiving.
	received uint64         // complete messages that have left the mailbox
	partial  piece          // the beginning of a message, left by a Receive whose ctx ended
	skip     bool           // the rest of the message that is arriving is dropped
	reader   *messageReader // of NextReader, before the end of its message
}

// piece is a message or a part of one. Its payload belongs to the mailbox.
type piece struct {
	opcode  wire.Opcode // Continuation: none
	payload []byte
	final   bool
}

func newMailbox(accepted bool) *mailbox {
	return &mailbox{
		pieces:   make(chan piece, 2),
		ended:    make(chan struct{}),
		returned: make(chan struct{}),
		spare:    make(chan []byte, 1),
		accepted: accepted,
	}
}

// mailbox returns the connection's mailbox, nil if its messages go to
// Handler.Message. It does not change once the connection is open.
func (c *Conn) mailbox() *mailbox {
	if ext := c.ext.Load(); ext != nil {
		return ext.mailbox
	}
	return nil
}

// endMailbox makes Receive return the connection's error once the mailbox is
// empty.
func (c *Conn) endMailbox() {
	if b := c.mailbox(); b != nil {
		b.endOnce.Do(func() { close(b.ended) })
		c.wakeLoop()
	}
}

// done reports whether no goroutine receives any more.
func (b *mailbox) done() bool {
	select {
	case <-b.returned:
		return true
	case <-b.ended:
		return true
	default:
		return false
	}
}

// hasRoom reports whether deliver returns at once.
func (b *mailbox) hasRoom() bool {
	return len(b.pieces) < cap(b.pieces) || b.discard.Load() || b.done()
}

// takesEnd reports whether the connection may end after the client has shut its
// side down: the application has received all messages and waits for another,
// or there never was one.
func (b *mailbox) takesEnd() bool {
	n := b.delivered.Load()
	return n == 0 || b.asked.Load() > n || b.done()
}

// deliver adds a copy of a message, or of a part of one.
func (b *mailbox) deliver(op wire.Opcode, p []byte, final bool) {
	var buf []byte
	select {
	case buf = <-b.spare:
	default:
	}
	if final {
		b.delivered.Add(1)
	}
	m := piece{opcode: op, payload: append(buf[:0], p...), final: final}
	if b.discard.Load() {
		select {
		case b.pieces <- m:
		default:
		}
		return
	}
	select {
	case b.pieces <- m:
	case <-b.returned:
	case <-b.ended:
	}
}

// discardWhenFull makes room for the client's Close, if the application does
// not receive any more.
func (c *Conn) discardWhenFull() {
	c.mailbox().discard.Store(true)
	c.wakeLoop()
}

// wakeLoop makes the loop check the mailbox again.
func (c *Conn) wakeLoop() { c.transport.Resume() }

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
		_ = c.Close(code, "") // fails only if the connection has ended
	}()
	c.handler.Serve(c)
	code = wire.NormalClosure
}

// beginReceive makes the calling goroutine the one that receives.
func (c *Conn) beginReceive() (*mailbox, error) {
	b := c.mailbox()
	if b == nil {
		return nil, ErrNotServing
	}
	if !b.receiving.CompareAndSwap(false, true) {
		return nil, ErrConcurrentReceive
	}
	return b, nil
}

func (b *mailbox) endReceive() { b.receiving.Store(false) }

// next waits for the next piece and removes it from the mailbox.
func (c *Conn) next(ctx context.Context, b *mailbox) (piece, error) {
	select {
	case p := <-b.pieces:
		c.took(b, p)
		return p, nil
	default:
	}
	b.asked.Store(b.received + 1)
	c.wakeForEnd()
	select {
	case p := <-b.pieces:
		c.took(b, p)
		return p, nil
	case <-ctx.Done():
		return piece{}, ctx.Err()
	case <-b.ended:
	}
	select {
	case p := <-b.pieces: // delivered before the end
		return p, nil
	default:
		return piece{}, c.Err()
	}
}

// took notes that p has left the mailbox.
func (c *Conn) took(b *mailbox, p piece) {
	if p.final {
		b.received++
	}
	c.wakeLoop()
}

// nextWanted is next, without the rest of a message that is skipped.
func (c *Conn) nextWanted(ctx context.Context, b *mailbox) (piece, error) {
	for {
		p, err := c.next(ctx, b)
		if err != nil || !b.skip {
			return p, err
		}
		b.skip = !p.final
		b.reuse(p.payload)
	}
}

// reuse gives a buffer back for the next piece.
func (b *mailbox) reuse(buf []byte) {
	if cap(buf) == 0 {
		return
	}
	select {
	case b.spare <- buf:
	default:
	}
}

// Receive waits for the next message and returns it. The payload is the
// caller's own. If ctx ends first, Receive returns its error and loses nothing:
// a later call returns the message.
//
// Receive is for Handler.Serve and for connections of Server.Accept; other
// connections return ErrNotServing. It returns ErrConcurrentReceive while
// another goroutine receives. See Conn for the errors of a connection that has
// ended.
func (c *Conn) Receive(ctx context.Context) (Message, error) {
	b, err := c.beginReceive()
	if err != nil {
		return Message{}, err
	}
	defer b.endReceive()
	b.abandonReader()
	if b.partial.opcode == wire.Continuation {
		p, err := c.nextWanted(ctx, b)
		if err != nil || p.final {
			return Message{Opcode: p.opcode, Payload: p.payload}, err
		}
		b.partial = p
	}
	op, payload, err := c.assemble(ctx, b, b.partial.payload)
	if err != nil {
		return Message{}, err
	}
	return Message{Opcode: op, Payload: payload}, nil
}

// ReceiveInto is Receive into a buffer of the caller: it appends the payload to
// buf and returns the extended slice. It allocates only if buf is too small.
// With an error, it returns buf, whose spare capacity may have been written to.
func (c *Conn) ReceiveInto(ctx context.Context, buf []byte) (wire.Opcode, []byte, error) {
	b, err := c.beginReceive()
	if err != nil {
		return 0, buf, err
	}
	defer b.endReceive()
	b.abandonReader()
	extended := append(buf, b.partial.payload...)
	op, extended, err := c.assemble(ctx, b, extended)
	if err != nil {
		b.partial.payload = append([]byte(nil), extended[len(buf):]...) // buf is the caller's
		return 0, buf, err
	}
	return op, extended, nil
}

// assemble appends pieces to buf, which ends with those of b.partial, up to the
// message's end. With an error, the message is left in b.partial.
func (c *Conn) assemble(ctx context.Context, b *mailbox, buf []byte) (wire.Opcode, []byte, error) {
	for {
		p, err := c.nextWanted(ctx, b)
		if err != nil {
			b.partial.payload = buf
			return 0, buf, err
		}
		buf = append(buf, p.payload...)
		b.reuse(p.payload)
		if p.final {
			b.partial = piece{}
			return p.opcode, buf, nil
		}
		b.partial.opcode = p.opcode
	}
}

// ReceiveJSON receives a message, text or binary, and decodes it into v. A
// message that is not JSON for v is an error, and a later call receives the
// next one.
func (c *Conn) ReceiveJSON(ctx context.Context, v any) error {
	m, err := c.Receive(ctx)
	if err != nil {
		return err
	}
	return m.JSON(v)
}

// Messages returns an iterator over the messages that Receive returns. It ends
// with the first error, which it yields with a zero Message. A normal close by
// the client, with 1000 or 1001, ends it without an error.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return endpoint.Messages(ctx, c.Receive)
}

// NextReader waits for the next message and returns its type and a reader of
// its payload, for messages that are larger than memory or arrive slowly. Set
// Limits.Message to -1 for messages without a limit. The reader returns io.EOF
// at the message's end. ctx holds for every Read.
//
// The next call that receives skips the rest of a message that was not read to
// its end, also after a Read that failed because ctx ended. The reader then
// returns ErrReaderAbandoned. NextReader is for the same connections as
// Receive.
func (c *Conn) NextReader(ctx context.Context) (wire.Opcode, io.Reader, error) {
	b, err := c.beginReceive()
	if err != nil {
		return 0, nil, err
	}
	defer b.endReceive()
	b.abandonReader()
	first := b.partial
	if first.opcode == wire.Continuation {
		if first, err = c.nextWanted(ctx, b); err != nil {
			return 0, nil, err
		}
	}
	b.partial = piece{}
	r := &messageReader{conn: c, ctx: ctx, rest: first.payload, buf: first.payload, final: first.final}
	b.reader = r
	return first.opcode, r, nil
}

// messageReader reads one message.
type messageReader struct {
	conn  *Conn
	ctx   context.Context
	rest  []byte // has left the mailbox and is not read
	buf   []byte // that rest is in
	final bool   // no piece follows
	err   error  // of the next Read, if rest is empty
}

// Read reads the next bytes of the message.
func (r *messageReader) Read(p []byte) (int, error) {
	b, err := r.conn.beginReceive()
	if err != nil {
		return 0, err
	}
	defer b.endReceive()
	for len(r.rest) == 0 && r.err == nil {
		if r.final {
			b.endReader(io.EOF)
			break
		}
		b.reuse(r.buf)
		r.buf = nil
		next, err := r.conn.next(r.ctx, b)
		if err != nil {
			b.abandonReader()
			r.err = err
			break
		}
		r.rest, r.buf, r.final = next.payload, next.payload, next.final
	}
	if r.err != nil {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// endReader ends the reader of NextReader by err.
func (b *mailbox) endReader(err error) {
	r := b.reader
	b.reuse(r.buf)
	r.err, r.rest, r.buf = err, nil, nil
	b.reader = nil
}

// abandonReader ends a reader before its message's end. The rest of the message
// is skipped.
func (b *mailbox) abandonReader() {
	if r := b.reader; r != nil {
		b.skip = !r.final
		b.endReader(ErrReaderAbandoned)
	}
}

// NetConn returns a net.Conn over the messages of type op, Text or Binary: for
// TLS, HTTP, SSH or another protocol of bytes. See endpoint.NewNetConn for its
// methods. It is for the same connections as Receive.
// The methods that receive must not be called any more.
func (c *Conn) NetConn(op wire.Opcode) net.Conn { return endpoint.NewNetConn(c, op) }
