package server

import "github.com/fibersock/fibersock/internal/netloop"

// This file decides what happens to a message for a client that does not take
// what it has been sent before. What waits for such a client lies in the
// transport's backlog, frame after frame, and in the outbox, message by message.

// SlowPolicy says what becomes of a message that would bring what waits for one
// client over Server.MaxBacklog, or what waits for all over
// Server.MaxTotalBacklog. A message for a client for which nothing waits is sent
// whatever its size, and so are control frames: a Ping is answered, and a Close
// sent. What makes no progress for WriteTimeout ends the connection with every
// policy.
type SlowPolicy uint8

const (
	// SlowDefault is SlowBlock for connections with Handler.Serve, and SlowClose
	// for others.
	SlowDefault SlowPolicy = iota

	// SlowClose cuts the connection. What was to be sent returns a *LostError,
	// which has a *BacklogError as its cause.
	SlowClose

	// SlowDropNewest drops the message that was to be sent, and returns a
	// *BacklogError. The connection goes on.
	SlowDropNewest

	// SlowDropOldest drops as many as needed of the messages that wait, the
	// oldest first, but for the one that is on its way to the client.
	SlowDropOldest

	// SlowBlock makes the sender wait until the message fits into what may wait
	// for the client, or at least half of MaxBacklog is free. A broadcast does
	// not wait: for that it is SlowClose.
	SlowBlock
)

// policy returns what becomes of messages for which there is no room.
func (c *Conn) policy() SlowPolicy {
	switch p := c.server.SlowPolicy; {
	case p != SlowDefault:
		return p
	case c.mailbox() != nil:
		return SlowBlock
	}
	return SlowClose
}

// Buffered returns how many bytes of frames have been sent to the client that the
// system has not taken yet, because the client does not read.
func (c *Conn) Buffered() int {
	n := c.transport.Buffered()
	if box := c.outbox(); box != nil {
		n += int(box.bytes.Load())
	}
	return n
}

// admit decides on a message of size bytes, which is broadcast or sent to this
// connection alone. It is to be sent if the error is nil.
func (c *Conn) admit(size int, broadcast bool) error {
	waiting := c.Buffered()
	if waiting == 0 {
		return nil
	}
	policy := c.policy()
	if policy == SlowDropOldest || policy == SlowBlock && !broadcast {
		return nil
	}
	why := c.server.over(waiting, size)
	if why == nil {
		return nil
	}
	if policy == SlowDropNewest {
		why.Dropped = true
		c.server.counters.count(func(st *Stats) { st.Dropped++ })
		return why
	}
	if !c.endpoint.Abort(why) {
		return c.Err() // it had ended before
	}
	go c.abort(why) // not from here: it may have to wait for a write that it makes fail
	return &LostError{Err: why}
}

// over returns the limit that size bytes more would exceed, for a client with so
// many bytes buffered; nil if none.
func (s *Server) over(buffered, size int) *BacklogError {
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

// writeLimit returns MaxBacklog and MaxTotalBacklog as the loop has them.
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

// awaitsClient reports whether the program's sends may be waiting for the client to
// read.
func (c *Conn) awaitsClient() bool {
	return c.endpoint.HasBackpressure() && c.transport.Buffered() > 0
}

// backpressure is a connection whose senders wait for the client: SlowBlock. It is
// its endpoint's endpoint.Backpressure.
type backpressure struct{ *Conn }

// Room returns how many of size bytes may be written now.
func (b backpressure) Room(size int) int {
	limit := b.server.writeLimit()
	return limit.Space(b.transport.Buffered(), size)
}

// AwaitRoom waits until there is room, or nothing can be written any more.
func (b backpressure) AwaitRoom(size int) {
	b.transport.AwaitSpace(size)
}

// Written ends the connection's output, if that had to wait for the frame.
func (b backpressure) Written() {
	if b.State() == Closed {
		b.transport.CloseWrite(b.closeExchanged())
	}
}

// keeps reports whether a message is to wait in the outbox, where it can be
// dropped, because something waits before it. After a Close of either side nothing
// is kept: the engine returns why.
func (c *Conn) keeps() bool {
	return c.policy() == SlowDropOldest && c.State() == Open && c.Err() == nil && c.Buffered() > 0
}

// flushed is called, with the socket's lock held, when the write buffer has become
// empty. It reports whether Handler.Writable is to be called.
func (c *Conn) flushed() bool {
	if box := c.outbox(); box != nil && box.restart() {
		go c.empty(box)
	}
	return c.isOpen() && c.handler.Writable != nil
}
