//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"io"
	"os"
	"syscall"
)

// The owner of a socket is the goroutine that reads from it and calls handlers.
const (
	ownerNone    uint32 = iota // the next event is handled by the goroutine that gets it
	ownerRunning               // a goroutine handles an event
	ownerMissed                // the same, and another event was reported; no more until release
	ownerClosed                // the socket is closed
)

// ready handles an event. The caller is the poller's leader.
func (s *PolledSocket) ready(w *worker, events uint32) {
	if events != readyInput && !s.prepare(events) {
		return
	}
	if s.claim() {
		s.run(w)
	}
}

// run handles input and the end. The caller owns the socket, and gives it up.
// If a handler ends the goroutine, the connection has failed.
func (s *PolledSocket) run(w *worker) {
	returned := false
	defer func() {
		if !returned {
			if p := recover(); p != nil {
				panic(p) // a bug of this package or of the connection
			}
			s.returned(false)
			s.owner.CompareAndSwap(ownerRunning, ownerMissed) // so that release arms the socket for the events that were not handled
		}
		s.release()
	}()
	s.work(w)
	returned = true
}

// prepare does the work for an event that does not need the owner, and reports
// whether there is more.
func (s *PolledSocket) prepare(events uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if events&kickEvent != 0 {
		s.flags &^= flagKicked
	}
	if events&readyOutput != 0 && s.backlogged() {
		s.flush()
	}
	if s.interest == interestHangUp && events&readyHangUp != 0 {
		s.interest = interestNothing
	}
	return events&^(kickEvent|readyOutput) != 0 || s.hasWork()
}

// claim makes the caller the socket's owner, and reports whether it is. If
// there is another owner, no events are reported until that owner releases the
// socket.
func (s *PolledSocket) claim() bool {
	for {
		if s.owner.CompareAndSwap(ownerNone, ownerRunning) {
			return true
		}
		s.mu.Lock()
		if s.owner.CompareAndSwap(ownerRunning, ownerMissed) {
			s.paused |= pausedRunning
			s.step(eventMissed)
		}
		now := s.owner.Load()
		s.mu.Unlock()
		if now != ownerNone { // the owner has not given it up in the meantime
			return false
		}
	}
}

// release is the opposite of claim.
func (s *PolledSocket) release() {
	if s.owner.CompareAndSwap(ownerRunning, ownerNone) || s.owner.Load() == ownerClosed {
		return
	}
	s.mu.Lock() // waits until claim is complete
	defer s.mu.Unlock()
	s.owner.Store(ownerNone)
	s.paused &^= pausedRunning
	s.step(eventReleased) // the event that was missed may be of a kick
}

// work reads and calls handlers, once. The caller owns the socket.
func (s *PolledSocket) work(w *worker) {
	do := s.nextTask()
	for do.kind == taskWritable { // again, if the write buffer became empty while the handler ran
		s.callWritable(w)
		do = s.nextTask()
	}
	switch do.kind {
	case taskEnd:
		s.end()
		return
	case taskWait:
		if c, ok := s.conn.(layer); ok && c.holdsInput() {
			return
		}
		if err := s.hangUp(); err != nil {
			s.close(err)
		}
		return
	}
	var b []byte
	drained := false
	if do.pending != nil {
		b = do.pending.bytes()
	} else {
		in := s.conn.ReadBuffer(maxReadBuffer)
		if in == nil {
			in = w.input
			if do.large {
				in = in[:firstRead]
				s.largeEnded()
			}
		}
		if b = s.read(in); b == nil {
			return
		}
		drained = len(b) < len(in)
		if len(b) == len(w.input) {
			w.filled()
		}
	}
	if do.kind == taskDiscard {
		do.pending.free()
		if s.discard(len(b)) > maxDiscarded {
			s.close(nil)
		}
		return
	}
	if do.batch {
		s.beginBatch(w)
	}
	rest, ok := s.conn.Received(b)
	for reads := 1; ok && rest == nil && !drained && do.pending == nil && reads < maxReads && s.conn.Ready(); reads++ {
		in := s.conn.ReadBuffer(maxReadBuffer)
		if in == nil || !s.readOn(len(in)) {
			break
		}
		if b = s.read(in); b == nil {
			return
		}
		drained = len(b) < len(in)
		rest, ok = s.conn.Received(b)
	}
	if do.pending != nil {
		do.pending = do.pending.take(len(b) - len(rest))
	}
	if !ok && len(rest) == 0 && s.exchanged() && (drained || s.nothingUnread(w)) {
		s.close(nil)
		return
	}
	if ok && (rest != nil || !s.conn.Ready()) {
		if do.pending == nil && rest != nil {
			do.pending = do.pending.add(rest)
		}
		s.pause(do.pending)
	}
	s.returned(ok)
}

// The buffer of a large message is read into up to maxReads times, as long as
// the input fills it. After such a message, the first read is of firstRead
// bytes only: if another large message follows, the others are read into its
// buffer, and not copied.
const (
	maxReads  = 4
	firstRead = 4 << 10
)

