package client

import (
	"context"
	"io"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// NextReader waits for the next message and returns its type and a reader of
// its payload, for messages that are larger than memory or come slowly. The
// reader returns io.EOF at the message's end. If a read fails because ctx, which
// is that of all its reads, is over, the rest of the message is skipped by the
// next call that receives; so is the rest of a message that is not read to its
// end. Control frames are answered and not returned.
func (c *Conn) NextReader(ctx context.Context) (wire.Opcode, io.Reader, error) {
	if err := c.begin(ctx); err != nil {
		return 0, nil, err
	}
	defer c.end()
	if m, ok := c.takeDataFromInbox(); ok {
		return m.Opcode, &messageReader{c: c, piece: m.Payload, final: true}, nil
	}
	r := &messageReader{c: c, ctx: ctx}
	if c.held.opcode != wire.Continuation && !c.held.skip {
		if err := c.endpoint.Err(); err != nil {
			return 0, nil, err // the rest of it will not come
		}
		op := c.held.opcode
		r.piece = c.held.bytes
		c.held = held{}
		c.reader = r
		return op, r, nil
	}
	for {
		ev, err := c.next(ctx)
		if err != nil {
			return 0, nil, err
		}
		switch ev.Kind {
		case endpoint.KindMessage:
			r.piece, r.final = ev.Payload, true
			c.reader = r
			return ev.Opcode, r, nil
		case endpoint.KindPartial:
			if c.skipped(ev) {
				continue
			}
			r.piece, r.final = ev.Payload, ev.Final
			c.reader = r
			return ev.Opcode, r, nil
		}
	}
}

// messageReader reads one message. As long as it is not at its end it has the
// turn: its piece is part of the read buffer.
type messageReader struct {
	c     *Conn
	ctx   context.Context
	piece []byte // what has arrived and not been read
	final bool   // nothing comes after piece
	err   error  // what the next Read returns when piece is used up
}

// Read reads the next bytes of the message.
func (r *messageReader) Read(p []byte) (int, error) {
	c := r.c
	if !c.beginReceiving() {
		return 0, ErrConcurrentReceive
	}
	defer c.endReceiving()
	if err := c.cutByProgram(); err != nil && r.err == nil {
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
		ev, err := c.next(r.ctx)
		if err != nil {
			c.held = held{opcode: wire.Binary, skip: true}
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

// finish gives back the turn, if the reader has it.
func (r *messageReader) finish(err error) {
	r.err = err
	if r.c.reader == r {
		r.c.reader = nil
		r.c.readLock.unlock()
	}
}

// abandonReader takes the turn from a reader that was not read to its end, and
// sees to it that the rest of its message is skipped. The caller receives.
func (c *Conn) abandonReader() {
	r := c.reader
	r.err = ErrReaderAbandoned
	if !r.final {
		c.held = held{opcode: wire.Binary, skip: true}
	}
	c.reader = nil
}
