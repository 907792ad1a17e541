//go:build !portable

package server

import (
	"net"
	"syscall"
	"time"

	"github.com/fibersock/fibersock/internal/socket"
)

// ending is how far a socket's end has come.
type ending uint8

const (
	notEnding ending = iota
	lastWords        // nothing more will be written than what is in the backlog
	saidAll          // the client was told that no more will come
	cutOff           // Close was called
)

// maxDrained bounds, in bytes, what is read and thrown away at a connection's end.
const maxDrained = 1 << 20

// nothingWaits reports whether there is nothing to be read. If there is, it is thrown away: the connection is at its end.
func (s *epollSocket) nothingWaits(w *workspace) bool {
	_, err := sysRead(s.fd, w.input)
	return err == syscall.EAGAIN
}

// part ends the connection at once, if our Close has been taken: both sides have said their last, nothing has come after the
// client's Close, and nothing may come any more (RFC 6455, Section 5.5.1). It reports whether the connection has ended. The
// caller runs the socket.
func (s *epollSocket) part() bool {
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
	if s.ending == saidAll {
		err = nil // it was wanted
	}
	if late, ok := s.failed.(*socket.TimeoutError); ok {
		err = late // the rest is only what came of that
	}
	s.poller.loop.sockets.remove(s.fd)
	syscall.Close(int(s.fd))
	s.fd = -1
	s.fail(net.ErrClosed)
	s.stopTimer()
	s.forget()
	more := s.more
	s.mu.Unlock()
	s.conn.lost(err)
	s.poller.loop.leave()
	if more != nil && more.ended != nil {
		close(more.ended)
	}
}

// drain is called when the connection wants no more: what still comes is thrown away for a while, so that our last frame is
// not lost (RFC 6455, Section 7.1.1).
func (s *epollSocket) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return
	}
	s.hush(0, quietProgram|quietBacklog)
	s.bound(s.conn.lingerTime())
	s.ending = max(s.ending, lastWords)
	s.sayAll()
}

// discard notes that n bytes have been thrown away, and returns how many that are in all.
func (s *epollSocket) discard(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
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
		s.ending = lastWords
		if !s.working { // else it is bounded when the handlers have returned
			s.bound(wait)
		}
	}
	s.sayAll()
}

// sayAll tells the client that no more comes, if all that there was has gone. The caller holds mu.
func (s *epollSocket) sayAll() {
	if s.ending != lastWords || s.backlog != nil || s.fd < 0 || s.conn.endpoint.Pressed() {
		return
	}
	s.ending = saidAll
	syscall.Shutdown(int(s.fd), syscall.SHUT_WR)
}

// bound cuts the connection in d, if nothing changes that; 0 or less means never. The caller holds mu.
func (s *epollSocket) bound(d time.Duration) {
	if d <= 0 {
		return
	}
	if more := s.reserve(); more.timer == nil {
		more.timer = time.AfterFunc(d, s.expire)
	} else {
		more.timer.Reset(d)
	}
}

func (s *epollSocket) stopTimer() {
	if s.more != nil && s.more.timer != nil {
		s.more.timer.Stop()
		s.more.timer = nil
	}
}

// expire is called when the time is over in which the backlog had to move, or the connection to end.
func (s *epollSocket) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backlog != nil && s.ending == notEnding {
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
	if s.fd < 0 || s.ending == cutOff {
		return
	}
	if s.ending == notEnding {
		s.ending = cutOff
	}
	s.fail(net.ErrClosed)
	syscall.Shutdown(int(s.fd), syscall.SHUT_RDWR)
	s.forget()
	s.flushing = false
	s.quiet &= quietDeaf
	if s.armed {
		s.arm()
	}
}
