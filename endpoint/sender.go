package endpoint

import (
	"io"
	"math/rand/v2"
	"sync/atomic"

	"github.com/fibersock/fibersock/internal/lockorder"
	"github.com/fibersock/fibersock/wire"
)

// sender turns messages into frames. Its lock is held from the header of a
// frame to its last byte. A frame is sent if the state allows it when the lock
// is taken.
type sender struct {
	_ [0]func() // not comparable: programs are smaller

	mu    lockorder.Sender // held while a frame is written; guards the rest; locked before controlQueue.mu
	state atomic.Uint32    // an endState; written by transition

	position position

	vectored bool             // w is a VectorWriter, and the role is Server
	head     [serverHead]byte // for Writev
	w        io.Writer
	counters *Counters                 // nil: frames are not counted
	cork     atomic.Pointer[collector] // a *Cork; nil: frames are not collected; written under mu, except in Endpoint.Cork

	rare atomic.Pointer[senderRare] // nil until one of its fields is needed
}

// position is the place of the next byte in the stream of frames.
type position uint8

const (
	// betweenMessages: any frame may follow.
	betweenMessages position = iota

	// insideMessage: a message is being sent in fragments. Control frames may
	// follow, other messages may not (Section 5.4). rare is not nil when mu is
	// unlocked in this position.
	insideMessage

	// insideFrame: a frame is blocked by Backpressure, and its writer waits
	// without mu. Only the rest of the frame may follow.
	insideFrame
)

// serverHead is the size in bytes of the longest header without a masking key.
const serverHead = wire.MaxHeaderSize - 4

// senderRare holds the fields that no idle sender of a server needs without
// compression. Its fields are not changed: rare is replaced by a copy.
type senderRare struct {
	_ [0]func() // not comparable: programs are smaller

	ext *senderExt // nil until ensureExt

	// A Coder, see coderOf; nil until there is a compressed message. The linker
	// leaves that type out of programs without compression.
	coder any
}

// senderExt holds the fields that most senders of a server need at the end of
// the connection only. Goroutines without mu may read the atomic ones and the
// queue.
type senderExt struct {
	rare        senderRare              // sender.rare, unless that was replaced: one allocation
	keys        *rand.ChaCha8           // masking keys; nil for a server
	failed      atomic.Pointer[outcome] // of the failed write; only lost is used
	lost        atomic.Pointer[outcome] // set by TransportClosed
	outcome     atomic.Pointer[outcome] // nil until the state is closed
	waiters     []chan struct{}         // closed by wakeWaiters; guarded by sender.mu
	queue       controlQueue
	blocking    blockingWriter // nil: a write does not block; set before the endpoint is shared
	rates       *rates         // of the receiving goroutine; nil until a rate is limited
	sentClose   atomic.Uint32  // see SentClose; 0: no Close
	blocked     atomic.Uint32  // noFrame, wholeFrame or frameInParts; written under sender.mu
	messageOpen atomic.Bool    // see MessageOpen; written under sender.mu
}

// ext returns the fields of senderExt, nil until ensureExt.
func (s *sender) ext() *senderExt {
	if rare := s.rare.Load(); rare != nil {
		return rare.ext
	}
	return nil
}

// ensureExt returns ext, allocated on the first call.
func (s *sender) ensureExt() *senderExt {
	for {
		old := s.rare.Load()
		if old != nil && old.ext != nil {
			return old.ext
		}
		ext := new(senderExt)
		if old != nil {
			ext.rare = *old
		}
		ext.rare.ext = ext
		s.rare.CompareAndSwap(old, &ext.rare)
	}
}

// lockForMessage takes the lock for the first frame of a message, with a
// payload of size bytes. It waits until no other message or frame is incomplete
// and the transport has room, or nothing can be sent any more.
func (s *sender) lockForMessage(size int) {
	s.mu.Lock()
	if s.rare.Load() != nil { // otherwise there is nothing to wait for
		s.awaitMessage(size)
	}
}

