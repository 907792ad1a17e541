package server

import (
	"iter"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Broadcast sends p as a message of type op to all open connections of the
// server; see the function Broadcast.
func (s *Server) Broadcast(op wire.Opcode, p []byte) error { return Broadcast(s.Conns(), op, p) }

// BroadcastPrepared sends m to all open connections of the server; see the
// function Broadcast.
func (s *Server) BroadcastPrepared(m *Prepared) { BroadcastPrepared(s.Conns(), m) }

// Broadcast sends p as a message of type op, Text or Binary, to the connections
// of to. It encodes the message once. It does not wait for clients: bytes that
// the kernel does not accept are buffered, and Server.SlowPolicy decides about
// clients with too large a backlog. Without epoll, it may take a few
// milliseconds to notice that a client has stopped reading. Messages sent to a
// connection afterwards follow the broadcast.
//
// With epoll, output of handlers to other connections is deferred, for up to
// about a millisecond, while more messages that have arrived are handled: a
// client gets several broadcasts in one write. A handler that blocks delays no
// output.
//
// The error is ErrNotData or wire.ErrInvalidUTF8 for a message that cannot be
// sent. A connection that has ended is no error. p is not kept.
func Broadcast(to iter.Seq[*Conn], op wire.Opcode, p []byte) error {
	m, err := Prepare(op, p)
	if err != nil {
		return err
	}
	BroadcastPrepared(to, m)
	return nil
}

// BroadcastPrepared is Broadcast of a message that is encoded already.
func BroadcastPrepared(to iter.Seq[*Conn], m *Prepared) {
	for c := range to {
		c.trySendOrQueue(m)
	}
}

// Prepared is an encoded message. It can be sent to any number of clients, any
// number of times, from any goroutine. With Server.Compression, it is
// compressed once, by itself, for all clients.
type Prepared = endpoint.Prepared

// Prepare encodes p as a message of type op, Text or Binary. p is not kept. The
// error is ErrNotData or wire.ErrInvalidUTF8 for a message that cannot be sent.
func Prepare(op wire.Opcode, p []byte) (*Prepared, error) { return endpoint.Prepare(op, p) }

// PrepareUncompressed is Prepare of a message that is sent without compression;
// see Conn.SendUncompressed.
func PrepareUncompressed(op wire.Opcode, p []byte) (*Prepared, error) {
	return endpoint.PrepareUncompressed(op, p)
}

// SendPrepared sends m; see Send.
func (c *Conn) SendPrepared(m *Prepared) error {
	if err := c.beforeSend(m.Size()); err != nil {
		return err
	}
	if c.mustQueue(m.Size()) {
		c.enqueue(m)
		return nil
	}
	return c.endpoint.SendPrepared(m)
}

// fate is the outcome of trySendOrQueue.
type fate uint8

const (
	fateSent    fate = iota // the message is written, buffered or queued
	fateDropped             // SlowDropNewest has dropped it
	fateAborted             // the client reads too slowly, and the connection is aborted
	fateClosed              // the connection is closing, or has ended
)

// trySendOrQueue sends m without waiting for the client or for another message.
func (c *Conn) trySendOrQueue(m *Prepared) fate {
	c.noteMessage()
	if c.State() != Open {
		return fateClosed
	}
	if err := c.admit(m.Size(), true); err != nil {
		if _, ok := err.(*BacklogError); ok {
			return fateDropped
		}
		return fateAborted
	}
	if c.mustQueue(m.Size()) || !c.trySend(m) {
		c.enqueue(m)
	}
	return fateSent
}

// trySend sends m if no other message waits and no other writer holds the
// connection. It reports whether m is sent, or cannot be sent any more.
func (c *Conn) trySend(m *Prepared) bool {
	if ext := c.ext.Load(); ext != nil && ext.messagesWait() {
		return false
	}
	return c.endpoint.TrySendPrepared(m)
}
