package endpoint

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// This file turns bytes into events. A frame passes through three steps:
//
//	header   collects the frame header, in partial.head if it is split
//	check    checks it against the rules, the limits and the current message
//	payload  unmasks the payload as it arrives and gives it to controlPayload
//	         (Section 5.5) or dataPayload (Sections 5.4 and 5.6)
//
// Invariant: in payloadPhase, frame is a header that passed check, and rest
// bytes of its payload have not arrived.

// phase is the position of the receiver in the input.
type phase uint8

const (
	headerPhase  phase = iota // before or inside a frame header
	payloadPhase              // after a header; the payload, which may be empty, is incomplete
	stoppedPhase              // after KindClose or KindFailed: input is ignored
)

// A fragment costs work and memory even if it is empty. It is charged with
// fragmentOverhead bytes beyond its payload, against a budget of Limits.Message
// plus fragmentAllowance. A message of full size may have 65,536 fragments, and
// the number of empty ones is bounded.
const (
	fragmentOverhead  = 16
	fragmentAllowance = 1 << 20
)

type receiver struct {
	_ [0]func() // not comparable: programs are smaller

	*partial // nil unless a frame or message is incomplete, or its payload in use

	cfg atomic.Pointer[SharedConfig] // see Endpoint.SetLimits

	// The messages of wholeMessage that flushCount has not counted: up to
	// maxCounted, so that their bytes fit.
	countedBytes uint32
	counted      uint16

	phase phase
}

// partial is the state of an incomplete frame and message.
type partial struct {
	// The header, if it is split.
	head    [wire.MaxHeaderSize]byte
	headLen uint8

	// The frame.
	frame   wire.Header
	rest    int64           // payload bytes that have not arrived
	key     wire.MaskingKey // for the next of them
	control []byte          // payload of a control frame that is split

	message message
}

// message is an incomplete data message.
type message struct {
	_          [0]func()   // not comparable: programs are smaller
	opcode     wire.Opcode // Text or Binary; Continuation if there is no message
	delivered  bool        // a piece has been returned
	lent       bool        // assembly is being read into: see ReadBuffer
	compressed bool        // RSV1 is set in the first frame
	text       wire.UTF8   // of a text: the state inside a code point
	size       int64       // payload bytes of all frames, as declared and checked
	fragments  int64       // frames
	limit      int64       // Limits.Message when the header of the frame arrived
	assembly   *buffer     // the payload so far; nil if it need not be kept
	inflating  inflater    // of a compressed message; nil before its first payload
}

// inflater is an *inflating. The linker leaves that out of programs without
// compression.
type inflater interface {
	idle()
	release()
}

// partials lends partial structs.
var partials = sync.Pool{New: func() any { return new(partial) }}

// Receive consumes the first n bytes of b and returns the event that they
// complete. With KindNone it has consumed all of b and needs more. b is
// unmasked in place, and the payload of the event may be a part of it. After
// KindClose or KindFailed, Receive consumes and ignores all input.
//
// now is the time at which b was read. Only the limits per second use it: see
// NeedsTime. Without them it may be the zero Time. The caller is the receiving
// goroutine.
func (e *Endpoint) Receive(now time.Time, b []byte) (ev Event, n int) {
	r := &e.receiver
	op, p, n := r.wholeMessage(b)
	if n == 0 {
		return e.receiveCounted(now, b)
	}
	if r.countWhole(len(p)) || n == len(b) {
		r.flushCount(e.sender.counters)
	}
	return Event{Kind: KindMessage, Opcode: op, Payload: p}, n
}

// ReceiveMessages is Receive for small messages that were read together, which
// costs less. It calls f with each message at the beginning of b that is
// complete and in one frame; p is valid until f returns, and more reports
// whether b has more input. It stops when f returns false, at any other input,
// and at the end of the connection. It returns the number of bytes that it has
// consumed; Receive consumes the others, if there are any. The caller is the
// receiving goroutine.
func (e *Endpoint) ReceiveMessages(b []byte, f func(op wire.Opcode, p []byte, more bool) (ok bool)) (n int) {
	r := &e.receiver
	for n < len(b) && e.outcome() == nil {
		op, p, used := r.wholeMessage(b[n:])
		if used == 0 {
			break
		}
		n += used
		if r.countWhole(len(p)) {
			r.flushCount(e.sender.counters)
		}
		if !f(op, p, n < len(b)) {
			break
		}
	}
	if n == len(b) {
		r.flushCount(e.sender.counters)
	}
	return n
}