// awaitMessage is the waiting of lockForMessage. The caller holds mu before and
// after.
func (s *sender) awaitMessage(size int) {
	for s.waitPosition(betweenMessages) {
		if b := s.blocking(); b == nil || !b.awaitSpace(s, size) {
			return
		}
	}
}

// waitPosition waits, without mu, for a position up to last. It reports whether
// data may still be sent. The caller holds mu before and after.
func (s *sender) waitPosition(last position) bool {
	for s.position > last && s.endState() == open {
		turn := make(chan struct{})
		ext := s.ensureExt()
		ext.waiters = append(ext.waiters, turn)
		s.unlock()
		<-turn
		s.mu.Lock()
	}
	return s.endState() == open
}

// setPosition sets the position and wakes the senders that wait for one. The
// caller holds mu.
func (s *sender) setPosition(p position) {
	s.position = p
	s.wakeWaiters()
}

// wakeWaiters wakes the senders in waitPosition. The caller holds mu.
func (s *sender) wakeWaiters() {
	if ext := s.ext(); ext != nil {
		closeAll(ext.waiters)
		ext.waiters = nil
	}
}

// unlock flushes the control queue and gives up the lock. A goroutine that
// queues a frame in the last moment finds the lock free, or this loop finds the
// frame.
func (s *sender) unlock() {
	for {
		inside := s.position == insideFrame
		if s.mustFlush(inside) {
			s.flushControl()
		}
		s.mu.Unlock()
		if !s.mustFlush(inside) || !s.mu.TryLock() {
			return
		}
	}
}

// sendErr returns nil if data may be sent.
func (s *sender) sendErr() error {
	if s.endState() == open {
		return nil
	}
	return s.ended()
}

// ended is sendErr when the state is not open.
func (s *sender) ended() error {
	if failed := s.ensureExt().failed.Load(); failed != nil {
		return &failed.lost
	}
	return ErrClosed
}

// closeCause returns the error of a call that could not send: Err if the
// connection has ended, and otherwise err, which may be nil.
func (e *Endpoint) closeCause(err error) error {
	if err == nil {
		return nil
	}
	if known := e.Err(); known != nil {
		return known
	}
	return err
}

// Send sends p as one message. op is Text or Binary; a text must be UTF-8. p is
// neither changed nor retained. Send waits while another message is being sent
// in fragments.
//
// The error is ErrNotData or wire.ErrInvalidUTF8 for a message that may not be
// sent; the connection is not affected. Otherwise it says why the connection
// cannot send any more.
func (e *Endpoint) Send(op wire.Opcode, p []byte) error {
	if cfg := e.config(); len(p) >= cfg.threshold {
		return cfg.compression.send(e, op, p)
	}
	return e.SendUncompressed(op, p)
}

// SendUncompressed is Send without compression. Use it for a message that
// contains a secret beside text of an attacker: the length of a compressed
// message tells whether they are alike.
func (e *Endpoint) SendUncompressed(op wire.Opcode, p []byte) error {
	if op != wire.Binary {
		if err := checkMessage(op, p); err != nil {
			return err
		}
	}
	s := &e.sender
	s.mu.Lock()
	if s.rare.Load() != nil { // as lockForMessage, which costs a call
		s.awaitMessage(len(p))
	}
	if k := s.cork.Load(); k != nil && s.endState() == open && len(p) <= e.config().maxFrame && (*k).add(finBit|byte(op), p) {
		s.unlock()
		return nil
	}
	return e.sendLocked(op, p)
}

// sendLocked is SendUncompressed for a message that is not collected at once.
// The caller holds sender.mu; sendLocked unlocks it.
//
// It is a function of its own because a deferred call makes its whole function
// slower.
func (e *Endpoint) sendLocked(op wire.Opcode, p []byte) error {
	s := &e.sender
	defer s.unlock()
	if err := s.sendErr(); err != nil {
		return e.closeCause(err)
	}
	return e.closeCause(s.writeData(wire.Header{Fin: true, Opcode: op}, p, e.config().maxFrame))
}

