package endpoint

import "github.com/fibersock/fibersock/wire"

// State is how far the closing handshake has come, seen from this side (RFC
// 6455, Section 7). What happens in each state:
//
//	            Close by us           Close received        peer breaks a rule      transport ends
//	Open        send it → CloseSent   echo it → Closed      send a Close → Closed   → Closed, 1006
//	CloseSent   ErrClosed             → Closed              → Closed                → Closed, 1006
//	Closed      ErrClosed             ignored               ignored                 reported once
type State uint32

const (
	// Open: messages go both ways.
	Open State = iota

	// CloseSent: our Close is sent and the peer's has not come. We send no
	// data, but still receive and still answer Pings.
	CloseSent

	// Closed: nothing is sent any more. Either both Close frames are through,
	// or the connection failed, or the transport ended.
	Closed
)

// String returns "open", "closing" or "closed".
func (s State) String() string {
	switch s {
	case Open:
		return "open"
	case CloseSent:
		return "closing"
	case Closed:
		return "closed"
	}
	return "unknown state"
}

// State returns how far the closing handshake has come.
func (e *Endpoint) State() State { return State(e.sender.state.Load()) }

// setState enters a state. The caller holds mu.
func (s *sender) setState(state State) {
	s.state.Store(uint32(state))
	if state != Open {
		s.wake() // whoever waits for a turn will not get it
	}
}

// Close starts the closing handshake (Section 7.1.2): it sends a Close with the
// code and reason given, an empty one if code is 0. The reason is at most 123
// bytes of UTF-8. Messages are received until the peer's Close comes.
//
// The error is wire.ErrStatusCode, wire.ErrReasonTooLong,
// wire.ErrReasonWithoutCode or wire.ErrInvalidUTF8 if this cannot be sent,
// ErrClosed if a Close was sent already, else why the connection cannot send any
// more.
func (e *Endpoint) Close(code wire.StatusCode, reason string) error {
	var space [wire.MaxControlPayload]byte
	payload, err := wire.AppendClosePayload(space[:0], code, reason)
	if err != nil {
		return err
	}
	s := &e.sender
	s.mu.Lock()
	defer s.unlock()
	if err := s.sending(); err != nil {
		return e.because(err)
	}
	if err := s.writeFrame(wire.Header{Fin: true, Opcode: wire.Close}, payload); err != nil {
		return e.because(err)
	}
	s.reserve().sentClose.Store(closeFirst | closeSent | uint32(code))
	s.state.CompareAndSwap(uint32(Open), uint32(CloseSent)) // Closed: the peer's Close has arrived meanwhile
	s.wake()
	return nil
}

// What sentClose holds beside the status code.
const (
	closeSent  = 1 << 16 << iota // a Close has been sent
	closeFirst                   // before the peer's came
)

// SentClose returns the status code of the Close that has been sent,
// NoStatusReceived if it had none, 0 as long as none has been sent; and whether
// it was sent before the peer's came or a rule was broken.
func (e *Endpoint) SentClose() (code wire.StatusCode, first bool) {
	more := e.sender.more.Load()
	if more == nil {
		return 0, false
	}
	sent := more.sentClose.Load()
	code, first = wire.StatusCode(sent&0xffff), sent&closeFirst != 0
	if sent != 0 && code == 0 {
		code = wire.NoStatusReceived
	}
	return code, first
}

// deferredClose is a Close that AnswerClose is to send.
type deferredClose struct {
	code   wire.StatusCode
	reason string
}

// AnswerClose sends the Close that Config.DeferClose left to it, after the Pongs
// that are owed. It waits until a frame that is being written is complete. Without
// such a Close, or after our own, it sends nothing.
func (e *Endpoint) AnswerClose() {
	s := &e.sender
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake() // sending has ended
	if !s.closeDeferred() {
		return
	}
	s.payOwed()
	if deferred := s.more.Load().deferred.Swap(nil); deferred != nil {
		s.writeAnswer(deferred.code, deferred.reason)
	}
}

// closeDeferred reports whether AnswerClose is still to send a Close. The caller
// holds mu.
func (s *sender) closeDeferred() bool {
	more := s.more.Load()
	return more != nil && more.deferred.Load() != nil && more.sentClose.Load() == 0 && more.failed.Load() == nil
}

// closeFor ends sending because of what the peer did: it closed, or broke a
// rule. If our Close has not been sent, it goes out now and tells the peer.
func (s *sender) closeFor(code wire.StatusCode, reason string, t *Terms) {
	// After our Close there is nothing to say, and so nothing to wait for: the
	// lock may be with a Pong that the peer, which waits likewise, does not take.
	if s.state.CompareAndSwap(uint32(CloseSent), uint32(Closed)) {
		return
	}
	if t.deferClose {
		s.reserve().deferred.Store(&deferredClose{code, reason}) // first: a Pong may still be written
		s.state.Store(uint32(Closed))
		return
	}
	s.mu.Lock()
	defer s.unlock()
	switch State(s.state.Load()) {
	case Open:
		s.payOwed() // Pings that came before the Close are answered before it
		s.writeAnswer(code, reason)
		s.setState(Closed)
	case CloseSent:
		s.setState(Closed)
	case Closed:
	}
}

// writeAnswer writes a Close that is not the first, or that reports a failure. The
// caller holds mu.
func (s *sender) writeAnswer(code wire.StatusCode, reason string) {
	var space [wire.MaxControlPayload]byte
	payload, err := wire.AppendClosePayload(space[:0], code, reason)
	if err != nil {
		panic("BUG: websocket: cannot answer with " + code.String() + ": " + err.Error())
	}
	// If this fails, the transport's end is reported by the shell.
	if s.writeFrame(wire.Header{Fin: true, Opcode: wire.Close}, payload) == nil {
		s.reserve().sentClose.Store(closeSent | uint32(code))
	}
}
