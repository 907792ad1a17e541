package endpoint

import (
	"slices"
	"sync"

	"github.com/fibersock/fibersock/wire"
)

// This file turns bytes into events. A frame passes through it in three steps:
//
//	header   collects the frame header, in partial.head if it comes in parts
//	check    holds it against the rules, limits and the message under way
//	payload  unmasks what has arrived of the payload and hands it to
//	         control (Section 5.5) or data (Sections 5.4 and 5.6)
//
// Invariant: in phase payloadPhase, frame is a header that passed check, and
// rest bytes of its payload are still to come.

// phase is where in a frame the receiver stands.
type phase uint8

const (
	headerPhase  phase = iota // before or in a frame header
	payloadPhase              // after a header, with payload still to come, if only an empty one
	stoppedPhase              // after Closing or Failed; all input is ignored
)

// A fragment costs work and bookkeeping even if it is empty. Beyond its payload
// it is charged with fragmentOverhead bytes against a budget of Limits.Message
// plus fragmentAllowance, so that a message of full size may come in 65,536
// pieces, and empty ones cannot go on for ever.
const (
	fragmentOverhead  = 16
	fragmentAllowance = 1 << 20
)

type receiver struct {
	*partial // borrowed by begun; nil as long as nothing is under way

	cfg    *SharedConfig
	pieces uint32 // fragments since TakeFragments was called last
	phase  phase
}

// partial is the frame and the message under way.
type partial struct {
	// The header under way, if it came in parts.
	head    [wire.MaxHeaderSize]byte
	headLen uint8

	// The frame under way.
	frame   wire.Header
	rest    int64           // payload bytes still to come
	key     wire.MaskingKey // for the next of them
	control []byte          // payload of a control frame that came in parts

	message message
}

// message is the data message under way: its first frame has come, its last
// has not come whole.
type message struct {
	opcode    wire.Opcode // Text or Binary; Continuation if there is no message under way
	delivered bool        // a piece has been handed out
	text      wire.UTF8   // where in a code point a text stands
	size      int64       // payload bytes of all frames so far, as declared and checked
	fragments int64       // frames so far
	assembly  *buffer     // what has arrived of it; nil if nothing had to be kept
}

// Receive consumes the first n bytes of b and returns the event that they
// complete. If they complete none, the kind is None, all of b has been
// consumed, and more is needed. b is unmasked in place; the event's payload may
// be part of it. After Closing or Failed, everything is consumed and ignored.
func (e *Endpoint) Receive(b []byte) (ev Event, n int) {
	r := &e.receiver
	if r.partial != nil && !r.unfinished() {
		r.release()
	}
	for {
		switch r.phase {
		case stoppedPhase:
			return Event{}, len(b)

		case headerPhase:
			if n == len(b) {
				return Event{}, n
			}
			if r.partial == nil {
				if op, p, used := e.ReceiveMessage(b[n:]); used > 0 {
					return Event{Kind: KindMessage, Opcode: op, Payload: p}, n + used
				}
				r.partial = partials.Get().(*partial)
			}
			used, complete, err := r.header(b[n:])
			n += used
			if complete && r.cfg.now != nil {
				err = e.sender.ensureExt().rates.frame(r.frame, r.cfg)
			}
			if err != nil {
				return e.fail(err), n
			}
			if !complete {
				return Event{}, n
			}

		case payloadPhase:
			ev, used, err := r.payload(b[n:])
			n += used
			if err == nil && r.cfg.now != nil {
				err = e.sender.ensureExt().rates.payload(used, r.cfg)
			}
			if err != nil {
				return e.fail(err), n
			}
			if ev.Kind != KindNone {
				return e.answer(ev), n
			}
			if r.phase == payloadPhase {
				return Event{}, n
			}
		}
	}
}

