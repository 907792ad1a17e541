package client

import (
	"context"
	"io"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// NextReader returns the type of the next message and a reader of its payload,
// and blocks until the message begins. It is for messages that are too large
// for memory or arrive slowly. The reader returns io.EOF at the end of the
// message. ctx is the context of all its reads: if it ends, or if the message
// is not read to its end, the next call that receives skips the rest.
// NextReader answers control frames and does not return them.
func (c *Conn) NextReader(ctx context.Context) (wire.Opcode, io.Reader, error) {
	if err := c.startReceive(ctx); err != nil {
		return 0, nil, err
	}
	defer c.endReceive()
	if m, ok := c.takeKeptData(); ok {
		return m.Opcode, &messageReader{c: c, piece: m.Payload, final: true}, nil
	}
	r := &messageReader{c: c, ctx: ctx}
	if c.partial.opcode != wire.Continuation && !c.partial.skip {
		if err := c.endpoint.Err(); err != nil {
			return 0, nil, err // the rest will not arrive
		}
		op := c.partial.opcode
		r.piece = c.partial.bytes
		c.partial = partial{}
		c.reader = r
		return op, r, nil
	}
	for {
		var ev endpoint.Event
		if err := c.nextEvent(ctx, &ev); err != nil {
			return 0, nil, err
		}
		switch ev.Kind {
		case endpoint.KindMessage, endpoint.KindPartial:
			if c.skipped(ev.Final) {
				continue
			}
			r.piece, r.final = ev.Payload, ev.Kind == endpoint.KindMessage || ev.Final
			c.reader = r
			return ev.Opcode, r, nil
		}
	}
}

// heldReader is a *messageReader. The linker leaves that out of programs
// without NextReader.
type heldReader interface {
	abandon()
	yield()
}

// messageReader reads one message. It holds the read lock until its end,
// because its piece is part of the read buffer.
type messageReader struct {
	c     *Conn
	ctx   context.Context
	piece []byte // received and not read yet
	final bool   // piece is the end of the message
	err   error  // of the Read behind piece
}

// Read reads the next bytes of the message.
func (r *messageReader) Read(p []byte) (int, error) {
	c := r.c
	if !c.setReceiving() {
		return 0, ErrConcurrentReceive
	}
	defer c.clearReceiving()
	if err := c.cutErr(); err != nil && r.err == nil {
		r.finish(err)
	}
	if r.err != nil {
		return 0, r.err
	}
	for len(r.piece) == 0 {
		if r.final {
			r.finish(io.EOF)
			return 0, io.EOF
		}
		var ev endpoint.Event
		if err := c.nextEvent(r.ctx, &ev); err != nil {
			c.partial = partial{opcode: wire.Binary, skip: true}
			r.finish(err)
			return 0, err
		}
		if ev.Kind == endpoint.KindPartial {
			r.piece, r.final = ev.Payload, ev.Final
		}
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

// finish ends the reads with err and unlocks the read lock, if r holds it.
func (r *messageReader) finish(err error) {
	r.err = err
	if r.c.reader == r {
		r.c.reader = nil
		r.c.readLock.unlock()
	}
}

// abandon ends the reads of a message that is not read to its end. The rest of
// the message is skipped. The caller inherits the read lock.
func (r *messageReader) abandon() {
	r.err = ErrReaderAbandoned
	if !r.final {
		r.c.partial = partial{opcode: wire.Binary, skip: true}
	}
	r.c.reader = nil
}

// yield gives the read lock to the caller. If the rest of the message has
// arrived, the reader gets a copy. If not, it is abandoned.
func (r *messageReader) yield() {
	if r.final {
		r.piece = append([]byte(nil), r.piece...)
		r.c.reader = nil
	} else {
		r.abandon()
	}
}
