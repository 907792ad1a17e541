package server

import (
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/netloop"
)

// This file is the seam between connections and the loop that serves them: a
// loopConn is a Conn as the loop sees it.

// loopConn is a Conn with the methods of netloop.Conn, which are not for
// applications.
type loopConn Conn

// polledConn is a connection with its socket of the polled loop.
type polledConn struct {
	conn   Conn
	socket netloop.PolledSocket
}

// newConn returns a new connection of s.
func (s *Server) newConn(polled bool) (*Conn, *netloop.PolledSocket) {
	if !polled {
		return &Conn{server: s}, nil
	}
	c := &polledConn{conn: Conn{server: s}}
	return &c.conn, &c.socket
}

// openAccepted returns a connection that a listener has accepted.
func (s *Server) openAccepted(polled bool) (netloop.Conn, *netloop.PolledSocket) {
	c, socket := s.newConn(polled)
	return (*loopConn)(c), socket
}

// lingerTimeout is how long the socket of an ended connection stays open, so
// that the last frame is not lost (RFC 6455, Section 7.1.1).
const lingerTimeout = time.Second

// loop returns the server's loop.
func (s *Server) loop() *netloop.Loop {
	s.netloop.once.Do(func() {
		closeTimeout := s.CloseTimeout
		if closeTimeout <= 0 { // no limit is no reason to keep a socket for good
			closeTimeout = DefaultCloseTimeout
		}
		s.netloop.loop = netloop.New(netloop.Config{
			WriteTimeout:  s.writeTimeout(),
			Linger:        lingerTimeout,
			BlockedLinger: max(lingerTimeout, closeTimeout),
			Limit:         s.writeLimit(),
			MaxBlocked:    orDefault(s.MaxBlocked, DefaultMaxBlocked),
			BatchedSends:  s.BatchedSends,
			NewBatch:      func() any { return endpoint.NewCork(corkSize) },
			Clock:         &s.clock.ticks,
			Counters:      s.counters.forLoop(),
			Log:           s.report,
		})
	})
	return s.netloop.loop
}

// writeTimeout returns WriteTimeout for the loop.
func (s *Server) writeTimeout() netloop.WriteTimeout {
	after := orDefault(s.WriteTimeout, DefaultWriteTimeout)
	return netloop.WriteTimeout{After: after, Err: endpoint.NewWriteTimeout(after)}
}

// corkSize is how many bytes of output are collected while handlers run.
const corkSize = 64 << 10

// Started begins the connection.
func (l *loopConn) Started(socket netloop.Socket) {
	c := (*Conn)(l)
	c.server.startConn(c, socket)
}

// ReadBuffer returns the buffer of a large message that is being received.
func (l *loopConn) ReadBuffer(size int) []byte { return l.endpoint.ReadBuffer(size) }

// Received handles input.
func (l *loopConn) Received(b []byte) (rest []byte, ok bool) { return (*Conn)(l).receive(b) }

// Ready reports whether the application is ready for another message or, after
// InputClosed, has answered all of them and no answer is queued or incomplete.
func (l *loopConn) Ready() bool {
	ext := l.ext.Load()
	if ext == nil {
		return true
	}
	b := ext.mailbox
	if ext.inputEnded.Load() {
		return (b == nil || b.takesEnd()) && !ext.messagesWait() && !l.endpoint.FrameIncomplete()
	}
	return b == nil || b.hasRoom()
}

// Partial reports whether a frame, message or handshake is incomplete.
func (l *loopConn) Partial() bool {
	_, partial := l.endpoint.Progress()
	return partial || !(*Conn)(l).isOpen()
}

// InputClosed notes that no more messages will arrive.
func (l *loopConn) InputClosed() { (*Conn)(l).ensureExt().inputEnded.Store(true) }

// wakeForEnd has the loop call Ready again after InputClosed: the connection
// may end now.
func (c *Conn) wakeForEnd() {
	if c.inputEnded() {
		c.wakeLoop()
	}
}

// inputEnded reports whether InputClosed was called.
func (c *Conn) inputEnded() bool {
	ext := c.ext.Load()
	return ext != nil && ext.inputEnded.Load()
}

// Flushed restarts the send queue, and reports whether Handler.Writable is set.
func (l *loopConn) Flushed() bool { return (*Conn)(l).flushed() }

// Writable calls Handler.Writable.
func (l *loopConn) Writable() (ok bool) { return (*Conn)(l).callWritable() }

// BeginBatch collects frames in batch. Senders that wait for space in the write
// buffer have to know its size: theirs are not collected.
func (l *loopConn) BeginBatch(batch any) {
	if !l.endpoint.HasBackpressure() {
		l.endpoint.Cork(batch.(*endpoint.Cork))
	}
}

// EndBatch writes the collected frames.
func (l *loopConn) EndBatch() { l.endpoint.Uncork() }

// WriterBlocked reports whether a sender waits inside a frame.
func (l *loopConn) WriterBlocked() bool { return l.endpoint.WriteBlocked() }

// Panicked reports a panic of a function of the application, and fails the
// connection if end is true.
func (l *loopConn) Panicked(value any, end bool) error {
	c := (*Conn)(l)
	switch p := c.phase.load(); {
	case end && value == nil && p == phaseEnded:
		return nil // it has been reported
	case !end || p.opening():
		return c.server.caught(value)
	}
	c.panicked(value)
	return nil
}

// Closed ends the connection.
func (l *loopConn) Closed(err error) { (*Conn)(l).lost(err) }
