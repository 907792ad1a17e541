package endpoint

import (
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/wire"
)

// maxOwedPongs bounds the Pongs that wait for the lock. A peer that pings on
// while it does not read gets an answer to its newest Pings only, which is
// allowed (RFC 6455, Section 5.5.3).
const maxOwedPongs = 16

// owedPongs are the answers to Pings that wait for the lock. Whoever has it
// writes them before giving it up, so that the goroutine that receives need not
// wait for a writer that waits for the peer: two endpoints that both waited so
// would wait for each other.
type owedPongs struct {
	count atomic.Int32 // len(payloads), readable without mu

	mu       sync.Mutex // guards the rest
	payloads [][]byte
}

// add takes a copy of payload.
func (o *owedPongs) add(payload []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.payloads) == maxOwedPongs {
		o.payloads = append(o.payloads[:0], o.payloads[1:]...)
	}
	o.payloads = append(o.payloads, append([]byte(nil), payload...))
	o.count.Store(int32(len(o.payloads)))
}

// take returns what is owed and forgets it.
func (o *owedPongs) take() [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	payloads := o.payloads
	o.payloads = nil
	o.count.Store(0)
	return payloads
}

// pong answers a Ping: now if no frame is being written, else after it. A Ping
// is answered also after our Close, as long as the peer's has not come (Section
// 5.5.2). background is Config.Background.
func (s *sender) pong(payload []byte, background func(func())) {
	if background == nil && s.mu.TryLock() {
		s.payOwed() // older than this one
		s.writePong(payload)
		s.unlock()
		return
	}
	s.reserve().owed.add(payload)
	if !s.mu.TryLock() {
		return // who has the lock will pay
	}
	if background != nil {
		background(s.unlock)
	} else {
		s.unlock() // the writer went before it could see what is owed
	}
}

// owes reports whether Pongs are owed.
func (s *sender) owes() bool {
	more := s.more.Load()
	return more != nil && more.owed.count.Load() > 0
}

// payOwed writes the Pongs that are owed. The caller holds mu.
func (s *sender) payOwed() {
	if !s.owes() {
		return
	}
	for _, payload := range s.reserve().owed.take() {
		s.writePong(payload)
	}
}

// writePong writes a Pong if that is still possible. The caller holds mu.
func (s *sender) writePong(payload []byte) {
	if State(s.state.Load()) == Closed && !s.closeDeferred() {
		return
	}
	// A failure is remembered by write and reported by the next call.
	_ = s.writeFrame(wire.Header{Fin: true, Opcode: wire.Pong}, payload)
}