// ReceiveMessage is a short way for what comes most: if b begins with a message
// that came whole in one frame, and nothing is under way, it consumes the first n
// bytes of b like Receive, and returns what an event of the kind Message would
// have. Otherwise n is 0, and it is for Receive.
func (e *Endpoint) ReceiveMessage(b []byte) (op wire.Opcode, p []byte, n int) {
	// What is different in any way goes the long way, with b as it was.
	const mask = 0x80
	r := &e.receiver
	if r.phase != headerPhase || r.partial != nil || r.cfg.now != nil || len(b) < 2 {
		return 0, nil, 0
	}
	op = wire.Opcode(b[0] &^ finBit)
	start, length := 2, int(b[1]&^mask)
	if b[0]&finBit == 0 || !op.IsData() || (b[1]&mask != 0) != (r.cfg.role == Server) {
		return 0, nil, 0
	}
	if length >= 126 {
		if length > 126 || len(b) < 4 {
			return 0, nil, 0
		}
		if start, length = 4, int(b[2])<<8|int(b[3]); length < 126 {
			return 0, nil, 0
		}
	}
	var key wire.MaskingKey
	if r.cfg.role == Server {
		if len(b) < start+4 {
			return 0, nil, 0
		}
		key = wire.NewMaskingKey([4]byte(b[start:]))
		start += 4
	}
	n = start + length
	if n > len(b) || int64(length) > r.cfg.limits.Frame || int64(length) > r.cfg.limits.Message {
		return 0, nil, 0
	}
	p = b[start:n:n]
	if r.cfg.role == Server {
		wire.Mask(p, key)
	}
	if op == wire.Text && !validText(p) {
		if r.cfg.role == Server {
			wire.Mask(p, key)
		}
		return 0, nil, 0
	}
	return op, p, n
}

// validText reports whether p is a whole text.
func validText(p []byte) bool {
	var text wire.UTF8
	return text.Check(p) < 0 && text.Complete()
}

// header collects and checks a frame header. It returns how many bytes of b it
// used and whether the header is complete. A header that is not is checked as
// far as it goes, so that a wrong byte is found when it arrives.
func (r *receiver) header(b []byte) (used int, complete bool, err error) {
	head := b
	if r.headLen > 0 {
		used = copy(r.head[r.headLen:], b)
		head = r.head[:int(r.headLen)+used]
	}
	h, n, err := wire.ParseHeader(head)
	if err == nil && len(head) > 0 {
		err = r.check(h, len(head))
	}
	if err != nil {
		return len(b), false, r.firstFault(head)
	}
	if n == 0 {
		copy(r.head[r.headLen:], b)
		r.headLen += uint8(len(b))
		return len(b), false, nil
	}
	used = n - int(r.headLen)
	r.headLen = 0
	r.begin(h)
	return used, true, nil
}

// firstFault returns what is wrong with the first byte at which something is:
// head is a frame header that is refused. Its rules are not checked in the order
// of its bytes, but what the peer is told must not depend on how they came.
func (r *receiver) firstFault(head []byte) error {
	for have := 1; ; have++ {
		h, _, err := wire.ParseHeader(head[:have])
		if err == nil {
			err = r.check(h, have)
		}
		if err != nil {
			return err
		}
	}
}

// check holds a frame header, of which have bytes have arrived, against what
// the frame's own bytes do not show: the role, the message under way and the
// limits. Fields that have not arrived are zero.
func (r *receiver) check(h wire.Header, have int) error {
	m := &r.message
	switch {
	case h.RSV != 0:
		return errReservedBits
	case h.Opcode == wire.Continuation && m.opcode == wire.Continuation:
		return errNothingToContinue
	case h.Opcode.IsData() && m.opcode != wire.Continuation:
		return errMessageInterleaved
	case have < 2:
		return nil
	case r.cfg.role == Server && !h.Masked:
		return errNotMasked
	case r.cfg.role == Client && h.Masked:
		return errMasked
	case h.Opcode.IsControl():
		return nil
	case h.Length > r.cfg.limits.Frame:
		return &LimitError{Limit: "frame", Option: "Limits.Frame", Max: r.cfg.limits.Frame, Seen: h.Length, rule: errFrameLimit}
	case h.Length > r.cfg.limits.Message-m.size:
		// The sum is of declared lengths and could pass 2^63 only here.
		seen := uint64(m.size) + uint64(h.Length)
		return &LimitError{Limit: "message", Option: "Limits.Message", Max: r.cfg.limits.Message, Seen: int64(min(seen, 1<<63-1)), rule: errMessageLimit}
	case m.fragments*fragmentOverhead-fragmentAllowance > r.cfg.limits.Message-m.size:
		return &LimitError{Limit: "fragments", Option: "Limits.Message", Max: m.fragments, Seen: m.fragments + 1, rule: errFragmentLimit}
	}
	return nil
}