// receiveCounted is Receive for all other input than wholeMessage.
func (e *Endpoint) receiveCounted(now time.Time, b []byte) (ev Event, n int) {
	r := &e.receiver
	ev, n = e.receive(now, b)
	if ev.Kind == KindNone && r.partial != nil && r.message.inflating != nil {
		r.message.inflating.idle()
	}
	r.countEvent(&ev, e.sender.counters)
	if n == len(b) || ev.Err != nil {
		r.flushCount(e.sender.counters)
	}
	return ev, n
}

// wholeMessage returns the message at the beginning of b if it is complete,
// valid, in one frame, and outside of another message or frame. Otherwise n is
// 0 and b is unchanged: receive handles the input.
func (r *receiver) wholeMessage(b []byte) (op wire.Opcode, p []byte, n int) {
	const mask = 0x80
	cfg := r.cfg.Load()
	if r.phase != headerPhase || cfg.limitsRates || len(b) < 2 {
		return 0, nil, 0
	}
	if r.partial != nil {
		if r.unfinished() {
			return 0, nil, 0
		}
		r.release()
	}
	op = wire.Opcode(b[0] &^ finBit)
	start, length := 2, int(b[1]&^mask)
	if b[0]&finBit == 0 || !op.IsData() || (b[1]&mask != 0) != (cfg.role == Server) {
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
	if cfg.role == Server {
		if len(b) < start+4 {
			return 0, nil, 0
		}
		key = wire.NewMaskingKey([4]byte(b[start:]))
		start += 4
	}
	n = start + length
	if n > len(b) || int64(length) > cfg.limits.Frame || int64(length) > cfg.limits.Message {
		return 0, nil, 0
	}
	p = b[start:n:n]
	if cfg.role == Server {
		wire.Mask(p, key)
	}
	if op == wire.Text && !validText(p) {
		if cfg.role == Server {
			wire.Mask(p, key)
		}
		return 0, nil, 0
	}
	return op, p, n
}

// validText reports whether p is a complete text.
func validText(p []byte) bool {
	var text wire.UTF8
	return text.Check(p) < 0 && text.Complete()
}

// receive is receiveCounted without the counters.
func (e *Endpoint) receive(now time.Time, b []byte) (ev Event, n int) {
	r := &e.receiver
	cfg := r.cfg.Load()
	if r.partial != nil {
		r.message.lent = false
		if !r.unfinished() {
			r.release()
		}
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
				r.partial = partials.Get().(*partial)
			}
			used, complete, err := r.header(cfg, b[n:])
			n += used
			if complete {
				if !r.frame.Fin || r.frame.Opcode == wire.Continuation {
					e.countFragment()
				}
				if cfg.limitsRates {
					err = e.takeFrame(&cfg.limits, now)
				}
			}
			if err != nil {
				return e.fail(err), n
			}
			if !complete {
				return Event{}, n
			}

		case payloadPhase:
			used, err := e.payload(cfg, now, b[n:], &ev)
			n += used
			if err == nil && cfg.limitsRates {
				err = e.takeRate(byteRate, used, &cfg.limits, now)
			}
			switch {
			case err != nil:
				return e.fail(err), n
			case ev.Kind == KindPing:
				e.sender.sendAsync(wire.Pong, ev.Payload, cfg.background)
			case ev.Kind == KindClose:
				return e.receiveClose(ev.Payload), n
			case ev.Kind == KindNone && r.phase != payloadPhase:
				continue
			}
			return ev, n
		}
	}
}

// header collects and checks a frame header. It returns how many bytes of b it
// used and whether the header is complete. An incomplete header is checked as
// far as it has arrived, so that a wrong byte is reported at once.
func (r *receiver) header(cfg *SharedConfig, b []byte) (used int, complete bool, err error) {
	head := b
	if r.headLen > 0 {
		used = copy(r.head[r.headLen:], b)
		head = r.head[:int(r.headLen)+used]
	}
	h, n, err := wire.ParseHeader(head)
	if err == nil && len(head) > 0 {
		err = r.check(cfg, h, len(head))
	}
	if err != nil {
		return len(b), false, r.firstFault(cfg, head)
	}
	if n == 0 {
		copy(r.head[r.headLen:], b)
		r.headLen += uint8(len(b))
		return len(b), false, nil
	}
	used = n - int(r.headLen)
	r.headLen = 0
	r.begin(cfg, h)
	return used, true, nil
}

// firstFault returns the error of the first wrong byte of head, a refused
// header. Rules are not checked in the order of the bytes, but the reported
// error must not depend on how the bytes were split.
func (r *receiver) firstFault(cfg *SharedConfig, head []byte) error {
	for have := 1; ; have++ {
		h, _, err := wire.ParseHeader(head[:have])
		if err == nil {
			err = r.check(cfg, h, have)
		}
		if err != nil {
			return err
		}
	}
}