// SendText sends text as a text message; see Send.
func (e *Endpoint) SendText(text string) error {
	buf := assemblies.get()
	buf.bytes = append(buf.bytes, text...)
	err := e.Send(wire.Text, buf.bytes)
	assemblies.put(buf)
	return err
}

// checkMessage returns an error for a message that may not be sent.
func checkMessage(op wire.Opcode, p []byte) error {
	if !op.IsData() {
		return ErrNotData
	}
	if op == wire.Text && !validText(p) {
		return wire.ErrInvalidUTF8
	}
	return nil
}

// Ping sends a Ping with a payload of at most 125 bytes (Section 5.5.2), which
// is not retained.
func (e *Endpoint) Ping(payload []byte) error { return e.sendControl(wire.Ping, payload) }

// Pong sends a Pong that answers no Ping (Section 5.5.3), with a payload of at
// most 125 bytes, which is not retained. Receive answers Pings by itself.
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
// Without a VectorWriter the frame is copied into a borrowed buffer. A server
// writes the part of p that exceeds the buffer from p itself; a client masks it
// in the buffer, piece by piece, because p must not change.
func (s *sender) writeFrame(h wire.Header, p []byte) error {
	h.Length = int64(len(p))
	if k := s.cork.Load(); k != nil {
		return (*k).collect(s, h, p)
	}
	if s.counters != nil {
		s.countSent(firstByte(h), len(p))
	}
	if b := s.blocking(); b != nil && !h.Opcode.IsControl() {
		return b.writeFrame(s, wire.AppendHeader(s.head[:0], h), p)
	}
	if s.vectored {
		return s.noteWrite(s.w.(VectorWriter).Writev(wire.AppendHeader(s.head[:0], h), p))
	}
	buf := frames.get()
	if ext := s.ext(); ext != nil && ext.keys != nil {
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
		err := s.write(b)
		if err == nil && len(p) > 0 {
			if h.Masked {
				b = b[:0]
				continue
			}
			err = s.write(p)
		}
		frames.put(buf)
		return err
	}
}

// writeData writes a message or a fragment in frames of at most limit payload
// bytes, and between them the queued control frames. It stops if the connection
// ends. The caller holds mu.
func (s *sender) writeData(h wire.Header, p []byte, limit int) error {
	if len(p) <= limit {
		return s.writeFrame(h, p)
	}
	before := s.position
	s.position = insideMessage // blocking.writeFrame gives up mu
	var err error
	for err == nil && len(p) > limit {
		err = s.writeFrame(wire.Header{RSV: h.RSV, Opcode: h.Opcode}, p[:limit])
		h.RSV, h.Opcode, p = 0, wire.Continuation, p[limit:]
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

// countSent counts a frame that is about to be written. counters is not nil.
func (s *sender) countSent(first byte, payload int) {
	var n FrameCount
	n.addFrame(first, payload)
	s.counters.Sent.add(&n)
}

// write writes b to w.
func (s *sender) write(b []byte) error {
	_, err := s.w.Write(b)
	return s.noteWrite(err)
}

// noteWrite handles the result of a write. The caller holds mu.
func (s *sender) noteWrite(err error) error {
	if err == nil {
		return nil
	}
	failed := lost(err)
	ext := s.ensureExt()
	if lost := ext.lost.Load(); lost != nil && closedByUs(err) {
		failed = lost // err is only the consequence
	}
	ext.failed.Store(failed)
	s.transition(writeFailed, nil, closeFrame{})
	return &failed.lost
}

// closeTransport writes the collected frames, calls f, which closes the
// transport, if it is not nil, and takes the lock: no write is in progress when
// it returns. The error is that of f.
func (s *sender) closeTransport(f func() error) (err error) {
	if s.cork.Load() != nil { // the lock is then not held for long
		s.mu.Lock()
		s.uncork()
		s.unlock()
	}
	if f != nil {
		err = f()
	}
	s.mu.Lock()
	return err
}
