package endpoint

import (
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/wire"
)

// maxPendingPongs bounds the Pongs that wait for the lock. A peer that pings on
// while it does not read gets an answer to its newest Pings only, which is
// allowed (RFC 6455, Section 5.5.3).
const maxPendingPongs = 16

// pendingControl are the control frames that wait for the lock, or for the end of a
// frame that waits for room. The holder of the lock writes them before giving it
// up, so that the goroutine that receives need not wait for a writer that waits
// for the peer: two endpoints that both waited so would wait for each other.
type pendingControl struct {
	count atomic.Int32 // frames, readable without mu

	mu    sync.Mutex // guards the rest
	pongs [][]byte
	ping  []byte // the newest heartbeat; nil: none
	close *pendingClose
}

// pendingClose is a Close that waits for the end of a frame.
type pendingClose struct {
	payload []byte
	sent    uint32 // sentClose, once it is written
}

// change changes what is owed.
func (o *pendingControl) change(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
	n := len(o.pongs)
	if o.ping != nil {
		n++
	}
	if o.close != nil {
		n++
	}
	o.count.Store(int32(n))
}

// addPong adds a Pong with a copy of payload.
func (o *pendingControl) addPong(payload []byte) {
	o.change(func() {
		if len(o.pongs) == maxPendingPongs {
			o.pongs = append(o.pongs[:0], o.pongs[1:]...)
		}
		o.pongs = append(o.pongs, append([]byte(nil), payload...))
	})
}

// addPing adds a Ping with a copy of payload, in place of an older one: a peer
// that does not read needs no more than one.
func (o *pendingControl) addPing(payload []byte) {
	o.change(func() { o.ping = append(make([]byte, 0, len(payload)), payload...) })
}

// setClose adds a Close.
func (o *pendingControl) setClose(c *pendingClose) { o.change(func() { o.close = c }) }

// closing returns what sentClose will be once the Close that is owed is written, 0 if
// none is owed.
func (o *pendingControl) closing() uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.close == nil {
		return 0
	}
	return o.close.sent
}

// take returns what is owed and forgets it.
func (o *pendingControl) take() (pongs [][]byte, ping []byte, last *pendingClose) {
	o.change(func() {
		pongs, ping, last = o.pongs, o.ping, o.close
		o.pongs, o.ping, o.close = nil, nil, nil
	})
	return pongs, ping, last
}

// pong answers a Ping: now if no frame is being written, else after it. A Ping
// is answered also after our Close, as long as the peer's has not come (Section
// 5.5.2). background is Config.Background.
func (s *sender) pong(payload []byte, background func(func())) {
	if background == nil && s.mu.TryLock() {
		if s.position != insideFrame {
			s.flushControl() // older than this one
			_ = s.writeControl(wire.Pong, payload, false)
			s.unlock()
			return
		}
		s.unlock()
	}
	s.ensureExt().pending.addPong(payload)
	s.flushSoon(background)
}

// Heartbeat sends a Ping without waiting for another writer: now if no frame is
// being written, else after it, and then only the newest.
func (e *Endpoint) PingAsync(payload []byte) {
	s, background := &e.sender, e.receiver.cfg.background
	if background == nil && s.mu.TryLock() {
		if s.position != insideFrame {
			_ = s.writeControl(wire.Ping, payload, false)
			s.unlock()
			return
		}
		s.unlock()
	}
	s.ensureExt().pending.addPing(payload)
	s.flushSoon(background)
}

// payIn has the owed frames written: by the holder of the lock, or, if there is
// none, in the background, or here if background is nil.
func (s *sender) flushSoon(background func(func())) {
	switch {
	case !s.mu.TryLock():
	case background != nil:
		background(s.unlock)
	default:
		s.unlock()
	}
}

// owes reports whether control frames are owed.
func (s *sender) controlPending() bool {
	ext := s.ext.Load()
	return ext != nil && ext.pending.count.Load() > 0
}

// payOwed writes the control frames that are owed. The caller holds mu, and no
// frame is incomplete.
func (s *sender) flushControl() {
	if !s.controlPending() {
		return
	}
	ext := s.ensureExt()
	pongs, ping, last := ext.pending.take()
	if ext.sentClose.Load() != 0 {
		last = nil // ours was being written when the peer's arrived
	}
	for _, payload := range pongs {
		s.writeControl(wire.Pong, payload, last != nil)
	}
	if ping != nil {
		s.writeControl(wire.Ping, ping, last != nil)
	}
	if last != nil && s.writeControl(wire.Close, last.payload, true) == nil {
		ext.sentClose.Store(last.sent)
	}
}

// writeOwed writes a control frame if that is still possible: before our Close,
// which may be owed too, and for a Pong before the peer's. The caller holds mu. A
// failure is remembered by write and reported by the next call.
func (s *sender) writeControl(op wire.Opcode, payload []byte, closeOwed bool) error {
	closeOwed = closeOwed || s.closePending()
	switch state := State(s.state.Load()); {
	case closeOwed && s.broken():
		return ErrClosed
	case closeOwed || state == Open || state == CloseSent && op == wire.Pong:
	default:
		return ErrClosed
	}
	return s.writeFrame(wire.Header{Fin: true, Opcode: op}, payload)
}

// owesClose reports whether a Close is owed, in the moment after which the state is
// Closed.
func (s *sender) closePending() bool {
	ext := s.ext.Load()
	return ext != nil && ext.pending.count.Load() > 0 && ext.pending.closing() != 0 && ext.sentClose.Load() == 0
}

// broken reports whether the transport cannot be written to any more.
func (s *sender) broken() bool {
	ext := s.ext.Load()
	return ext != nil && (ext.failed.Load() != nil || ext.lost.Load() != nil)
}