// check checks the first have bytes of a frame header against the role, the
// current message and the limits. Fields that have not arrived are zero.
func (r *receiver) check(cfg *SharedConfig, h wire.Header, have int) error {
	m := &r.message
	limits := &cfg.limits
	switch {
	case h.RSV != 0 && (h.RSV != wire.RSV1 || cfg.compression == nil):
		return errReservedBits
	case h.RSV != 0 && !h.Opcode.IsData():
		return errCompressedBit
	case h.Opcode == wire.Continuation && m.opcode == wire.Continuation:
		return errNothingToContinue
	case h.Opcode.IsData() && m.opcode != wire.Continuation:
		return errMessageInterleaved
	case have < 2:
		return nil
	case cfg.role == Server && !h.Masked:
		return errNotMasked
	case cfg.role == Client && h.Masked:
		return errMasked
	case h.Opcode.IsControl():
		return nil
	case h.Length > limits.Frame:
		return &LimitError{Limit: "frame", Option: "Limits.Frame", Max: limits.Frame, Seen: h.Length, rule: errFrameLimit}
	case h.Length > limits.Message-m.size && !(h.RSV != 0 || m.compressed) || h.Length > limits.compressed()-m.size:
		seen := uint64(m.size) + uint64(h.Length) // of declared lengths: may exceed 2^63
		return &LimitError{Limit: "message", Option: "Limits.Message", Max: limits.Message, Seen: int64(min(seen, 1<<63-1)), rule: errMessageLimit}
	case m.fragments*fragmentOverhead-fragmentAllowance > limits.Message-m.size:
		return &LimitError{Limit: "fragments", Option: "Limits.Message", Max: m.fragments, Seen: m.fragments + 1, rule: errFragmentLimit}
	}
	return nil
}

// begin starts the frame with the checked header h.
func (r *receiver) begin(cfg *SharedConfig, h wire.Header) {
	r.phase = payloadPhase
	r.frame, r.rest, r.key = h, h.Length, h.Key
	if h.Opcode.IsControl() {
		r.control = r.control[:0]
		return
	}
	if h.Opcode.IsData() {
		r.message = message{opcode: h.Opcode, compressed: h.RSV != 0}
	}
	r.message.limit = cfg.limits.Message
	r.message.size += h.Length
	r.message.fragments++
}

// payload consumes the payload of the current frame that b holds. It returns
// how many bytes that is and sets ev to the event that they complete.
func (e *Endpoint) payload(cfg *SharedConfig, now time.Time, b []byte, ev *Event) (used int, err error) {
	r := &e.receiver
	if r.message.compressed && !r.frame.Opcode.IsControl() {
		*ev, used, err = cfg.compression.receive(e, cfg, now, b)
		return used, err
	}
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
		r.controlPayload(p, ev)
		return used, nil
	}
	return used, r.dataPayload(cfg, p, ev)
}

// controlPayload collects the payload of a control frame, at most 125 bytes.
func (r *receiver) controlPayload(p []byte, ev *Event) {
	if len(r.control) > 0 || r.rest > 0 {
		r.control = append(r.control, p...)
		p = r.control
	}
	if r.rest > 0 {
		return
	}
	ev.Payload = p
	switch r.frame.Opcode {
	case wire.Ping:
		ev.Kind = KindPing
	case wire.Pong:
		ev.Kind = KindPong
	default: // check accepts no other control frame
		ev.Kind = KindClose
	}
}

// dataPayload handles the next payload bytes of the current message.
func (r *receiver) dataPayload(cfg *SharedConfig, p []byte, ev *Event) error {
	m := &r.message
	last := r.rest == 0 && r.frame.Fin
	if m.opcode == wire.Text {
		// Section 8.1: at the first impossible byte, also inside a frame.
		if m.text.Check(p) >= 0 || last && !m.text.Complete() {
			return wire.ErrInvalidUTF8
		}
	}
	switch {
	case cfg.partial && (m.delivered || !last):
		if len(p) == 0 && !last {
			return nil
		}
		ev.Kind, ev.Final = KindPartial, last
		m.delivered = true
	case !last:
		m.assemble(p)
		return nil
	default:
		ev.Kind = KindMessage
		if m.assembly != nil {
			m.assemble(p)
			p = slices.Clip(m.assembly.bytes) // the capacity may hold input of another connection
		}
	}
	ev.Opcode, ev.Payload = m.opcode, p
	if last {
		m.opcode, m.size, m.fragments = wire.Continuation, 0, 0
	}
	return nil
}

