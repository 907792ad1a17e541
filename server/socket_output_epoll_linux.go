//go:build !portable

package server

import (
	"os"
	"sync"
	"syscall"
)

// Write takes all of p, or fails. What the system does not take waits in the backlog.
func (s *epollSocket) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.put(nil, p)
	err := s.failed
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Writev is Write for bytes in two pieces.
func (s *epollSocket) Writev(head, payload []byte) error {
	s.mu.Lock()
	if s.failed == nil {
		s.put(head, payload)
	}
	err := s.failed
	s.mu.Unlock()
	return err
}

// put writes a and b, or keeps what the system does not take. The caller holds mu.
func (s *epollSocket) put(a, b []byte) {
	if s.failed != nil {
		return
	}
	n := 0
	if s.backlog == nil {
		var err error
		n, err = sysWritev(s.fd, a, b)
		if err != nil && err != syscall.EAGAIN {
			s.fail(os.NewSyscallError("write", err))
			return
		}
	}
	if n < len(a) {
		s.enqueue(a[n:])
	}
	if n = max(n-len(a), 0); n < len(b) {
		s.enqueue(b[n:])
	}
}

// enqueue adds p to the backlog. If handlers run, it may be an answer to what the client has sent, unless its sender waits for
// room. The caller holds mu.
func (s *epollSocket) enqueue(p []byte) {
	first := s.backlog == nil
	s.backlog = s.backlog.add(p)
	s.recount(len(p))
	if s.working && !s.conn.endpoint.WriteBlocked() {
		s.reserve().answers += len(p)
	}
	if first {
		s.updateInterest()
		s.setDeadline(s.poller.loop.writeTimeout)
	}
}

// recount notes that the backlog has grown, or shrunk, by so many bytes. The caller holds mu.
func (s *epollSocket) recount(by int) {
	s.waiting.Add(int64(by))
	s.conn.server.counters.backlogged(by)
}

// write writes as much of p as the system takes. The caller holds mu.
func (s *epollSocket) write(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := sysWrite(s.fd, p[n:])
		if err == syscall.EAGAIN {
			return n, nil
		}
		if err != nil {
			return n, os.NewSyscallError("write", err)
		}
		n += m
	}
	return n, nil
}

// flush writes the backlog, as far as the system takes it, and reports whether
// that is anything, or nothing is left to be written. The caller holds mu.
func (s *epollSocket) flush() (moved bool) {
	if s.fd < 0 || s.backlog == nil {
		return true
	}
	n, err := s.write(s.backlog.rest())
	s.backlog = s.backlog.take(n)
	s.recount(-n)
	if err != nil {
		s.fail(err)
	}
	s.wakeWriters()
	if s.backlog != nil {
		if n > 0 {
			s.setDeadline(s.poller.loop.writeTimeout) // it reads, if slowly
		}
		return n > 0
	}
	if s.more != nil {
		s.more.answers = 0
	}
	s.emptied = s.failed == nil && s.conn.drained()
	if s.ending == notEnding {
		s.stopTimer()
	}
	s.setPause(0, pausedBacklog)
	s.shutdownWrite()
	return true
}

// fail makes every write fail. The caller holds mu.
func (s *epollSocket) fail(err error) {
	if s.failed == nil {
		s.failed = err
	}
	s.recount(-s.backlog.size())
	s.backlog.free()
	s.backlog = nil
	s.wakeWriters()
}

func (s *epollSocket) wakeWriters() {
	if s.more != nil && s.more.room != nil {
		s.more.room.Broadcast()
	}
}

// Buffered returns the size of the backlog, in bytes.
func (s *epollSocket) Buffered() int { return int(s.waiting.Load()) }

// AwaitBacklog waits for a backlog of another size.
func (s *epollSocket) AwaitBacklog(enough func(size int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := s.reserve()
	if more.room == nil {
		more.room = sync.NewCond(&s.mu)
	}
	for s.failed == nil && !enough(s.backlog.size()) {
		more.room.Wait()
	}
}

// Unacknowledged returns how many bytes the client's system has not acknowledged.
func (s *epollSocket) Unacknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return -1
	}
	return sysQueued(uintptr(s.fd))
}

// Choked reports whether nothing is read because the client does not take the answers.
func (s *epollSocket) Choked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused&pausedBacklog != 0
}
