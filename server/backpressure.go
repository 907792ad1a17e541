package server

import "github.com/fibersock/fibersock/internal/netloop"

// This file decides about messages for a client that reads too slowly. Its
// output is buffered in the transport, as bytes, and in the send queue, as
// messages.

// SlowPolicy decides about a message that exceeds Server.MaxBacklog for one
// client or Server.MaxTotalBacklog for all. A message of any size is sent to a
// client without buffered output. Control frames are always sent: Pings are
// answered, and a Close is sent. With every policy, WriteTimeout ends a
// connection whose output makes no progress.
type SlowPolicy uint8

const (
	// SlowDefault is SlowBlock for connections with Handler.Serve and of
	// Server.Accept, and SlowClose for others.
	SlowDefault SlowPolicy = iota

	// SlowClose aborts the connection. The send returns a *LostError whose
	// cause is a *BacklogError.
	SlowClose

	// SlowDropNewest drops the message. The send returns a *BacklogError, and
	// the connection stays open.
	SlowDropNewest

	// SlowDropOldest drops the oldest messages that wait, until the new one
	// fits. A message of which the client has a part is not dropped. Messages
	// are compressed when they no longer wait.
	SlowDropOldest

	// SlowBlock makes the send wait until the message fits or half of
	// MaxBacklog is free. A broadcast does not wait: SlowClose applies to it.
	SlowBlock
)

// policy returns the connection's policy, which is not SlowDefault.
func (c *Conn) policy() SlowPolicy {
	switch p := c.server.SlowPolicy; {
	case p != SlowDefault:
		return p
	case c.mailbox() != nil:
		return SlowBlock
	}
	return SlowClose
}

// Buffered returns the bytes of the frames that were sent to the client and
// that the kernel has not accepted, because the client reads too slowly. Frames
// that Broadcast has deferred are written first.
func (c *Conn) Buffered() int {
	n := c.buffered()
	if n > 0 {
		c.transport.Flush()
		n = c.buffered()
	}
	return n
}

// buffered is Buffered with the bytes whose write is deferred.
func (c *Conn) buffered() int {
	n := c.transport.Buffered()
	if q := c.sendQueue(); q != nil {
		n += int(q.bytes.Load())
	}
	return n
}

// admit applies the policy to a message of size bytes. The message may be sent
// if the error is nil.
func (c *Conn) admit(size int, broadcast bool) error {
	if c.buffered() == 0 {
		return nil
	}
	policy := c.policy()
	if policy == SlowDropOldest || policy == SlowBlock && !broadcast {
		return nil
	}
	why := c.exceeded(size)
	if why == nil {
		return nil
	}
	if policy == SlowDropNewest {
		why.Dropped = true
		c.server.counters.count(func(st *Stats) { st.Dropped++ })
		return why
	}
	return c.abortSlow(why)
}

// admitFragment applies the policy to a fragment of size bytes behind the first
// one of a message. Such a message cannot be dropped.
func (c *Conn) admitFragment(size int) error {
	if c.buffered() == 0 || c.policy() == SlowBlock {
		return nil
	}
	if why := c.exceeded(size); why != nil {
		return c.abortSlow(why)
	}
	return nil
}

// exceeded returns the limit that size more bytes exceed, nil if they fit. A
// client whose output is only deferred may read fast enough: the output is
// written first.
func (c *Conn) exceeded(size int) *BacklogError {
	why := c.server.exceeded(c.buffered(), size)
	if why == nil {
		return nil
	}
	buffered := c.Buffered()
	if buffered == 0 {
		return nil
	}
	return c.server.exceeded(buffered, size)
}

// abortSlow aborts the connection to a client that reads too slowly.
func (c *Conn) abortSlow(why *BacklogError) error {
	if first, _ := c.endpoint.Abort(why, nil); !first {
		return c.Err() // it has ended before
	}
	go c.abort(why) // waits for a write, which it makes fail
	return &LostError{Err: why}
}

// exceeded returns the limit that size more bytes exceed, for a client with so
// many bytes buffered; nil if they fit.
func (s *Server) exceeded(buffered, size int) *BacklogError {
	limit := s.writeLimit()
	switch exceeded, total := limit.Exceeded(buffered, size); {
	case !exceeded:
		return nil
	case total:
		return &BacklogError{Max: limit.TotalHigh, Waiting: int(limit.Total.Load()), Size: size, Total: true}
	}
	return &BacklogError{Max: limit.High, Waiting: buffered, Size: size}
}

// exempt is how many bytes may be buffered for a client before MaxTotalBacklog
// applies to it: bytes on their way to a client that reads.
const exempt = 128 << 10

// writeLimit returns MaxBacklog and MaxTotalBacklog for the loop.
func (s *Server) writeLimit() netloop.WriteLimit {
	l := netloop.WriteLimit{
		High:      orDefault(s.MaxBacklog, DefaultMaxBacklog),
		TotalHigh: orDefault(s.MaxTotalBacklog, DefaultMaxTotalBacklog),
		Exempt:    exempt,
		Total:     &s.counters.backlog,
	}
	l.PauseRead = max(l.High/2, 1)
	if l.High <= 0 {
		l.PauseRead = DefaultMaxBacklog / 2
	}
	return l
}

// awaitsClient reports whether a send may be waiting for the client to read.
func (c *Conn) awaitsClient() bool {
	return c.endpoint.HasBackpressure() && c.transport.Buffered() > 0
}

// backpressure is the endpoint.Backpressure of a connection with SlowBlock: the
// transport blocks its writers.
type backpressure struct {
	netloop.Socket
	conn *Conn
}

// Written ends the connection's output, or the connection, if that had to wait
// for the frame.
func (b backpressure) Written() {
	if b.conn.State() == Closed {
		b.CloseWrite(b.conn.closeExchanged())
	}
	b.conn.wakeForEnd()
}

// mustQueue reports whether a message of size bytes has to be queued, where it
// can be dropped, because the client reads too slowly. After a Close of either
// side no message is queued: the engine returns the reason.
func (c *Conn) mustQueue(size int) bool {
	if c.policy() != SlowDropOldest || c.State() != Open || c.Err() != nil {
		return false
	}
	if ext := c.ext.Load(); ext != nil && ext.messagesWait() {
		return true // behind queued messages
	}
	switch {
	case c.transport.Buffered() == 0:
		return false
	case c.transport.Deferred():
		return c.exceeded(size) != nil
	}
	return c.transport.Buffered() > 0 // 0: the output was deferred, and has just been written
}

// flushed is called, with the socket's lock held, when the transport's buffer
// has become empty. It reports whether Handler.Writable is to be called.
func (c *Conn) flushed() bool {
	if q := c.sendQueue(); q != nil && q.start() {
		go c.sendQueued(q)
	}
	return c.isOpen() && c.handler.Writable != nil
}
