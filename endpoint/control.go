package endpoint

import (
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/internal/lockorder"
	"github.com/fibersock/fibersock/wire"
)

// This file queues control frames. A goroutine that receives does not wait for
// the sender's lock to answer a Ping: two endpoints that both waited so would
// wait for each other. The frame is queued instead, and the holder of the lock
// writes it before it gives up the lock.

// maxQueuedPongs bounds the queued Pongs. A peer that sends Pings and does not
// read gets Pongs for its newest Pings only (RFC 6455, Section 5.5.3).
const maxQueuedPongs = 16

// controlQueue holds the control frames for the next holder of the sender's
// lock.
type controlQueue struct {
	_ [0]func() // not comparable: programs are smaller

	frames atomic.Bool // there are frames; readable without mu
	wake   atomic.Bool // senders that wait for their turn must look again

	mu     sync.Mutex // guards queued, and the transitions of the closing handshake
	queued *queued    // nil until ensureQueued
}

// queued is the content of a controlQueue.
type queued struct {
	pongs [][]byte
	ping  []byte // the newest one of PingAsync; nil: none
	close []byte // queued or being written; nil: none

	flushers []chan struct{} // calls of FlushControl; closed after the next flush
}

// ensureQueued returns queued, allocated on the first call. The caller holds
// mu.
func (q *controlQueue) ensureQueued() *queued {
	if q.queued == nil {
		q.queued = new(queued)
	}
	return q.queued
}

// lock locks mu and returns queued, allocated on the first call.
func (q *controlQueue) lock() *queued {
	q.mu.Lock()
	return q.ensureQueued()
}

// unlock updates frames and unlocks mu.
func (q *controlQueue) unlock() {
	c := q.queued
	q.frames.Store(len(c.pongs) > 0 || c.ping != nil || c.close != nil)
	q.mu.Unlock()
}

// add queues a Pong, or a Ping in place of an older one, with a copy of
// payload.
func (q *controlQueue) add(op wire.Opcode, payload []byte) {
	payload = append(make([]byte, 0, len(payload)), payload...)
	c := q.lock()
	switch {
	case op == wire.Ping:
		c.ping = payload
	case len(c.pongs) == maxQueuedPongs:
		c.pongs = append(c.pongs[:0], c.pongs[1:]...)
		fallthrough
	default:
		c.pongs = append(c.pongs, payload)
	}
	q.unlock()
}

// addFlusher returns a channel that is closed after the next flush.
func (q *controlQueue) addFlusher() <-chan struct{} {
	flushed := make(chan struct{})
	c := q.lock()
	c.flushers = append(c.flushers, flushed)
	q.unlock()
	q.wake.Store(true)
	return flushed
}

// takeFlushers returns the calls of FlushControl that wait for this flush.
func (q *controlQueue) takeFlushers() (flushers []chan struct{}) {
	q.mu.Lock()
	if c := q.queued; c != nil {
		flushers, c.flushers = c.flushers, nil
	}
	q.mu.Unlock()
	return flushers
}

// closing reports whether a Close frame is queued or being written.
func (q *controlQueue) closing() bool {
	q.mu.Lock()
	closing := q.queued != nil && q.queued.close != nil
	q.mu.Unlock()
	return closing
}

// take returns the frames and empties the queue, except for the Close frame.
func (q *controlQueue) take() (pongs [][]byte, ping, last []byte) {
	q.mu.Lock()
	if c := q.queued; c != nil {
		pongs, ping, last = c.pongs, c.ping, c.close
		c.pongs, c.ping = nil, nil
		q.frames.Store(last != nil)
	}
	q.mu.Unlock()
	return pongs, ping, last
}

// removeClose removes the Close frame, which is written or cannot be.
func (q *controlQueue) removeClose() {
	q.lock().close = nil
	q.unlock()
}

// PingAsync sends a Ping and does not wait for other writers: it writes the
// Ping at once if no frame is being written, and otherwise queues it in place
// of an older one. payload has at most 125 bytes and is not kept. After this
// side has sent a Close, nothing is sent.
func (e *Endpoint) PingAsync(payload []byte) {
	e.sender.sendAsync(wire.Ping, payload, e.config().background)
}

// sendAsync sends a Ping, or the Pong that answers one: at once if the lock is
// free, else after the frame that is being written. A Ping is answered after
// our Close too, until the peer's Close arrives (Section 5.5.2). background is
// Config.Background.
func (s *sender) sendAsync(op wire.Opcode, payload []byte, background func(func())) {
	if background == nil && s.mu.TryLock() {
		if s.position != insideFrame {
			s.flushControl() // older Pongs are sent first
			s.writeControl(op, payload, false)
			s.unlock()
			return
		}
		s.unlock()
	}
	s.ensureExt().queue.add(op, payload)
	s.flushSoon(background)
}

// flushSoon has the queue written without waiting: by the holder of the lock,
// or, if the lock is free, in the background, or here if background is nil.
func (s *sender) flushSoon(background func(func())) {
	switch {
	case !s.mu.TryLock():
	case background != nil:
		background(lockorder.HandOver(&s.mu, s.unlock))
	default:
		s.unlock()
	}
}

// mustFlush reports whether flushControl has something to do. inside is set
// while a frame is incomplete.
func (s *sender) mustFlush(inside bool) bool {
	ext := s.ext()
	return ext != nil && (ext.queue.wake.Load() || !inside && ext.queue.frames.Load())
}

// flushControl wakes the senders that wait in vain and writes the queued
// frames, these not inside an incomplete frame. The caller holds mu.
func (s *sender) flushControl() {
	inside := s.position == insideFrame
	if !s.mustFlush(inside) {
		return
	}
	ext := s.ensureExt()
	var flushed []chan struct{}
	if ext.queue.wake.Swap(false) {
		s.wakeWaiters()
		flushed = ext.queue.takeFlushers()
	}
	if !inside {
		pongs, ping, last := ext.queue.take()
		for _, payload := range pongs {
			s.writeControl(wire.Pong, payload, last != nil)
		}
		if ping != nil {
			s.writeControl(wire.Ping, ping, last != nil)
		}
		if last != nil {
			if !s.writeControl(wire.Close, last, true) {
				ext.sentClose.Store(0)
			}
			ext.queue.removeClose()
		}
	}
	closeAll(flushed)
}

// closeAll wakes the goroutines that wait for the channels.
func closeAll(waiting []chan struct{}) {
	for _, c := range waiting {
		close(c)
	}
}

// writeControl writes a control frame if that is still allowed, and reports
// whether it is written: before our Close any frame, before the peer's Close a
// Pong. beforeClose is set for frames that were queued before a Close, and for
// that. The caller holds mu.
func (s *sender) writeControl(op wire.Opcode, payload []byte, beforeClose bool) bool {
	state := s.endState()
	ext := s.ext() // after the state, which another goroutine may change: with any but open there is one
	if ext != nil && ext.broken() {
		return false
	}
	switch state {
	case open:
	case closeSent:
		if !beforeClose && op != wire.Pong {
			return false
		}
	case writeBroken:
		return false
	case closed:
		// The Close may have been queued after the caller took this frame from
		// the queue. The frame is then sent before it.
		if !beforeClose && !ext.queue.closing() {
			return false
		}
	}
	return s.writeFrame(wire.Header{Fin: true, Opcode: op}, payload) == nil
}

// broken reports whether the transport cannot be written to any more.
func (x *senderExt) broken() bool { return x.failed.Load() != nil || x.lost.Load() != nil }
