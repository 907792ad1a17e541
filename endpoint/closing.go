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

// setState enters a state, of which Closed is the last. The caller holds mu.
func (s *sender) setState(state State) {
	for old := s.state.Load(); State(old) != Closed; old = s.state.Load() {
		if s.state.CompareAndSwap(old, uint32(state)) {
			break
		}
	}
	s.wakeWaiters() // whoever waits for a turn will not get it
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
	if err := s.sendErr(); err != nil {
		return e.closeCause(err)
	}
	if err := s.sendClose(payload, closeFirst|closeSent|uint32(code)); err != nil {
		return e.closeCause(err)
	}
	s.state.CompareAndSwap(uint32(Open), uint32(CloseSent)) // Closed: the peer's Close has arrived meanwhile
	s.wakeWaiters()
	return nil
}

// sendClose writes a Close, or owes it until the frame is complete that waits for
// room. The caller holds mu.
func (s *sender) sendClose(payload []byte, sent uint32) error {
	if s.position == insideFrame {
		s.ensureExt().pending.setClose(&pendingClose{append([]byte(nil), payload...), sent})
		return nil
	}
	err := s.writeFrame(wire.Header{Fin: true, Opcode: wire.Close}, payload)
	if err == nil {
		s.ensureExt().sentClose.Store(sent)
	}
	return err
}

// What sentClose holds beside the status code.
const (
	closeSent  = 1 << 16 << iota // a Close has been sent
	closeFirst                   // before the peer's came
)

// SentClose returns the status code of the Close that has been sent, or is to follow
// the frame that is being written, NoStatusReceived if it had none, 0 without; and whether
// it was sent before the peer's came or a rule was broken.
func (e *Endpoint) SentClose() (code wire.StatusCode, first bool) {
	ext := e.sender.ext.Load()
	if ext == nil {
		return 0, false
	}
	sent := ext.sentClose.Load()
	if sent == 0 {
		sent = ext.pending.closing()
	}
	code, first = wire.StatusCode(sent&0xffff), sent&closeFirst != 0
	if sent != 0 && code == 0 {
		code = wire.NoStatusReceived
	}
	return code, first
}

// AnswerClose sends the Close that Config.DeferClose left to it, after the Pongs that
// are owed. It waits until a frame that is being written is complete.
func (e *Endpoint) FlushControl() {
	s := &e.sender
	s.mu.Lock()
	s.wakeWaiters() // sending has ended
	s.unlock()
}

// closeFor ends sending because of what the peer did: it closed, or broke a
// rule. If our Close has not been sent, it goes out now and tells the peer.
func (s *sender) closeFor(code wire.StatusCode, reason string, t *SharedConfig) {
	// After our Close there is nothing to say, and so nothing to wait for: the
	// lock may be with a Pong that the peer, which waits likewise, does not take.
	if s.state.CompareAndSwap(uint32(CloseSent), uint32(Closed)) {
		return
	}
	var space [wire.MaxControlPayload]byte
	payload, err := wire.AppendClosePayload(space[:0], code, reason)
	if err != nil {
		panic("BUG: websocket: cannot answer with " + code.String() + ": " + err.Error())
	}
	sent := closeSent | uint32(code)
	if t.deferClose {
		s.ensureExt().pending.setClose(&pendingClose{append([]byte(nil), payload...), sent}) // first: see writeOwed
		s.state.Store(uint32(Closed))
		return
	}
	s.mu.Lock()
	defer s.unlock()
	switch State(s.state.Load()) {
	case Open:
		if s.position != insideFrame {
			s.flushControl() // Pings that came before the Close are answered before it
		}
		// If this fails, the transport's end is reported by the shell.
		_ = s.sendClose(payload, sent)
		s.setState(Closed)
	case CloseSent:
		s.setState(Closed)
	case Closed:
	}
}
