package endpoint

import (
	"io"
	"math/rand/v2"
	"sync/atomic"

	"github.com/fibersock/fibersock/internal/lockorder"
	"github.com/fibersock/fibersock/wire"
)

// sender turns messages into frames. One lock covers a frame from its header to
// its last byte, and the state that decides whether it may be sent.
type sender struct {
	mu    lockorder.Sender // held while a frame is written; guards the rest
	state atomic.Uint32    // a State; read by anybody, written under mu, but see closeFor and Abort

	position position

	vectored bool             // w is a VectorWriter, and the role is Server
	head     [serverHead]byte // for pieces
	w        io.Writer
	cork     atomic.Pointer[Cork] // where frames are collected; changed under mu, but see Cork; nil: they are not

	ext atomic.Pointer[senderExt] // nil as long as none of it is needed
}

// position is where in the stream of frames the next byte goes.
type position uint8

const (
	// betweenMessages: any frame may follow.
	betweenMessages position = iota

	// insideMessage: a message is being sent in fragments. Control frames may
	// follow, other messages may not (Section 5.4).
	insideMessage

	// insideFrame: the writer of a frame waits, without mu, for room in the
	// transport's write buffer. Nothing but the rest of that frame may follow.
	insideFrame
)

// serverHead is the size in bytes of the longest header without a masking key.
const serverHead = wire.MaxHeaderSize - 4

// senderExt is what most senders of a server do not need before their end.
// Except for waiting, anybody may look at it.
type senderExt struct {
	keys        *rand.ChaCha8             // masking keys; nil for a server
	sentClose   atomic.Uint32             // the Close that has been sent: see SentClose; written under sender.mu
	failed      atomic.Pointer[LostError] // the write that failed; nothing can be written after it
	lost        atomic.Pointer[LostError] // what Lost was told
	waiting     []chan struct{}           // closed when position changes; guarded by sender.mu
	pending     pendingControl
	pressure    Backpressure // nil: a write never waits; set before the endpoint is shared
	blocked     atomic.Bool  // a frame is being written under pressure; written under sender.mu
	messageOpen atomic.Bool  // a message is being sent in fragments; written under sender.mu
	rates       *rates       // what the peer has sent lately; the receiver's own, nil without limits of that
	outcome     atomic.Pointer[outcome]
}

// reserve returns more, which is made if it is not there.
func (s *sender) ensureExt() *senderExt {
	if ext := s.ext.Load(); ext != nil {
		return ext
	}
	s.ext.CompareAndSwap(nil, new(senderExt))
	return s.ext.Load()
}

// lock takes the lock for a frame of a new message with a payload of size bytes:
// it waits until no other message or frame is incomplete and the transport has
// room.
func (s *sender) lockForMessage(size int) {
	s.mu.Lock()
	for s.position != betweenMessages || s.mustWait(size) {
		if s.position != betweenMessages {
			if !s.waitPosition(betweenMessages) {
				return // sending says why
			}
			continue
		}
		s.awaitRoom(size)
	}
}

// awaitPosition gives up mu until the next byte may go to a position up to last.
// It reports whether data may still be sent.
func (s *sender) waitPosition(last position) bool {
	for s.position > last && s.sendErr() == nil {
		turn := make(chan struct{})
		ext := s.ensureExt()
		ext.waiting = append(ext.waiting, turn)
		s.unlock()
		<-turn
		s.mu.Lock()
	}
	return s.sendErr() == nil
}

// setPosition notes where the next byte goes, and wakes the writers that wait for
// that. The caller holds mu.
func (s *sender) setPosition(p position) {
	s.position = p
	s.wakeWaiters()
}

// unlock gives up the lock. Control frames that became due while it was held are
// written first; one that becomes due at the last moment either finds the lock
// free or is seen here. Inside a frame they wait for its end.
func (s *sender) unlock() {
	for {
		inside := s.position == insideFrame
		if !inside && s.controlPending() {
			s.flushControl()
		}
		s.mu.Unlock()
		if inside || !s.controlPending() || !s.mu.TryLock() {
			return
		}
	}
}

// wake lets all who wait for their turn look again.
func (s *sender) wakeWaiters() {
	ext := s.ext.Load()
	if ext == nil {
		return
	}
	for _, turn := range ext.waiting {
		close(turn)
	}
	ext.waiting = nil
}

// sending returns nil if data may be sent: before our Close, with a transport
// that works.
func (s *sender) sendErr() error {
	switch State(s.state.Load()) {
	case Open:
		if ext := s.ext.Load(); ext != nil && ext.outcome.Load() != nil {
			return ErrClosed // the peer's Close has arrived and is about to be answered
		}
		return nil
	case CloseSent:
		return ErrClosed
	default: // Closed
		if ext := s.ext.Load(); ext != nil {
			if failed := ext.failed.Load(); failed != nil {
				return failed
			}
		}
		return ErrClosed
	}
}

