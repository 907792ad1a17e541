//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// This file defers output of handlers to other sockets than their own, such as
// broadcasts, while a leader handles a batch of events. A socket that several
// handlers have written to, or one handler several times, is then written once.
// Deferred bytes are in the socket's write buffer, and flagDeferred is set.
// They are written
//
//   - by the leader, after its batch or, in a batch that takes longer than
//     Config.WatchPeriod, before its next event;
//   - by the next leader, or the watchdog, if a handler blocks;
//   - by the next write to the same socket that is not deferred, before it;
//   - before the end of the socket's output: see doFlush;
//   - by Flush.
//
// Output of other goroutines is not deferred.

// deferrals are the sockets with deferred output of one poller's leader.
type deferrals struct {
	size  atomic.Int32  // len(sockets); changed under mu
	due   atomic.Bool   // the batch has taken long enough
	ahead atomic.Uint32 // reasons to defer: aheadEvents, aheadInput

	mu      sync.Mutex // guards the rest
	sockets []*PolledSocket
	spare   []*PolledSocket // empty, for the next sockets
	bytes   int             // of their deferred output, as maxDeferredTotal counts it
}

// Reasons to defer: more output may follow in the same batch. Without any of
// them, and without a ring, deferring would only cost a copy.
const (
	aheadEvents uint32 = 1 << iota // the batch has more events
	aheadInput                     // the event has more input
)

// expect sets the reasons.
func (d *deferrals) expect(ahead uint32) {
	if d.ahead.Load() != ahead { // a load is cheaper
		d.ahead.Store(ahead)
	}
}

const (
	// maxDeferred is the maximum size in bytes of a socket's deferred output,
	// maxDeferredTotal that of a poller's, which counts at least smallBuf for
	// each socket.
	maxDeferred      = 16 << 10
	maxDeferredTotal = 32 << 20
)

// isDue reports whether the output should be written before the end of the
// batch.
func (d *deferrals) isDue() bool {
	if !d.due.Load() {
		return false
	}
	d.due.Store(false)
	return d.size.Load() > 0
}

// add notes n bytes of deferred output of s. It returns false if there are too
// many.
func (d *deferrals) add(s *PolledSocket, n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := s.flags&flagDeferred == 0
	if first {
		n = max(n, smallBuf)
	}
	if d.bytes+n > maxDeferredTotal {
		return false
	}
	d.bytes += n
	if first {
		d.sockets = append(d.sockets, s)
		d.size.Store(int32(len(d.sockets)))
	}
	return true
}

// take returns the sockets, to be given back to reuse.
func (d *deferrals) take() []*PolledSocket {
	d.mu.Lock()
	defer d.mu.Unlock()
	sockets := d.sockets
	d.sockets, d.spare, d.bytes = d.spare, nil, 0
	d.size.Store(0)
	return sockets
}

// reuse keeps the memory of sockets.
func (d *deferrals) reuse(sockets []*PolledSocket) {
	clear(sockets)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spare = sockets[:0]
}

// flushDeferred writes the deferred output.
func (p *poller) flushDeferred() {
	d := &p.deferrals
	if d.size.Load() == 0 {
		return
	}
	sockets := d.take()
	if n := p.ring.flush(sockets); n > 0 {
		p.loop.Counters.BatchedSends.Add(uint64(n))
	}
	d.reuse(sockets)
}

// deferOutput adds a and b to the deferred output if they are small and the
// caller leads a poller. It reports whether it has. The caller holds mu.
func (s *PolledSocket) deferOutput(a, b []byte) bool {
	n := len(a) + len(b)
	if n == 0 || s.out.size()+n > maxDeferred || s.state != stateOpen {
		return false
	}
	p := s.poller.guard.caller()
	if p == nil || p.deferrals.ahead.Load() == 0 && s.out == nil && p.ring == nil || !p.deferrals.add(s, n) {
		return false
	}
	s.flags |= flagDeferred
	if len(a) > 0 {
		s.out = s.out.add(a)
	}
	s.out = s.out.add(b)
	s.recount(n)
	if p.idle() {
		s.flushDeferred() // the caller has just been replaced
	}
	return true
}

// flushDeferred writes the deferred output. The caller holds mu.
func (s *PolledSocket) flushDeferred() {
	if s.flags&flagDeferred == 0 {
		return
	}
	s.flush()
	s.endDeferred()
}

// endDeferred notes that the deferred output has been written, as far as the
// kernel accepts it. The caller holds mu.
func (s *PolledSocket) endDeferred() {
	s.flags &^= flagDeferred
	if s.out != nil {
		s.setDeadline(s.poller.loop.WriteTimeout.After)
		s.step(eventBuffered)
	}
}

// Deferred reports whether the write buffer is deferred output.
func (s *PolledSocket) Deferred() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flags&flagDeferred != 0
}

// Flush writes the deferred output.
func (s *PolledSocket) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushDeferred()
}

// MoreInput tells the loop whether input is left: see Socket.
func (s *PolledSocket) MoreInput(more bool) {
	d := &s.poller.deferrals
	ahead := d.ahead.Load() &^ aheadInput
	if more {
		ahead |= aheadInput
	}
	d.expect(ahead)
}

// backlogged reports whether there is output that the kernel has not accepted.
// The caller holds mu.
func (s *PolledSocket) backlogged() bool { return s.out != nil && s.flags&flagDeferred == 0 }

// A leader is found by the addresses of its stack. stackReserve bytes above
// handleEvents make the stack at least twice as large, because its size is a
// power of two: the stackRoom bytes below belong to it, and to no other
// goroutine. Output from a handler whose calls need more is not deferred. While
// a handler runs that has made the stack grow, and so move, another goroutine
// may count as the leader; its output is then deferred until the handler
// returns or is found to block.
const (
	stackReserve = 16 << 10
	stackRoom    = stackReserve - 2<<10
	stackSlack   = 1 << 10 // for the frame of the function that calls beginDeferring
)

// inReserve calls f with stackReserve bytes of the stack above it.
func (p *poller) inReserve(f func()) {
	var reserve [stackReserve]byte
	f()
	runtime.KeepAlive(&reserve)
}

// beginDeferring notes that the caller leads p with the given progress, and
// whether there are more events in the batch.
func (p *poller) beginDeferring(progress uint64, more bool) {
	var here byte
	stack, at := &p.guard.stacks[p.index], uintptr(unsafe.Pointer(&here))+stackSlack
	if stack.Load() != at { // once, and when the stack has grown and been moved
		stack.Store(at)
		if p.progress.Load() != progress { // replaced in this moment
			stack.CompareAndSwap(at, 0)
		}
	}
	ahead := uint32(0)
	if more {
		ahead = aheadEvents
	}
	p.deferrals.expect(ahead)
}

// endDeferring notes that no goroutine leads p, or the one that does blocks.
func (p *poller) endDeferring() { p.guard.stacks[p.index].Store(0) }

// caller returns the poller that the calling goroutine leads, nil if it leads
// none. The stack of a leader that waits for events may have been moved; its old
// memory may be another's stack.
func (d *watchdog) caller() *poller {
	var here byte
	at := uintptr(unsafe.Pointer(&here))
	for i := range d.stacks {
		if d.stacks[i].Load()-at < stackRoom && !d.pollers[i].idle() {
			return d.pollers[i]
		}
	}
	return nil
}
