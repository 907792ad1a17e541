//go:build !portable

package server

import (
	"io"
	"net"
	"syscall"
	"time"

	"github.com/fibersock/fibersock/internal/socket"
)

// ending is how far a socket's end has come.
type ending uint8

const (
	notEnding    ending = iota
	closePending        // nothing more will be written than the backlog
	writeShut           // the client was told that no more will come
	aborted             // Close was called
)

// maxDrained bounds, in bytes, what is read and thrown away at a connection's end.
const maxDrained = 1 << 20

// nothingWaits reports whether there is nothing to be read. If there is, it is thrown away: the connection is at its end.
func (s *epollSocket) nothingWaits(w *workspace) bool {
	_, err := sysRead(s.fd, w.input)
	return err == syscall.EAGAIN
}

// closeIfDone ends the connection at once, if our Close has been taken: both
// sides have said their last, nothing has come after the client's Close, and
// nothing may come any more (RFC 6455, Section 5.5.1). It reports whether the
// connection has ended. The caller runs the socket.
func (s *epollSocket) closeIfDone() bool {
	s.conn.endpoint.Uncork()
	s.mu.Lock()
	done := s.backlog == nil && s.failed == nil
	s.mu.Unlock()
	if done {
		s.finish(nil)
	}
	return done
}

// finish ends the connection: the descriptor is closed, and the Conn is told why. The caller runs the socket.
func (s *epollSocket) finish(err error) {
	s.state.Store(over)
	s.mu.Lock()
	if s.ending == writeShut {
		err = nil // it was wanted
	}
	if _, late := s.failed.(*socket.TimeoutError); late || err == io.EOF && s.failed != nil && s.failed != net.ErrClosed {
		err = s.failed // the rest is only what came of that
	}
	s.poller.loop.sockets.remove(s.fd)
	syscall.Close(int(s.fd))
	s.fd = -1
	s.fail(net.ErrClosed)
	s.stopTimer()
	s.takePending().free()
	more := s.more
	s.mu.Unlock()
	defer func() { // also if a handler ends the goroutine
		s.poller.loop.leave()
		if more != nil && more.ended != nil {
			close(more.ended)
		}
	}()
	s.conn.lost(err)
}

// drain is called when the connection wants no more: what still comes is thrown away for a while, so that our last frame is
// not lost (RFC 6455, Section 7.1.1).
func (s *epollSocket) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return
	}
	s.setFinalDeadline(s.conn.lingerTime())
	s.ending = max(s.ending, closePending)
	s.setPause(0, pausedProgram|pausedBacklog)
	s.shutdownWrite()
}

// discard notes that n bytes have been thrown away, and returns how many that are in all.
func (s *epollSocket) discard(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updateInterest()
	more := s.reserve()
	more.drained += n
	return more.drained
}

// Finish says that nothing more will be written. What has been written still goes out, if that takes no longer than wait.
func (s *epollSocket) Finish(wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return
	}
	if s.ending == notEnding {
		s.ending = closePending
		if !s.working { // else it is bounded when the handlers have returned
			s.setFinalDeadline(wait)
		}
	}
	s.shutdownWrite()
	s.kickIfWork()
}

// shutdownWrite tells the client that no more comes, if all that there was has
// gone. The caller holds mu.
func (s *epollSocket) shutdownWrite() {
	if s.ending != closePending || s.backlog != nil || s.fd < 0 || s.conn.endpoint.WriteBlocked() {
		return
	}
	s.ending = writeShut
	syscall.Shutdown(int(s.fd), syscall.SHUT_WR)
}

// setDeadline cuts the connection in d, unless the deadline is moved before, or
// the connection is at its end and has one; 0 or less means never. The caller
// holds mu.
func (s *epollSocket) setDeadline(d time.Duration) {
	if d <= 0 || s.fd < 0 || s.more != nil && s.more.final {
		return
	}
	more := s.reserve()
	more.deadline = time.Now().Add(d)
	if more.timer == nil {
		more.timer = time.AfterFunc(d, s.expire)
	} else {
		more.timer.Reset(d)
	}
}

// setFinalDeadline cuts the connection in d, whatever happens until then. The
// deadline is set once: a client that reads a little now and then does not
// prolong it. The caller holds mu.
func (s *epollSocket) setFinalDeadline(d time.Duration) {
	s.setDeadline(d)
	s.reserve().final = true
}

// stopTimer takes the deadline away. The caller holds mu.
func (s *epollSocket) stopTimer() {
	if s.more != nil && s.more.timer != nil {
		s.more.timer.Stop()
		s.more.timer = nil
	}
}

// expire is called by the timer. The timer may have fired while somebody who
// held the lock moved the deadline, or emptied the backlog.
func (s *epollSocket) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expired()
}

// expired is expire for a caller that holds mu.
func (s *epollSocket) expired() {
	if s.fd < 0 || s.more.timer == nil {
		return
	}
	if left := time.Until(s.more.deadline); left > 0 {
		s.more.timer.Reset(left)
		return
	}
	if !s.more.final {
		if s.flush() { // its event may lie with a poller that has much to do
			s.kickIfWork()
			return
		}
		s.fail(&socket.TimeoutError{After: s.poller.loop.writeTimeout, Bytes: s.backlog.size()})
	}
	s.cut()
}

// Close cuts the connection.
func (s *epollSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut()
	return nil
}

// cut ends TCP in both directions: the poller gets an event for that. The caller holds mu.
func (s *epollSocket) cut() {
	if s.fd < 0 || s.ending == aborted {
		return
	}
	if s.ending == notEnding {
		s.ending = aborted
	}
	s.fail(net.ErrClosed)
	syscall.Shutdown(int(s.fd), syscall.SHUT_RDWR)
	s.takePending().free()
	s.setPause(0, ^pausedRunning)
}