// read reads into in. It returns nil if there is no input, after it has handled
// that. The caller owns the socket.
func (s *PolledSocket) read(in []byte) []byte {
	n, err := s.poller.sys.read(s.fd, in)
	switch {
	case err == syscall.EAGAIN:
		s.returned(true)
	case err != nil:
		s.conn.EndBatch()
		s.close(os.NewSyscallError("read", err))
	case n == 0:
		s.conn.EndBatch()
		s.readEOF()
	default:
		return in[:n]
	}
	return nil
}

// readOn reports whether the socket may be read from again, into the
// connection's own buffer of size bytes.
func (s *PolledSocket) readOn(size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size >= largeInput {
		s.flags |= flagLarge
	}
	return s.state.delivers() && s.flags&flagFailed == 0
}

// largeEnded notes that a read after a large message is not of one.
func (s *PolledSocket) largeEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flags &^= flagLarge
}

// task is the work of an owner.
type task struct {
	kind    taskKind
	pending *writeBuf // input that Received has not handled; the owner's own
	batch   bool      // output may be collected
	large   bool      // the last message was large
}

type taskKind uint8

const (
	taskReceive  taskKind = iota // input is passed to the connection
	taskDiscard                  // input is discarded
	taskWritable                 // Conn.Writable must be called first
	taskWait                     // no input is accepted
	taskEnd                      // the socket must be closed, behind the last output of TLS
)

// nextTask returns the owner's work, and notes that handlers will be called.
func (s *PolledSocket) nextTask() (do task) {
	s.mu.Lock()
	switch {
	case s.interest == 0:
		do.kind = taskEnd
	case s.flags&flagWritable != 0:
		s.flags &^= flagWritable
		do.kind = taskWritable
	case s.state.inputOver() && s.answered():
		do.kind = taskEnd
	case !s.state.reads(), !s.acceptsInput(): // an event may be from before the pause, of a leader that had no processor since
		do.kind = taskWait
	default:
		do.pending, do.batch, do.large = s.takePending(), !s.backlogged(), s.flags&flagLarge != 0
		s.paused &^= pausedConn // returned arms the socket, if it is not paused again
		if s.state.delivers() {
			s.flags |= flagHandling
		} else {
			do.kind = taskDiscard
		}
	}
	s.mu.Unlock() // a deferred call is slower
	return do
}

// beginBatch has the output collected in w, unless w's leader has been
// replaced: then nobody would write it before the handlers return, because the
// watchdog has looked already.
func (s *PolledSocket) beginBatch(w *worker) {
	s.conn.BeginBatch(w.batch)
	if w.replaced() {
		s.conn.EndBatch()
	}
}

// callWritable calls Conn.Writable. The caller owns the socket.
func (s *PolledSocket) callWritable(w *worker) {
	s.mu.Lock()
	s.flags |= flagHandling
	batch := !s.backlogged()
	s.mu.Unlock()
	if batch {
		s.beginBatch(w)
	}
	s.returned(s.conn.Writable())
}

// returned is called when the handlers have returned: their output is written.
// If the peer does not read it, no more is read from the peer. ok is that of
// the handlers.
func (s *PolledSocket) returned(ok bool) {
	s.conn.EndBatch()
	s.mu.Lock()
	s.flags &^= flagHandling
	if s.repliesUnread() && s.state.delivers() {
		s.paused |= pausedBacklog
	}
	s.step(eventReturned)
	if !ok {
		s.step(eventRefused)
	}
	s.mu.Unlock()
}

// repliesUnread reports whether the peer does not read the replies to its
// messages. The caller holds mu.
func (s *PolledSocket) repliesUnread() bool {
	limit := s.poller.loop.Limit.PauseRead
	return limit > 0 && s.out != nil && s.ext != nil && s.ext.replies > limit
}

// pause keeps the input that the connection is not ready for, until Resume; nil
// if there is none. The caller owns the socket.
func (s *PolledSocket) pause(pending *writeBuf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.delivers() {
		pending.free()
		return
	}
	if pending != nil {
		s.ensureExt().pending = pending
	}
	s.paused |= pausedConn
	s.step(eventNotReady) // it may have got ready before it could see the pause
}

// readEOF is called when the peer has closed its side. It may still read: its
// messages are answered before the socket is closed. The caller owns the
// socket.
func (s *PolledSocket) readEOF() {
	s.mu.Lock()
	open := s.state == stateOpen
	s.flags &^= flagHandling
	s.mu.Unlock()
	if open {
		s.conn.InputClosed()
	}
	s.mu.Lock()
	s.step(eventEOF)
	answered := s.answered()
	s.mu.Unlock()
	if answered {
		s.end()
	}
}

// answered reports whether a connection whose input has ended can end: the peer
// has got all replies, or cannot get them. The caller holds mu.
func (s *PolledSocket) answered() bool {
	switch {
	case s.flags&flagFailed != 0, s.state == stateDone, s.state == stateAborted:
		return true
	case s.state.awaitsAnswers():
		return s.out == nil && s.conn.Ready()
	}
	return false
}

// hangUp returns the error of a socket whose both directions have ended, nil if
// they have not. The caller owns the socket.
func (s *PolledSocket) hangUp() error {
	over, errno := s.poller.sys.hungUp(s.fd)
	switch {
	case !over:
		return nil
	case errno != 0:
		return os.NewSyscallError("read", errno)
	}
	return io.EOF // close knows better, if a write has got the error
}
