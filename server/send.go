package server

import (
	"fmt"
	"sync/atomic"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/lockorder"
	"github.com/fibersock/fibersock/wire"
)

// Send sends p as one message of type op, Text or Binary. A text must be UTF-8:
// otherwise nothing is sent and the error is wire.ErrInvalidUTF8. p is neither
// changed nor kept. While a message of SendFragment is unfinished, the error is
// ErrMessageUnfinished; while one of NextWriter is, Send waits.
//
// Send does not wait for the client, except with SlowBlock. Bytes that the
// kernel does not accept are buffered, up to Server.MaxBacklog;
// Server.SlowPolicy decides about a message that exceeds it.
func (c *Conn) Send(op wire.Opcode, p []byte) error {
	if c.nothingWaits() {
		c.noteMessage()
		return c.endpoint.Send(op, p)
	}
	if err := c.beforeSend(len(p)); err != nil {
		return err
	}
	if c.mustQueue(len(p)) {
		return c.enqueueMessage(endpoint.PrepareSingle(op, p))
	}
	return c.endpoint.Send(op, p)
}

// SendUncompressed is Send without compression. Use it for a message that
// contains a secret beside text of an attacker, who would learn from the length
// of compressed messages whether they are alike.
func (c *Conn) SendUncompressed(op wire.Opcode, p []byte) error {
	if err := c.beforeSend(len(p)); err != nil {
		return err
	}
	if c.mustQueue(len(p)) {
		return c.enqueueMessage(PrepareUncompressed(op, p))
	}
	return c.endpoint.SendUncompressed(op, p)
}

// nothingWaits reports whether a message may be sent at once: beforeSend would
// neither wait nor return an error, and no message is queued. The engine knows
// whether the connection has ended.
func (c *Conn) nothingWaits() bool {
	if ext := c.ext.Load(); ext != nil && (ext.sendQueue.Load() != nil || ext.fragments.open.Load()) {
		return false
	}
	return c.transport.Buffered() == 0
}

// enqueueMessage queues the message of Prepare.
func (c *Conn) enqueueMessage(m *Prepared, err error) error {
	if err == nil {
		c.enqueue(m)
	}
	return err
}

// SendText sends s as a text message; see Send.
func (c *Conn) SendText(s string) error {
	if err := c.beforeSend(len(s)); err != nil {
		return err
	}
	if c.mustQueue(len(s)) {
		return c.enqueueMessage(endpoint.PrepareSingle(wire.Text, []byte(s)))
	}
	return c.endpoint.SendText(s)
}

// SendBinary sends p as a binary message; see Send.
func (c *Conn) SendBinary(p []byte) error { return c.Send(wire.Binary, p) }

// Sendf sends a text message formatted as by fmt.Sprintf; see Send.
func (c *Conn) Sendf(format string, args ...any) error {
	return c.Send(wire.Text, fmt.Appendf(nil, format, args...))
}

// SendJSON sends v, encoded by encoding/json, as a text message; see Send.
func (c *Conn) SendJSON(v any) error {
	p, err := endpoint.EncodeJSON(v)
	if err != nil {
		return err
	}
	return c.Send(wire.Text, p)
}

// beforeSend checks whether a message of size bytes may be sent: it waits for
// the messages broadcast before, and applies the limits of the backlog.
func (c *Conn) beforeSend(size int) error {
	c.noteMessage()
	if c.State() != Open {
		return nil // the engine returns the reason
	}
	if c.unfinished() {
		return ErrMessageUnfinished
	}
	if c.ext.Load() != nil && c.policy() != SlowDropOldest {
		c.forceFlush(false)
	}
	return c.admit(size, false)
}

// MessageWriter writes one message in fragments; see Conn.NextWriter.
//
//	Write(p []byte) (int, error)  // adds p to the message; p is not kept
//	Flush() error                 // sends the buffered bytes as a fragment
//	Close() error                 // sends the last fragment
type MessageWriter = endpoint.MessageWriter

// NextWriter returns an io.WriteCloser for one message of type op, Text or
// Binary, that is larger than memory or made in parts. It buffers up to 4 KiB
// and sends fragments. The caller must close it: from the first fragment to
// Close, other messages wait, control frames do not.
//
// NextWriter is for Handler.Serve and other goroutines of the application. A
// handler that has not closed its writer must not send anything else. A client
// that reads too slowly is treated as Server.SlowPolicy says; in the middle of
// a message, SlowDropNewest and SlowDropOldest are SlowClose.
func (c *Conn) NextWriter(op wire.Opcode) (*MessageWriter, error) {
	m, err := c.endpoint.NextWriter(op)
	if err != nil {
		return nil, err
	}
	m.SetCheck(func(size int) error { return c.beforeFragment(size, !m.Began()) })
	m.SetOpened(c.wakeFlushers)
	return m, nil
}

// beforeFragment is beforeSend for a fragment, the first one of a message or
// another.
func (c *Conn) beforeFragment(size int, first bool) error {
	if !first {
		c.noteMessage()
		return c.admitFragment(size)
	}
	if err := c.beforeSend(size); err != nil {
		return err
	}
	c.forceFlush(false)
	return nil
}

// unfinished reports whether a message of SendFragment is unfinished.
func (c *Conn) unfinished() bool {
	ext := c.ext.Load()
	return ext != nil && ext.fragments.open.Load()
}

// fragments is the message of SendFragment.
type fragments struct {
	open    atomic.Bool         // the first fragment is sent, the last is not
	mu      lockorder.Fragments // guards message
	message *endpoint.MessageWriter
}

// SendFragment sends p, which may be empty, as the next fragment of a message
// (RFC 6455, Section 5.4), the last one if final is set. op is the message's
// type with the first fragment, and the same or wire.Continuation with the
// others. A fragment of a text may end inside a code point, the message may
// not. Until the message is finished, only control frames can be sent besides.
// NextWriter returns an io.WriteCloser for the same purpose.
func (c *Conn) SendFragment(op wire.Opcode, p []byte, final bool) error {
	f := &c.ensureExt().fragments
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.State() != Open {
		return c.endpoint.SendUncompressed(wire.Binary, nil) // the engine returns the reason
	}
	if f.message == nil {
		m, err := c.NextWriter(op)
		if err != nil {
			return err
		}
		f.message = m
	} else if op != wire.Continuation && op != f.message.Opcode() {
		return ErrMessageUnfinished
	}
	err := f.message.WriteFragment(p, final)
	f.open.Store(f.message.Began() && !f.message.Done())
	if !f.open.Load() {
		f.message = nil
	}
	return err
}

// SendPing sends a Ping with the given payload, at most 125 bytes, and does not
// wait for the Pong; see Ping. The server checks by itself whether a silent
// client is alive: see Server.PingInterval.
func (c *Conn) SendPing(payload []byte) error { return c.endpoint.Ping(payload) }

// SendPong sends a Pong that answers no Ping, with at most 125 bytes of
// payload. The server answers Pings by itself.
func (c *Conn) SendPong(payload []byte) error { return c.endpoint.Pong(payload) }
