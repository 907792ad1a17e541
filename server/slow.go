package server

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
	case c.fiber() != nil:
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
	if first, _ := c.endpoint.Abort(why, nil); !first {
		return c.Err() // it had ended before
	}
	go c.cut(why) // not from here: it may have to wait for a write that it makes fail
	return &LostError{Err: why}
}

// over returns the limit that size bytes more would break, for a client for which
// so many are waiting; nil if none.
func (s *Server) over(waiting, size int) *BacklogError {
	if limit := orDefault(s.MaxBacklog, DefaultMaxBacklog); limit > 0 && waiting+size > limit {
		return &BacklogError{Max: limit, Waiting: waiting, Size: size}
	}
	if limit := s.maxTotalBacklog(); limit > 0 && waiting > spared {
		if all := s.counters.backlog.Load(); all+int64(size) > limit {
			return &BacklogError{Max: int(limit), Waiting: int(all), Size: size, Total: true}
		}
	}
	return nil
}

// spared is how much, in bytes, may wait for a client that has no part in the total
// being too large: what is under way to one that reads.
const spared = 128 << 10

// maxTotalBacklog returns MaxTotalBacklog in bytes, 0 or less for no limit.
func (s *Server) maxTotalBacklog() int64 {
	return int64(orDefault(s.MaxTotalBacklog, DefaultMaxTotalBacklog))
}

// chokedAt returns how many bytes of answers to what a client has sent may wait
// for it before no more is read from it.
func (s *Server) chokedAt() int {
	limit := orDefault(s.MaxBacklog, DefaultMaxBacklog)
	if limit <= 0 {
		limit = DefaultMaxBacklog
	}
	return limit / 2
}

// room returns how many of size bytes may be added to the backlog of a client
// whose senders wait for it; 0 if they have to wait. It is not less than half of
// MaxBacklog otherwise, so that a sender is not woken for a few bytes.
func (s *Server) room(waiting, size int) int {
	if limit := s.maxTotalBacklog(); waiting > spared && limit > 0 && s.counters.backlog.Load() >= limit {
		return 0
	}
	limit := orDefault(s.MaxBacklog, DefaultMaxBacklog)
	switch {
	case limit <= 0 || waiting+size <= limit:
		return size
	case waiting > limit/2:
		return 0
	}
	return limit - waiting
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
	return b.server.room(b.transport.Buffered(), size)
}

// AwaitRoom waits until there is room, or nothing can be written any more.
func (b backpressure) AwaitRoom(size int) {
	b.transport.AwaitBacklog(func(waiting int) bool { return b.server.room(waiting, size) > 0 })
}

// Written ends the connection's output, if that had to wait for the frame.
func (b backpressure) Written() {
	if b.State() == Closed {
		b.transport.Finish(drainTime)
	}
}

// keeps reports whether a message is to wait in the outbox, where it can be
// dropped, because something waits before it. After a Close of either side nothing
// is kept: the engine returns why.
func (c *Conn) keeps() bool {
	return c.policy() == SlowDropOldest && c.State() == Open && c.Err() == nil && c.Buffered() > 0
}

// drained is called by the transport when the client has taken all that waited in
// its backlog. It reports whether Handler.Drain is to be called.
func (c *Conn) drained() bool {
	if box := c.outbox(); box != nil && box.restart() {
		go c.empty(box)
	}
	return c.isOpen() && c.handler.Drain != nil
}