// assemble appends p to the assembly.
func (m *message) assemble(p []byte) {
	if len(p) == 0 {
		return
	}
	if m.assembly == nil {
		m.assembly = assemblies.get()
	}
	m.assembly.bytes = extend(m.assembly.bytes, p)
}

// minReadBuffer is the smallest slice, in bytes, that ReadBuffer returns the
// space for. For fewer bytes a copy is cheaper than another read.
const minReadBuffer = 16 << 10

// ReadBuffer returns a slice of at most limit bytes for the next read. It is
// the place of the next bytes of the current message, so that Receive does not
// copy them. It is nil if the next bytes are not kept or too few; the caller
// then reads into its own buffer. The slice is valid until the next call of
// Receive, also if Fail is called before. The caller is the receiving goroutine.
func (e *Endpoint) ReadBuffer(limit int) []byte {
	r := &e.receiver
	if r.partial == nil || r.message.assembly == nil || r.message.compressed || r.frame.Opcode.IsControl() || r.rest < minReadBuffer {
		return nil
	}
	a := r.message.assembly
	if cap(a.bytes)-len(a.bytes) < minReadBuffer {
		a.bytes = slices.Grow(a.bytes, max(minReadBuffer, len(a.bytes))) // by arrived bytes, not by declared ones
	}
	r.message.lent = true
	n := int(min(r.rest, int64(limit), int64(cap(a.bytes)-len(a.bytes))))
	return a.bytes[len(a.bytes) : len(a.bytes)+n : len(a.bytes)+n]
}

// release returns the borrowed buffers of a message that has been returned or
// will not be.
func (r *receiver) release() {
	if r.message.assembly != nil && !r.message.lent {
		assemblies.put(r.message.assembly)
	}
	if r.message.inflating != nil {
		r.message.inflating.release()
	}
	*r.partial = partial{control: r.control[:0]}
	partials.Put(r.partial)
	r.partial = nil
}

// unfinished reports whether a frame or a message is incomplete.
func (r *receiver) unfinished() bool {
	return r.partial != nil && (r.phase == payloadPhase || r.headLen > 0 || r.message.opcode != wire.Continuation)
}

// receiveClose handles the payload of the peer's Close (Section 5.5.1).
func (e *Endpoint) receiveClose(payload []byte) Event {
	code, reason, err := wire.ParseClosePayload(payload)
	if err != nil {
		if rule, ok := err.(*wire.Error); ok && rule != wire.ErrClosePayload {
			err = &CloseFrameError{Code: code, Reason: string(reason), rule: rule}
		}
		return e.fail(err)
	}
	closed := &CloseError{Code: code, Reason: string(reason)}
	e.stopReceiving() // the payload may be part of a buffer that this releases
	reply := closeFrame{code: code}
	if code == wire.NoStatusReceived {
		reply.code = 0
	}
	_, why := e.end(peerClose, &outcome{code: code, reason: closed.Reason, err: closed}, reply)
	return Event{Kind: KindClose, Err: why}
}

// fail fails the connection because the peer broke the rule in err.
func (e *Endpoint) fail(err error) Event {
	var rule *wire.Error
	switch err := err.(type) {
	case *wire.Error:
		rule = err
	case *LimitError:
		rule = err.rule
	case *CloseFrameError:
		rule = err.rule
	case *CompressionError:
		rule = errCompressedData
	default:
		panic("BUG: websocket: a failure without a status code: " + err.Error())
	}
	return Event{Kind: KindFailed, Err: e.Fail(rule.Code, rule.Reason, err)}
}

// Fail fails the connection (Section 7.1.7): it sends a Close with code and
// reason, which must be valid in a Close, ignores later input and sends nothing
// more. The error is a *FailError with err as its cause, or the earlier reason
// for the end. No call of Receive or ReadBuffer runs at the same time; the
// receiving goroutine may be reading into the slice of ReadBuffer.
func (e *Endpoint) Fail(code wire.StatusCode, reason string, err error) error {
	e.stopReceiving()
	_, why := e.end(failure, failed(code, err), closeFrame{code, reason})
	return why
}

// failed returns the outcome of a failed connection.
func failed(code wire.StatusCode, err error) *outcome {
	return &outcome{code: wire.AbnormalClosure, err: &FailError{Code: code, Err: err}}
}

// stopReceiving ends the input and releases the borrowed buffers.
func (e *Endpoint) stopReceiving() {
	r := &e.receiver
	r.phase = stoppedPhase
	if r.partial != nil {
		r.release()
	}
}