// begin takes up the frame whose header has been checked.
func (r *receiver) begin(h wire.Header) {
	r.phase = payloadPhase
	r.frame, r.rest, r.key = h, h.Length, h.Key
	if h.Opcode.IsControl() {
		r.control = r.control[:0]
		return
	}
	if h.Opcode.IsData() {
		r.message = message{opcode: h.Opcode}
	}
	r.message.size += h.Length
	r.message.fragments++
	if !h.Fin || h.Opcode == wire.Continuation {
		r.pieces++
	}
}

// TakeFragments returns how many data frames have begun, since it was called
// last, that are only a part of a message. It belongs to the goroutine that
// receives.
func (e *Endpoint) TakeFragments() uint32 {
	n := e.receiver.pieces
	e.receiver.pieces = 0
	return n
}

// payload takes what b holds of the payload of the frame under way and returns
// how much that is, with the event that it completes.
func (r *receiver) payload(b []byte) (ev Event, used int, err error) {
	used = int(min(int64(len(b)), r.rest))
	p := b[:used:used]
	if r.frame.Masked {
		r.key = wire.Mask(p, r.key)
	}
	r.rest -= int64(used)
	if r.rest == 0 {
		r.phase = headerPhase
	}
	if r.frame.Opcode.IsControl() {
		ev = r.controlPayload(p)
		return ev, used, nil
	}
	ev, err = r.dataPayload(p)
	return ev, used, err
}

// controlPayload keeps the payload of a control frame until it is whole: at
// most 125 bytes.
func (r *receiver) controlPayload(p []byte) Event {
	if len(r.control) > 0 || r.rest > 0 {
		r.control = append(r.control, p...)
		p = r.control
	}
	if r.rest > 0 {
		return Event{}
	}
	switch r.frame.Opcode {
	case wire.Ping:
		return Event{Kind: KindPing, Payload: p}
	case wire.Pong:
		return Event{Kind: KindPong, Payload: p}
	default: // check lets no other control frame pass
		return Event{Kind: KindClose, Payload: p}
	}
}

// dataPayload takes the next bytes of the message under way.
func (r *receiver) dataPayload(p []byte) (Event, error) {
	m := &r.message
	last := r.rest == 0 && r.frame.Fin
	if m.opcode == wire.Text {
		// At the first impossible byte, Section 8.1: the peer need not send
		// the rest of a frame that is lost already.
		if m.text.Check(p) >= 0 || last && !m.text.Complete() {
			return Event{}, wire.ErrInvalidUTF8
		}
	}
	ev := Event{Kind: KindMessage, Opcode: m.opcode, Payload: p}
	switch {
	case r.cfg.partial && (m.delivered || !last):
		if len(p) == 0 && !last {
			return Event{}, nil
		}
		ev.Kind, ev.Final = KindPartial, last
		m.delivered = true
	case !last:
		m.keep(p)
		return Event{}, nil
	case m.assembly != nil:
		m.keep(p)
		ev.Payload = slices.Clip(m.assembly.bytes) // beyond may be what another connection received
	}
	if last {
		m.opcode, m.size, m.fragments = wire.Continuation, 0, 0
	}
	return ev, nil
}

// keep appends p, which may lie there already, to the assembly.
func (m *message) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	if m.assembly == nil {
		m.assembly = assemblies.get()
	}
	m.assembly.bytes = Extend(m.assembly.bytes, p)
}

// Extend is append(b, p...), for a p that may lie there already because it was read
// into the room behind b: then nothing is copied.
func Extend(b, p []byte) []byte {
	if end := len(b) + len(p); len(p) > 0 && end <= cap(b) && &b[:end][len(b)] == &p[0] {
		return b[:end]
	}
	return append(b, p...)
}

// minReadBuffer is for how many bytes, at least, it is worth to have them read to where
// they belong.
const minReadBuffer = 16 << 10

