//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"io"
	"net"
	"syscall"
	"time"
)

// nothingUnread reports whether there is no input. It discards input: the
// connection is at its end.
func (s *PolledSocket) nothingUnread(w *worker) bool {
	n, err := s.poller.sys.read(s.fd, w.input)
	return err == syscall.EAGAIN || err == nil && n == 0
}

// exchanged reports whether the socket can be closed at once: the output is
// written, and the peer, which has closed the connection too, expects no more
// (RFC 6455, Section 5.5.1). The caller owns the socket.
func (s *PolledSocket) exchanged() bool {
	s.conn.EndBatch()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flags&flagExchanged != 0 && s.state == stateLingering && s.flags&flagFailed == 0
}

// layer is a Conn that lies between the socket and another Conn, as TLS does.
type layer interface {
	// endOutput ends the output by bytes of the layer, such as close_notify, and
	// calls CloseWrite. It is called when all input is answered, and returns
	// false if there are no such bytes.
	endOutput() bool

	// holdsInput reports whether the layer will pass on input that it has got,
	// or will be ready for more. Until then a reset of the socket is not handled.
	holdsInput() bool
}

// end ends a connection whose input has ended. The caller owns the socket.
func (s *PolledSocket) end() {
	if c, ok := s.conn.(layer); ok && s.mayEndOutput() && c.endOutput() {
		return // the socket lingers
	}
	s.close(io.EOF)
}

// mayEndOutput reports whether the end of the output can be written.
func (s *PolledSocket) mayEndOutput() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.awaitsAnswers() && s.flags&flagFailed == 0
}

// endInput discards the input from now on. The peer sends none, but has not
// closed its side. Handlers of the connection are running.
func (s *PolledSocket) endInput() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step(eventInputEnd)
}

// close closes the descriptor and calls Conn.Closed. The caller owns the
// socket.
func (s *PolledSocket) close(err error) {
	s.owner.Store(ownerClosed)
	s.mu.Lock()
	if s.state == stateLingering || s.state == stateDone {
		err = nil // this side has ended the connection
	}
	if failed := s.failure(); failed != nil && failed == s.poller.loop.WriteTimeout.Err || err == io.EOF && failed != nil && failed != net.ErrClosed {
		err = failed // the rest is only its effect
	}
	s.step(eventClose)
	s.poller.loop.sockets.remove(s.fd)
	s.poller.sys.close(s.fd)
	s.fd = -1
	s.fail(net.ErrClosed)
	s.stopTimer()
	s.takePending().free()
	ext := s.ext
	s.mu.Unlock()
	defer func() { // also if a handler ends the goroutine
		s.poller.loop.leave()
		if ext != nil && ext.ended != nil {
			close(ext.ended)
		}
	}()
	s.conn.Closed(err)
}

// discard counts n bytes of discarded input, and returns the total.
func (s *PolledSocket) discard(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ext := s.ensureExt()
	ext.discarded += n
	return ext.discarded
}

// CloseWrite ends the output: see Socket. The collected output and FIN share a
// segment.
func (s *PolledSocket) CloseWrite(exchanged bool) {
	s.mu.Lock()
	s.flags |= flagLast
	s.mu.Unlock()
	s.conn.EndBatch()
	s.closeWrite(exchanged)
}

// closeWrite is CloseWrite without EndBatch.
func (s *PolledSocket) closeWrite(exchanged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if exchanged {
		s.flags |= flagExchanged
	}
	s.step(eventCloseWrite)
	if s.out == nil {
		s.step(eventFlushed)
	}
}

// setDeadline aborts the connection in d, unless the deadline is moved before,
// or bounds the socket's life already. 0 or less means never. The caller holds
// mu.
func (s *PolledSocket) setDeadline(d time.Duration) {
	if d <= 0 || s.fd < 0 || s.ext != nil && s.ext.final {
		return
	}
	ext := s.ensureExt()
	ext.deadline = time.Now().Add(d)
	if ext.timer == nil {
		ext.timer = time.AfterFunc(d, s.expire)
	} else {
		ext.timer.Reset(d)
	}
}

// setFinalDeadline bounds the socket's life by Config.Linger. It is set once: a
// peer that reads a little now and then does not prolong it. The caller holds
// mu.
func (s *PolledSocket) setFinalDeadline() {
	linger := s.poller.loop.Linger
	if s.conn.WriterBlocked() {
		linger = s.poller.loop.BlockedLinger
	}
	s.setDeadline(linger)
	s.ensureExt().final = true
}

// stopTimer removes the deadline. The caller holds mu.
func (s *PolledSocket) stopTimer() {
	if s.ext != nil && s.ext.timer != nil {
		s.ext.timer.Stop()
		s.ext.timer = nil
	}
}

// expire is called by the timer.
func (s *PolledSocket) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expired()
}

// expired aborts the connection. The timer may have fired while the lock was
// held to move the deadline or to flush the write buffer. The caller holds mu.
func (s *PolledSocket) expired() {
	if s.fd < 0 || s.ext.timer == nil {
		return
	}
	if left := time.Until(s.ext.deadline); left > 0 {
		s.ext.timer.Reset(left)
		return
	}
	if !s.ext.final {
		if s.flush() { // the poller may be busy, and its event late
			s.kickIfWork()
			return
		}
		s.fail(s.poller.loop.WriteTimeout.Err)
	}
	s.step(eventAbort)
}

// Abort discards the write buffer and shuts the connection down: the kernel
// reports that.
func (s *PolledSocket) Abort() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd >= 0 {
		s.step(eventAbort)
	}
	return nil
}
