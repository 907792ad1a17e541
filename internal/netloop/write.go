//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"net"
	"os"
	"sync"
	"syscall"
)

// Write writes all of p or fails. Bytes that the kernel does not accept are
// buffered.
func (s *PolledSocket) Write(p []byte) (int, error) {
	if err := s.Writev(nil, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Writev is Write for two pieces, each possibly empty.
func (s *PolledSocket) Writev(head, payload []byte) error {
	s.mu.Lock()
	err := s.failure()
	if err == nil {
		err = s.put(head, payload)
	}
	s.mu.Unlock()
	return err
}

// shortRetries is how often a write is continued that the kernel has accepted a
// part of: a peer that is reading makes room, and a write is cheaper than a
// copy of the rest.
const shortRetries = 2

// put writes a and b. It buffers the bytes that the kernel does not accept. The
// caller holds mu.
func (s *PolledSocket) put(a, b []byte) error {
	if !s.state.writes() {
		return net.ErrClosed
	}
	own := s.out == nil && s.flags&flagHandling != 0 // output of the socket's own handler, which is not deferred
	if !own && !s.backlogged() {
		if s.deferOutput(a, b) {
			return s.failure()
		}
		s.flushDeferred()
		if err := s.failure(); err != nil {
			return err
		}
	}
	n := 0
	if s.out == nil && len(a)+len(b) > 0 {
		var err error
		if s.flags&flagLast != 0 && len(b) == 0 {
			n, err = s.poller.sys.writeLast(s.fd, a)
		} else {
			n, err = s.poller.sys.writev(s.fd, a, b)
		}
		for range shortRetries {
			if err != nil || n < len(a) || n == len(a)+len(b) {
				break
			}
			var m int
			m, err = s.poller.sys.write(s.fd, b[n-len(a):])
			n += m
		}
		if err != nil && err != syscall.EAGAIN {
			s.fail(os.NewSyscallError("write", err))
			return s.failure()
		}
	}
	if n < len(a) {
		s.enqueue(a[n:])
	}
	if n = max(n-len(a), 0); n < len(b) && s.flags&flagFailed == 0 {
		s.enqueue(b[n:])
	}
	return s.failure()
}

// enqueue adds p to the write buffer. If handlers run, it may be a reply,
// unless its sender waits for space. The caller holds mu.
func (s *PolledSocket) enqueue(p []byte) {
	first := s.out == nil
	s.out = s.out.add(p)
	s.recount(len(p))
	if s.flags&flagHandling != 0 && !s.conn.WriterBlocked() {
		s.ensureExt().replies += len(p)
	}
	if first {
		s.setDeadline(s.poller.loop.WriteTimeout.After)
		s.step(eventBuffered)
	}
}

// recount notes that the write buffer has grown, or shrunk, by so many bytes.
// The caller holds mu.
func (s *PolledSocket) recount(by int) {
	s.buffered.Add(int64(by))
	s.poller.loop.Counters.Buffered.Add(by)
}

// flush writes the buffer, as far as the kernel accepts it, and reports whether
// the kernel has accepted a byte, or none is left. The caller holds mu.
func (s *PolledSocket) flush() (progress bool) {
	if s.fd < 0 || s.out == nil {
		return true
	}
	return s.flushed(s.writeOut(0))
}

// writeOut writes the buffer behind its first n bytes, as far as the kernel
// accepts it, and returns the number of bytes that are written. The caller
// holds mu.
func (s *PolledSocket) writeOut(n int) (int, error) {
	var err error
	for b := s.out.bytes(); n < len(b) && err == nil; {
		var m int
		m, err = s.poller.sys.write(s.fd, b[n:])
		n += m
	}
	return n, err
}

// flushed is flush after n bytes of the buffer have been written. The caller
// holds mu.
func (s *PolledSocket) flushed(n int, err error) (progress bool) {
	s.out = s.out.take(n)
	s.recount(-n)
	if err != nil && err != syscall.EAGAIN {
		s.fail(os.NewSyscallError("write", err))
	}
	s.wakeWriters()
	if s.out != nil {
		if n > 0 {
			s.setDeadline(s.poller.loop.WriteTimeout.After) // it reads, if slowly
		}
		return n > 0
	}
	if s.ext != nil {
		s.ext.replies = 0
		if !s.ext.final {
			s.stopTimer()
		}
	}
	if s.flags&flagFailed == 0 && s.conn.Flushed() && s.flags&flagDeferred == 0 {
		s.flags |= flagWritable
	}
	s.paused &^= pausedBacklog
	s.step(eventFlushed)
	return true
}

// failure returns the error of writes, nil if they have not failed. The caller
// holds mu.
func (s *PolledSocket) failure() error {
	switch {
	case s.flags&flagFailed == 0:
		return nil
	case s.ext != nil && s.ext.failed != nil:
		return s.ext.failed
	}
	return net.ErrClosed
}

// fail makes every write fail. The caller holds mu.
func (s *PolledSocket) fail(err error) {
	if s.flags&flagFailed == 0 {
		s.flags |= flagFailed
		if err != net.ErrClosed {
			s.ensureExt().failed = err
		}
	}
	s.recount(-s.out.size())
	s.out.free()
	s.out = nil
	s.flags &^= flagDeferred
	s.wakeWriters()
}

// wakeWriters wakes all goroutines in AwaitSpace. The caller holds mu.
func (s *PolledSocket) wakeWriters() {
	if s.ext != nil && s.ext.space != nil {
		s.ext.space.Broadcast()
	}
}

// Buffered returns the size of the write buffer in bytes.
func (s *PolledSocket) Buffered() int { return int(s.buffered.Load()) }

// Space returns how many of size bytes may be written.
func (s *PolledSocket) Space(size int) int { return s.poller.loop.Limit.Space(s.Buffered(), size) }

// AwaitSpace returns when some of size bytes may be written, or the socket
// cannot be written to any more.
func (s *PolledSocket) AwaitSpace(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushDeferred()
	ext := s.ensureExt()
	if ext.space == nil {
		ext.space = sync.NewCond(&s.mu)
	}
	for s.flags&flagFailed == 0 && s.Space(size) == 0 {
		ext.space.Wait()
	}
}

// Unacknowledged returns the number of bytes that the peer's kernel has not
// acknowledged, -1 if it is unknown.
func (s *PolledSocket) Unacknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return -1
	}
	return unacknowledgedOf(uintptr(s.fd))
}

// MustPause reports whether a handler should return the rest of its input,
// because the peer does not read the replies.
func (s *PolledSocket) MustPause() bool {
	if s.Buffered() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repliesUnread()
}

// ReadPaused reports whether reading is paused because the peer does not read
// the replies.
func (s *PolledSocket) ReadPaused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused&pausedBacklog != 0
}