// Send sends p as one message in one frame. op is Text or Binary; a text must
// be UTF-8. p is not changed and not kept. Send waits while another message is
// being sent in fragments.
//
// The error is ErrNotData or wire.ErrInvalidUTF8 for a message that cannot be
// sent, else why the connection cannot send any more.
func (e *Endpoint) Send(op wire.Opcode, p []byte) error {
	if op != wire.Binary {
		if err := checkMessage(op, p); err != nil {
			return err
		}
	}
	s := &e.sender
	s.lockForMessage(len(p))
	if k := s.cork.Load(); k != nil && k.has(len(p)) && s.state.Load() == uint32(Open) && len(p) <= e.receiver.cfg.maxFrame {
		k.add(finBit|byte(op), p) // as sendLocked would, but for what it does for others
		s.unlock()
		return nil
	}
	return e.sendLocked(op, p)
}

// sendLocked is Send for a caller who holds the lock, which it gives up.
func (e *Endpoint) sendLocked(op wire.Opcode, p []byte) error {
	s := &e.sender
	defer s.unlock()
	if err := s.sendErr(); err != nil {
		return e.closeCause(err)
	}
	return e.closeCause(s.writeData(wire.Header{Fin: true, Opcode: op}, p, e.receiver.cfg.maxFrame))
}

// SendText sends text as a text message, like Send.
func (e *Endpoint) SendText(text string) error {
	buf := assemblies.get()
	defer assemblies.put(buf)
	buf.bytes = append(buf.bytes, text...)
	return e.Send(wire.Text, buf.bytes)
}

// checkMessage checks a message that a caller wants to send.
func checkMessage(op wire.Opcode, p []byte) error {
	if !op.IsData() {
		return ErrNotData
	}
	if op == wire.Text && !validText(p) {
		return wire.ErrInvalidUTF8
	}
	return nil
}

// because returns, in place of the err of a call that could not send, what is
// known about the connection's end: why it ended says more than that it did.
func (e *Endpoint) closeCause(err error) error {
	if err == nil {
		return nil
	}
	if known := e.Err(); known != nil {
		return known
	}
	return err
}

// Prepared is a message encoded once, to be sent to many clients.
type Prepared struct {
	frame   []byte
	payload int // bytes of it
}

// Prepare encodes a message as a server sends it. The error is that of Send for
// a message that cannot be sent.
func Prepare(op wire.Opcode, p []byte) (*Prepared, error) {
	if err := checkMessage(op, p); err != nil {
		return nil, err
	}
	h := wire.Header{Fin: true, Opcode: op}
	return &Prepared{wire.AppendFrame(make([]byte, 0, wire.MaxHeaderSize+len(p)), h, p), len(p)}, nil
}

// Size returns how many bytes the message has on the wire.
func (m *Prepared) Size() int { return len(m.frame) }

// SendPrepared sends m like Send. Only a server can: a client masks every frame
// with a key of its own.
func (e *Endpoint) SendPrepared(m *Prepared) error {
	s := &e.sender
	s.lockForMessage(m.payload)
	defer s.unlock()
	if err := s.sendErr(); err != nil {
		return e.closeCause(err)
	}
	return e.closeCause(s.writePrepared(m, e.receiver.cfg.maxFrame))
}

// TrySendPrepared is SendPrepared for a caller who does not wait: it reports
// whether m was sent, or cannot be any more. It was not if another goroutine is
// sending, a message is under way in fragments, or there is no room for all of m.
func (e *Endpoint) TrySendPrepared(m *Prepared) bool {
	s := &e.sender
	if !s.mu.TryLock() {
		return false
	}
	defer s.unlock()
	if s.sendErr() == nil {
		if s.position != betweenMessages {
			return false
		}
		if pressure := s.pressure(); pressure != nil && pressure.Room(m.Size()) < m.Size() {
			return false
		}
		_ = s.writePrepared(m, e.receiver.cfg.maxFrame) // the connection's end is reported where it is noticed
	}
	return true
}

// Ping sends a Ping with the given payload, at most 125 bytes (Section 5.5.2).
func (e *Endpoint) Ping(payload []byte) error { return e.sendControl(wire.Ping, payload) }

// Pong sends a Pong that answers no Ping, which is allowed (Section 5.5.3).
// Pings are answered without it.
func (e *Endpoint) Pong(payload []byte) error { return e.sendControl(wire.Pong, payload) }

