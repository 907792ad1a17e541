package endpoint

import (
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/wire"
)

// sender turns messages into frames. One lock covers a frame from its header to
// its last byte, and the state that decides whether it may be sent.
type sender struct {
	mu    sync.Mutex    // held while a frame is written; guards the rest
	state atomic.Uint32 // a State; read by anybody, written under mu, but see closeFor and Abort

	position position

	pieces bool             // w is a PieceWriter, and the role is Server
	head   [serverHead]byte // for pieces
	w      io.Writer
	cork   atomic.Pointer[Cork] // where frames are collected; changed under mu, but see Cork; nil: they are not

	more atomic.Pointer[senderReserve] // nil as long as none of it is needed
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

// senderReserve is what most senders of a server do not need before their end.
// Except for waiting, anybody may look at it.
type senderReserve struct {
	keys      *rand.ChaCha8             // masking keys; nil for a server
	sentClose atomic.Uint32             // the Close that has been sent: see SentClose; written under sender.mu
	failed    atomic.Pointer[LostError] // the write that failed; nothing can be written after it
	lost      atomic.Pointer[LostError] // what Lost was told
	waiting   []chan struct{}           // closed when position changes; guarded by sender.mu
	owed      owedFrames
	pressure  Backpressure // nil: a write never waits; set before the endpoint is shared
	pressed   atomic.Bool  // a frame is being written under pressure; written under sender.mu
	rates     *rates       // what the peer has sent lately; the receiver's own, nil without limits of that
	ending    atomic.Pointer[ending]
}

// reserve returns more, which is made if it is not there.
func (s *sender) reserve() *senderReserve {
	if more := s.more.Load(); more != nil {
		return more
	}
	s.more.CompareAndSwap(nil, new(senderReserve))
	return s.more.Load()
}

// lock takes the lock for a frame of a new message with a payload of size bytes:
// it waits until no other message or frame is incomplete and the transport has
// room.
func (s *sender) lock(size int) {
	s.mu.Lock()
	for s.position != betweenMessages || s.mustWait(size) {
		if s.position != betweenMessages {
			if !s.awaitPosition(betweenMessages) {
				return // sending says why
			}
			continue
		}
		s.awaitRoom(size)
	}
}

// awaitPosition gives up mu until the next byte may go to a position up to last.
// It reports whether data may still be sent.
func (s *sender) awaitPosition(last position) bool {
	for s.position > last && s.sending() == nil {
		turn := make(chan struct{})
		more := s.reserve()
		more.waiting = append(more.waiting, turn)
		s.unlock()
		<-turn
		s.mu.Lock()
	}
	return s.sending() == nil
}

// setPosition notes where the next byte goes, and wakes the writers that wait for
// that. The caller holds mu.
func (s *sender) setPosition(p position) {
	s.position = p
	s.wake()
}

// unlock gives up the lock. Control frames that became due while it was held are
// written first; one that becomes due at the last moment either finds the lock
// free or is seen here. Inside a frame they wait for its end.
func (s *sender) unlock() {
	for {
		inside := s.position == insideFrame
		if !inside && s.owes() {
			s.payOwed()
		}
		s.mu.Unlock()
		if inside || !s.owes() || !s.mu.TryLock() {
			return
		}
	}
}

// wake lets all who wait for their turn look again.
func (s *sender) wake() {
	more := s.more.Load()
	if more == nil {
		return
	}
	for _, turn := range more.waiting {
		close(turn)
	}
	more.waiting = nil
}

// sending returns nil if data may be sent: before our Close, with a transport
// that works.
func (s *sender) sending() error {
	switch State(s.state.Load()) {
	case Open:
		if more := s.more.Load(); more != nil && more.ending.Load() != nil {
			return ErrClosed // the peer's Close has arrived and is about to be answered
		}
		return nil
	case CloseSent:
		return ErrClosed
	default: // Closed
		if more := s.more.Load(); more != nil {
			if failed := more.failed.Load(); failed != nil {
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
	s.lock(len(p))
	if k := s.cork.Load(); k != nil && k.has(len(p)) && s.state.Load() == uint32(Open) && len(p) <= e.receiver.terms.maxFrame {
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
	if err := s.sending(); err != nil {
		return e.because(err)
	}
	return e.because(s.writeData(wire.Header{Fin: true, Opcode: op}, p, e.receiver.terms.maxFrame))
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
func (e *Endpoint) because(err error) error {
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
	s.lock(m.payload)
	defer s.unlock()
	if err := s.sending(); err != nil {
		return e.because(err)
	}
	return e.because(s.writePrepared(m, e.receiver.terms.maxFrame))
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
	if s.sending() == nil {
		if s.position != betweenMessages {
			return false
		}
		if pressure := s.pressure(); pressure != nil && pressure.Room(m.Size()) < m.Size() {
			return false
		}
		_ = s.writePrepared(m, e.receiver.terms.maxFrame) // the connection's end is reported where it is noticed
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
	s.awaitPosition(insideMessage)
	if err := s.sending(); err != nil {
		return e.because(err)
	}
	return e.because(s.writeFrame(wire.Header{Fin: true, Opcode: op}, payload))
}

// writeFrame writes one frame. The caller holds mu.
//
// The payload goes through a borrowed buffer, together with the header while it
// is small. What is beyond the buffer a server writes from p itself; a client
// masks it in the buffer, piece by piece, because p must stay as it is.
func (s *sender) writeFrame(h wire.Header, p []byte) error {
	h.Length = int64(len(p))
	if pressure := s.pressure(); pressure != nil && !h.Opcode.IsControl() {
		return s.writePressed(pressure, wire.AppendHeader(s.head[:0], h), p)
	}
	if s.pieces {
		if k := s.cork.Load(); k != nil {
			return s.collect(k, h, p)
		}
		return s.wrote(s.w.(PieceWriter).WritePieces(wire.AppendHeader(s.head[:0], h), p))
	}
	buf := frames.get()
	defer frames.put(buf)

	if more := s.more.Load(); more != nil && more.keys != nil {
		h.Masked, h.Key = true, wire.MaskingKey(more.keys.Uint64())
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
			s.payOwed()
			err = s.sending()
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
		return s.writePressed(pressure, m.frame[:head], m.frame[head:])
	}
	if s.pieces {
		if k := s.cork.Load(); k != nil {
			return s.collectPrepared(k, m)
		}
		return s.wrote(s.w.(PieceWriter).WritePieces(nil, m.frame))
	}
	return s.write(m.frame)
}

// write writes b. If that fails, the peer may have half a frame, and the
// connection cannot send any more.
func (s *sender) write(b []byte) error {
	_, err := s.w.Write(b)
	return s.wrote(err)
}

// wrote notes what a write has ended with.
func (s *sender) wrote(err error) error {
	if err != nil {
		failed := &LostError{Err: err}
		more := s.reserve()
		if lost := more.lost.Load(); lost != nil && closedHere(err) {
			failed = lost // of which this is only the effect
		}
		more.failed.Store(failed)
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
