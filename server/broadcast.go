package server

import (
	"iter"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Broadcast sends p as a message of type op to all connections of the server that
// are open; see the function Broadcast.
func (s *Server) Broadcast(op wire.Opcode, p []byte) error { return Broadcast(s.Conns(), op, p) }

// Broadcast sends p as a message of type op, Text or Binary, to all connections
// of to. The message is encoded once. Broadcast does not wait for the clients, but
// for the few milliseconds in which it turns out, without epoll, that one reads no
// more: what one has not taken waits for it, and one for which too much waits is
// treated as Server.SlowPolicy says. Messages that are sent to a connection
// afterwards come after it.
//
// The error is ErrNotData or wire.ErrInvalidUTF8 for a message that cannot be
// sent; that a connection has ended is no error. p is not kept.
func Broadcast(to iter.Seq[*Conn], op wire.Opcode, p []byte) error {
	m, err := Prepare(op, p)
	if err != nil {
		return err
	}
	for c := range to {
		c.post(m)
	}
	return nil
}

// Prepared is a message encoded once, to be sent to any number of clients, at any
// time, from any goroutine.
type Prepared = endpoint.Prepared

// Prepare encodes p as a message of type op, Text or Binary. p is not kept. The
// error is ErrNotData or wire.ErrInvalidUTF8 for a message that cannot be sent.
func Prepare(op wire.Opcode, p []byte) (*Prepared, error) { return endpoint.Prepare(op, p) }

// SendPrepared sends m; see Send.
func (c *Conn) SendPrepared(m *Prepared) error {
	if err := c.beforeSend(m.Size()); err != nil {
		return err
	}
	if c.keeps() {
		c.keep(m)
		return nil
	}
	return c.endpoint.SendPrepared(m)
}

// post sends m without waiting.
func (c *Conn) post(m *Prepared) {
	c.traffic()
	if c.State() != Open || c.admit(m.Size(), true) != nil {
		return // that has had its consequences
	}
	if c.keeps() || !c.postAtOnce(m) {
		c.keep(m)
	}
}

// postAtOnce sends m if that makes nobody wait, and nothing has to be sent before
// it. It reports whether it has, or need not.
func (c *Conn) postAtOnce(m *Prepared) bool {
	if box := c.outbox(); box != nil && box.waiting.Load() > 0 {
		return false
	}
	return c.endpoint.TrySendPrepared(m)
}