func (e *Endpoint) sendControl(op wire.Opcode, payload []byte) error {
	if len(payload) > wire.MaxControlPayload {
		return wire.ErrControlTooLong
	}
	s := &e.sender
	s.mu.Lock()
	defer s.unlock()
	s.waitPosition(insideMessage)
	if err := s.sendErr(); err != nil {
		return e.closeCause(err)
	}
	return e.closeCause(s.writeFrame(wire.Header{Fin: true, Opcode: op}, payload))
}

// writeFrame writes one frame. The caller holds mu.
//
// The payload goes through a borrowed buffer, together with the header while it
// is small. What is beyond the buffer a server writes from p itself; a client
// masks it in the buffer, piece by piece, because p must stay as it is.
func (s *sender) writeFrame(h wire.Header, p []byte) error {
	h.Length = int64(len(p))
	if pressure := s.pressure(); pressure != nil && !h.Opcode.IsControl() {
		return s.writeBlocking(pressure, wire.AppendHeader(s.head[:0], h), p)
	}
	if s.vectored {
		if k := s.cork.Load(); k != nil {
			return s.collect(k, h, p)
		}
		return s.noteWrite(s.w.(VectorWriter).Writev(wire.AppendHeader(s.head[:0], h), p))
	}
	buf := frames.get()
	defer frames.put(buf)

	if ext := s.ext.Load(); ext != nil && ext.keys != nil {
		h.Masked, h.Key = true, wire.MaskingKey(ext.keys.Uint64())
	}
	b := wire.AppendHeader(buf.bytes, h)
	key := h.Key
	for {
		n := min(len(p), cap(b)-len(b))
		if h.Masked {
			b, key = wire.AppendMasked(b, p[:n], key)
		} else {
			b = append(b, p[:n]...)
		}
		p = p[n:]
		if err := s.write(b); err != nil || len(p) == 0 {
			return err
		}
		if !h.Masked {
			return s.write(p)
		}
		b = b[:0]
	}
}

// writeData writes a message or a fragment of one, in frames with payloads of at most
// limit bytes, and between them the control frames that are owed. It stops if the
// peer's Close arrives. The caller holds mu.
func (s *sender) writeData(h wire.Header, p []byte, limit int) error {
	if len(p) <= limit {
		return s.writeFrame(h, p)
	}
	before := s.position
	s.position = insideMessage // mu is given up where a frame waits for room
	var err error
	for err == nil && len(p) > limit {
		err = s.writeFrame(wire.Header{Opcode: h.Opcode}, p[:limit])
		h.Opcode, p = wire.Continuation, p[limit:]
		if err == nil {
			s.flushControl()
			err = s.sendErr()
		}
	}
	if err == nil {
		err = s.writeFrame(h, p)
	}
	s.setPosition(before)
	return err
}

// writePrepared writes m. The caller holds mu.
func (s *sender) writePrepared(m *Prepared, limit int) error {
	if m.payload > limit {
		op := wire.Opcode(m.frame[0] &^ finBit)
		return s.writeData(wire.Header{Fin: true, Opcode: op}, m.frame[len(m.frame)-m.payload:], limit)
	}
	if pressure := s.pressure(); pressure != nil {
		head := len(m.frame) - m.payload
		return s.writeBlocking(pressure, m.frame[:head], m.frame[head:])
	}
	if s.vectored {
		if k := s.cork.Load(); k != nil {
			return s.collectPrepared(k, m)
		}
		return s.noteWrite(s.w.(VectorWriter).Writev(nil, m.frame))
	}
	return s.write(m.frame)
}

// write writes b. If that fails, the peer may have half a frame, and the
// connection cannot send any more.
func (s *sender) write(b []byte) error {
	_, err := s.w.Write(b)
	return s.noteWrite(err)
}

// wrote notes what a write has ended with.
func (s *sender) noteWrite(err error) error {
	if err != nil {
		failed := &LostError{Err: err}
		ext := s.ensureExt()
		if lost := ext.lost.Load(); lost != nil && closedHere(err) {
			failed = lost // of which this is only the effect
		}
		ext.failed.Store(failed)
		s.setState(Closed)
		return failed
	}
	return nil
}

// stop ends sending, because the transport has ended or is to. It calls the
// function that closes the transport, if it is not nil, returns its error, and
// when it returns, no write is going on. What was collected has been sent before.
func (s *sender) stop(closeTransport func() error) (err error) {
	if s.cork.Load() != nil { // and so the lock is not held for long
		s.mu.Lock()
		s.uncork()
		s.unlock()
	}
	if closeTransport != nil {
		err = closeTransport()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setState(Closed)
	return err
}