// ReadBuffer returns where the next bytes of the message under way belong, at most limit
// of them: if the shell reads into that, and then has it received like any other
// bytes, they need not be copied. It is nil if they are too few for that, or are
// not kept. It is valid until Receive is called, and belongs to the goroutine that
// does.
func (e *Endpoint) ReadBuffer(limit int) []byte {
	r := &e.receiver
	if r.partial == nil || r.message.assembly == nil || r.frame.Opcode.IsControl() || r.rest < minReadBuffer {
		return nil
	}
	a := r.message.assembly
	if cap(a.bytes)-len(a.bytes) < minReadBuffer {
		a.bytes = slices.Grow(a.bytes, max(minReadBuffer, len(a.bytes))) // by what has arrived, not by what may come
	}
	n := int(min(r.rest, int64(limit), int64(cap(a.bytes)-len(a.bytes))))
	return a.bytes[len(a.bytes) : len(a.bytes)+n : len(a.bytes)+n]
}

// partials lends what frames and messages are received with that do not come whole.
var partials = sync.Pool{New: func() any { return new(partial) }}

// release gives back what was borrowed for a message that has been handed out, or
// will not be.
func (r *receiver) release() {
	if r.message.assembly != nil {
		assemblies.put(r.message.assembly)
	}
	*r.partial = partial{control: r.control[:0]}
	partials.Put(r.partial)
	r.partial = nil
}

// unfinished reports whether the receiver is inside a frame or a message.
func (r *receiver) unfinished() bool {
	return r.partial != nil && (r.phase == payloadPhase || r.headLen > 0 || r.message.opcode != wire.Continuation)
}

// Remaining returns how many payload bytes of the frame under way are still to
// come, as far as its header has arrived.
func (e *Endpoint) Remaining() int64 {
	if r := e.receiver.partial; r != nil {
		return r.rest
	}
	return 0
}

// answer does what the RFC obliges an endpoint to do on a control frame.
func (e *Endpoint) answer(ev Event) Event {
	switch ev.Kind {
	case KindPing:
		e.sender.pong(ev.Payload, e.receiver.cfg.background)
	case KindClose:
		return e.receiveClose(ev.Payload)
	}
	return ev
}

// fail fails the connection, because the peer broke the rule that err is or wraps.
func (e *Endpoint) fail(err error) Event {
	var rule *wire.Error
	switch err := err.(type) {
	case *wire.Error:
		rule = err
	case *LimitError:
		rule = err.rule
	case *CloseFrameError:
		rule = err.rule
	default:
		panic("BUG: websocket: a failure without a status code: " + err.Error())
	}
	return Event{Kind: KindFailed, Err: e.Fail(rule.Code, rule.Reason, err)}
}

// Fail fails the connection (Section 7.1.7): the peer is told code and reason,
// its input is ignored from now on, and nothing more is sent. The error is the
// *FailError, with err as the cause, or why the connection had ended before. It
// belongs to the goroutine that receives. code and reason must be such that can
// be sent.
func (e *Endpoint) Fail(code wire.StatusCode, reason string, err error) error {
	e.stopReceiving()
	ended := e.recordEnd(&outcome{code: wire.AbnormalClosure, err: &FailError{Code: code, Err: err}})
	e.sender.closeFor(code, reason, e.receiver.cfg)
	return ended.err
}

// receiveClose takes the payload of the peer's Close (Section 5.5.1).
func (e *Endpoint) receiveClose(payload []byte) Event {
	code, reason, err := wire.ParseClosePayload(payload)
	if err != nil {
		if rule, ok := err.(*wire.Error); ok && rule != wire.ErrClosePayload {
			err = &CloseFrameError{Code: code, Reason: string(reason), rule: rule}
		}
		return e.fail(err)
	}
	closed := &CloseError{Code: code, Reason: string(reason)}
	e.stopReceiving() // payload may be part of what it gives back
	ended := e.recordEnd(&outcome{code: code, reason: closed.Reason, err: closed})
	echo := code
	if echo == wire.NoStatusReceived {
		echo = 0 // an empty Close for an empty Close
	}
	e.sender.closeFor(echo, "", e.receiver.cfg)
	return Event{Kind: KindClose, Err: ended.err}
}

// stopReceiving ends partial and gives back what it held.
func (e *Endpoint) stopReceiving() {
	r := &e.receiver
	r.phase = stoppedPhase
	if r.partial != nil {
		r.release()
	}
}
