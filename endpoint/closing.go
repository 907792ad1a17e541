package endpoint

import (
	"github.com/fibersock/fibersock/wire"
)

// This file ends a connection (RFC 6455, Section 7). The table transitions is
// the whole of it: every other file reports an event to transition and lets the
// table decide. Two consequences are carried out elsewhere: the holder of the
// sender's lock writes the Close frame that a transition queued (control.go),
// and the receiver ignores input after the peer's Close or a failure
// (receiver.go).

// State is the progress of the closing handshake.
type State uint32

const (
	// Open: both sides may send messages.
	Open State = iota

	// CloseSent: this side has sent a Close frame or queued it behind an
	// incomplete frame. It sends no more data; it still receives messages and
	// answers Pings.
	CloseSent

	// Closed: this side sends nothing more, except a Close frame that the last
	// transition queued.
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

// State returns the progress of the closing handshake.
func (e *Endpoint) State() State { return e.sender.endState().public() }

// endState is a State that distinguishes two kinds of Closed.
type endState uint32

const (
	open endState = iota
	closeSent

	// writeBroken: a write failed, so that the peer may have half a frame.
	// Nothing can be sent. The peer's Close, which says why, may still arrive.
	writeBroken

	// closed: Err says why.
	closed

	endStates = int(closed) + 1
)

func (s endState) public() State { return [endStates]State{Open, CloseSent, Closed, Closed}[s] }

// closeEvent is an event that can end a connection.
type closeEvent uint8

const (
	localClose      closeEvent = iota // Close is called
	peerClose                         // the peer's Close arrives
	failure                           // the peer broke a rule or a limit, or the caller fails the connection
	writeFailed                       // a write returns an error
	transportClosed                   // the transport has ended
	aborted                           // Abort is called

	closeEvents = int(aborted) + 1
)

// transition is an entry of the table. The zero value means that the event
// changes nothing.
type transition struct {
	next  endState
	close bool // a Close frame is queued
}

// transitions is the table. Each way into closed records why.
var transitions = [endStates][closeEvents]transition{
	open: {
		localClose:      {next: closeSent, close: true},
		peerClose:       {next: closed, close: true},
		failure:         {next: closed, close: true},
		writeFailed:     {next: writeBroken},
		transportClosed: {next: closed},
		aborted:         {next: closed},
	},
	closeSent: {
		peerClose:       {next: closed},
		failure:         {next: closed},
		writeFailed:     {next: writeBroken},
		transportClosed: {next: closed},
		aborted:         {next: closed},
	},
	writeBroken: {
		peerClose:       {next: closed},
		failure:         {next: closed},
		transportClosed: {next: closed},
		aborted:         {next: closed},
	},
	closed: {},
}

// outcome is why the connection ended.
type outcome struct {
	_      [0]func()       // not comparable: programs are smaller
	code   wire.StatusCode // as reported, Section 7.1.5
	reason string          // as reported, Section 7.1.6
	err    error
	lost   LostError // err is its address if the transport ended
}

// lost returns the outcome of a connection whose transport ended by cause.
func lost(cause error) *outcome {
	end := &outcome{code: wire.AbnormalClosure, lost: LostError{Err: cause}}
	end.err = &end.lost
	return end
}

// closeFrame is a Close frame that a transition may queue.
type closeFrame struct {
	code   wire.StatusCode // 0: an empty payload
	reason string
}

// transition applies ev and reports whether the table has an entry for it. why
// is recorded if the connection ends with it. frame is queued if the entry says
// so; the caller then calls flush.
func (s *sender) transition(ev closeEvent, why *outcome, frame closeFrame) bool {
	ext := s.ensureExt()
	q := &ext.queue
	q.mu.Lock()
	entry := transitions[s.endState()][ev]
	if entry == (transition{}) {
		q.mu.Unlock()
		return false
	}
	if entry.close {
		q.ensureQueued().close = frame.payload()
		q.frames.Store(true)
		ext.sentClose.Store(frame.sent(ev))
	}
	if entry.next == closed {
		ext.outcome.Store(why)
	}
	s.state.Store(uint32(entry.next))
	q.wake.Store(true)
	q.mu.Unlock()
	return true
}

func (s *sender) endState() endState { return endState(s.state.Load()) }

// payload returns the frame's payload, which is not nil.
func (f closeFrame) payload() []byte {
	p, err := wire.AppendClosePayload(make([]byte, 0, 2+len(f.reason)), f.code, f.reason)
	if err != nil {
		panic("BUG: websocket: sending a Close with " + f.code.String() + ": " + err.Error())
	}
	return p
}

// Bits of senderExt.sentClose beside the status code.
const (
	closeQueued  = 1 << 16 << iota // a Close frame is queued or written
	closeIsFirst                   // before the peer's Close arrived
)

// sent returns senderExt.sentClose for f, sent because of ev.
func (f closeFrame) sent(ev closeEvent) uint32 {
	sent := closeQueued | uint32(f.code)
	if ev == localClose {
		sent |= closeIsFirst
	}
	return sent
}

// Close starts the closing handshake (Section 7.1.2): it sends a Close frame
// with code and reason, or an empty one if code is 0. reason is UTF-8 of at
// most 123 bytes. Close does not wait for the peer's Close; messages are
// received until it arrives.
//
// The error is wire.ErrStatusCode, wire.ErrReasonTooLong,
// wire.ErrReasonWithoutCode or wire.ErrInvalidUTF8 if the arguments may not be
// sent; the connection then stays open. It is ErrClosed if a Close was sent
// before, and Err if the connection has ended.
func (e *Endpoint) Close(code wire.StatusCode, reason string) error {
	var space [wire.MaxControlPayload]byte
	if _, err := wire.AppendClosePayload(space[:0], code, reason); err != nil {
		return err
	}
	s := &e.sender
	s.mu.Lock()
	defer s.unlock()
	if !s.transition(localClose, nil, closeFrame{code, reason}) {
		return e.closeCause(s.ended())
	}
	s.flushControl()
	if failed := s.ensureExt().failed.Load(); failed != nil {
		return e.closeCause(&failed.lost)
	}
	return nil
}

// end ends the connection because of the peer or a failure, which why records.
// The peer is told by a Close frame, unless one was sent before. The error is
// that of the connection's end: why, or an earlier reason.
func (e *Endpoint) end(ev closeEvent, why *outcome, frame closeFrame) (ended bool, err error) {
	s := &e.sender
	if !s.transition(ev, why, frame) {
		return false, e.Err()
	}
	if background := e.config().background; background == nil && s.ensureExt().queue.closing() {
		s.mu.Lock()
		s.unlock()
	} else {
		// The holder of the lock may be writing to a peer that does not read.
		s.flushSoon(background)
	}
	return true, why.err
}

// SentClose returns the status code of the Close frame that this side has sent
// or queued: NoStatusReceived if it is empty, 0 if there is none. first reports
// whether Close sent it before the peer's Close arrived.
func (e *Endpoint) SentClose() (code wire.StatusCode, first bool) {
	ext := e.sender.ext()
	if ext == nil {
		return 0, false
	}
	sent := ext.sentClose.Load()
	code = wire.StatusCode(sent & 0xffff)
	if sent != 0 && code == 0 {
		code = wire.NoStatusReceived
	}
	return code, sent&closeIsFirst != 0
}

// FlushControl writes the queued control frames: Pongs and the Close frame that
// ends the connection. It is of use with Config.Background: FlushControl
// returns when these frames are written. It waits while another goroutine
// writes, and returns with the frames still queued while a frame is blocked by
// Backpressure.
func (e *Endpoint) FlushControl() {
	s := &e.sender
	if s.mu.TryLock() {
		s.unlock()
		return
	}
	// The holder of the lock writes to a transport, which may take long: a
	// mutex that waits for that stops the clock of a testing/synctest bubble.
	flushed := s.ensureExt().queue.addFlusher()
	if s.mu.TryLock() { // the holder gave up the lock before it could see the flusher
		s.unlock()
	}
	<-flushed
}
