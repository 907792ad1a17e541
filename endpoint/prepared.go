package endpoint

import (
	"sync/atomic"

	"github.com/fibersock/fibersock/wire"
)

// Prepared is a message that is encoded once and sent by any number of servers'
// endpoints. If it is compressed, it is compressed once, in a form that all
// endpoints can send. It is safe for concurrent use.
type Prepared struct {
	frame      []byte
	payload    int                      // bytes at the end of frame
	single     bool                     // see PrepareSingle
	compressed atomic.Pointer[Prepared] // empty: m is not compressed; nil until it is needed
}

// Prepare encodes a message. p is not retained. The error is ErrNotData or
// wire.ErrInvalidUTF8 for a message that may not be sent.
func Prepare(op wire.Opcode, p []byte) (*Prepared, error) {
	if err := checkMessage(op, p); err != nil {
		return nil, err
	}
	return newPrepared(wire.Header{Fin: true, Opcode: op}, p), nil
}

// PrepareSingle is Prepare of a message that one endpoint sends, once: it is
// compressed when it is sent, and may refer to the messages before it. A
// message that is dropped instead has no effect on later ones.
func PrepareSingle(op wire.Opcode, p []byte) (*Prepared, error) {
	m, err := Prepare(op, p)
	if err == nil {
		m.single = true
	}
	return m, err
}

// PrepareUncompressed is Prepare of a message that is not compressed; see
// Endpoint.SendUncompressed.
func PrepareUncompressed(op wire.Opcode, p []byte) (*Prepared, error) {
	m, err := Prepare(op, p)
	if err == nil {
		m.compressed.Store(new(Prepared))
	}
	return m, err
}

func newPrepared(h wire.Header, p []byte) *Prepared {
	return &Prepared{frame: wire.AppendFrame(make([]byte, 0, wire.MaxHeaderSize+len(p)), h, p), payload: len(p)}
}

// Size returns the size of the message on the wire without compression, in
// bytes.
func (m *Prepared) Size() int { return len(m.frame) }

// SendPrepared sends m; see Send. It is for servers: a client masks each frame
// with another key.
func (e *Endpoint) SendPrepared(m *Prepared) error {
	s := &e.sender
	s.lockForMessage(m.payload)
	defer s.unlock()
	if err := s.sendErr(); err != nil {
		return e.closeCause(err)
	}
	return e.closeCause(s.writePrepared(m, e.config()))
}

// TrySendPrepared is SendPrepared that does not wait. It returns false, and
// does not send m, if another goroutine is sending, a message is being sent in
// fragments, or Backpressure has no room for all of m. It returns true if m is
// sent or the connection cannot send any more.
func (e *Endpoint) TrySendPrepared(m *Prepared) bool {
	s := &e.sender
	if !s.mu.TryLock() {
		return false
	}
	defer s.unlock()
	if s.endState() != open {
		return true
	}
	if s.position != betweenMessages {
		return false
	}
	if b := s.blocking(); b != nil && b.Space(m.Size()) < m.Size() {
		return false
	}
	_ = s.writePrepared(m, e.config()) // the next call returns the error
	return true
}

// writePrepared writes m, compressed if it is large enough. The caller holds
// mu.
func (s *sender) writePrepared(m *Prepared, cfg *SharedConfig) error {
	if m.payload >= cfg.threshold {
		if form := cfg.compression.(preparedCompression).form(s, m); form != nil {
			m = form
		}
	}
	head, p := m.frame[:len(m.frame)-m.payload], m.frame[len(m.frame)-m.payload:]
	if m.payload > cfg.maxFrame {
		h, _, _ := wire.ParseHeader(m.frame[:1])
		return s.writeData(h, p, cfg.maxFrame)
	}
	if k := s.cork.Load(); k != nil {
		return (*k).(*Cork).collectPrepared(s, m)
	}
	if s.counters != nil {
		s.countSent(m.frame[0], m.payload)
	}
	if b := s.blocking(); b != nil {
		return b.writeFrame(s, head, p)
	}
	if s.vectored {
		return s.noteWrite(s.w.(VectorWriter).Writev(nil, m.frame))
	}
	return s.write(m.frame)
}
