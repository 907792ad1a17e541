package client

import (
	"sync"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// NextWriter returns a writer of one message of type op, Text or Binary, for a
// message that is larger than memory or made bit by bit. It must be closed:
// from the first fragment that it sends until then, other messages wait.
func (c *Conn) NextWriter(op wire.Opcode) (*MessageWriter, error) {
	m, err := c.endpoint.NextWriter(op)
	if err != nil {
		return nil, err
	}
	return &MessageWriter{message: m}, nil
}

// MessageWriter writes one message in fragments of about 4 KiB, or of the size
// of a larger Write. It is for one goroutine; other goroutines may send
// messages, which come before or after this one, and pings, at any time.
type MessageWriter struct {
	message *endpoint.MessageWriter
	buf     *[]byte
}

// fragmentSize is the size, in bytes, up to which writes are collected.
const fragmentSize = 4 << 10

var fragmentBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, fragmentSize)
	return &b
}}

// Write adds p to the message; p is not kept. The error is that of Conn.Send.
// After an error the message is given up, and if a part of it has been sent, so
// is the connection.
func (w *MessageWriter) Write(p []byte) (int, error) {
	if w.message.Done() {
		return 0, ErrMessageFinished
	}
	if w.buf == nil {
		w.buf = fragmentBuffers.Get().(*[]byte)
	}
	if len(*w.buf)+len(p) >= fragmentSize {
		if err := w.Flush(); err != nil {
			return 0, err
		}
	}
	if len(p) >= fragmentSize {
		if err := w.send(p, false); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	*w.buf = append(*w.buf, p...)
	return len(p), nil
}

// Flush sends what has been collected, if anything, as a fragment of its own.
func (w *MessageWriter) Flush() error {
	if w.message.Done() {
		return ErrMessageFinished
	}
	if w.buf == nil || len(*w.buf) == 0 {
		return nil
	}
	collected := *w.buf
	*w.buf = collected[:0]
	return w.send(collected, false)
}

// Close sends the last fragment and so finishes the message; the connection
// stays open. A text that ends inside a code point cannot be finished: see
// Write.
func (w *MessageWriter) Close() error {
	if w.message.Done() {
		return ErrMessageFinished
	}
	if w.buf == nil {
		return w.send(nil, true)
	}
	err := w.send(*w.buf, true)
	*w.buf = (*w.buf)[:0]
	fragmentBuffers.Put(w.buf)
	w.buf = nil
	return err
}

// send sends a fragment, or gives up the message.
func (w *MessageWriter) send(p []byte, final bool) error {
	err := w.message.WriteFragment(p, final)
	if err != nil {
		w.message.Abandon()
	}
	return err
}
