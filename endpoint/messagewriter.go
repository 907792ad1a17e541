package endpoint

import (
	"sync"

	"github.com/fibersock/fibersock/wire"
)

// MessageWriter writes one message in fragments (RFC 6455, Section 5.4). As an
// io.WriteCloser it buffers up to 4 KiB and sends a fragment when the buffer
// is full; WriteFragment sends exactly one fragment, or several if it
// compresses more than 64 KiB or Config.MaxOutgoingFrame is smaller. A message
// needs the one or the other. From the first fragment to the last, other
// messages wait; control frames do not. It belongs to one goroutine at a time.
type MessageWriter struct {
	buf      *[]byte // of Write; nil as long as nothing is buffered
	e        *Endpoint
	opcode   wire.Opcode
	began    bool
	encoding encoding
	ended    error // of later calls: why the message is complete or abandoned; nil while it can be continued
	text     wire.UTF8
	check    func(size int) error // see SetCheck
	opened   func()               // see SetOpened
}

// encoding is how a MessageWriter sends its message.
type encoding uint8

const (
	undecided    encoding = iota // until the first fragment
	compressed                   // as Config.Compression says
	uncompressed                 // without compression
)

// NextWriter returns a writer of a message of type op, Text or Binary. Nothing
// is sent yet. The error is ErrNotData for another type.
func (e *Endpoint) NextWriter(op wire.Opcode) (*MessageWriter, error) {
	if !op.IsData() {
		return nil, ErrNotData
	}
	return &MessageWriter{e: e, opcode: op}, nil
}

// SetCheck makes f decide about each fragment before it is sent: size is its
// payload in bytes. An error of f is returned, and the fragment is not sent.
// SetCheck is for shells with limits of their own; it is called before the
// first fragment.
func (m *MessageWriter) SetCheck(f func(size int) error) { m.check = f }

// SetOpened makes f know when MessageOpen has become true with a fragment of m.
// f is called under the lock of sending: it must not send or wait. SetOpened is
// called before the first fragment.
func (m *MessageWriter) SetOpened(f func()) { m.opened = f }

// DisableCompression makes m send the message without compression; see
// Endpoint.SendUncompressed. It is called before the first fragment.
func (m *MessageWriter) DisableCompression() { m.encoding = uncompressed }

// Opcode returns the type of the message.
func (m *MessageWriter) Opcode() wire.Opcode { return m.opcode }

// Began reports whether a fragment has been sent.
func (m *MessageWriter) Began() bool { return m.began }

// Done reports whether the message is complete or cannot be continued.
func (m *MessageWriter) Done() bool { return m.ended != nil }

// WriteFragment sends p as the next fragment, and as the last one if final is
// set. p may be empty; it is neither changed nor retained. A fragment of a text
// may end inside a code point, the message may not: a fragment that is not
// UTF-8 is not sent, the error is wire.ErrInvalidUTF8, and the message can be
// continued. The first fragment waits like Endpoint.Send.
func (m *MessageWriter) WriteFragment(p []byte, final bool) error {
	if m.ended != nil {
		return m.ended
	}
	text := m.text
	if m.opcode == wire.Text && (text.Check(p) >= 0 || final && !text.Complete()) {
		return wire.ErrInvalidUTF8
	}
	if m.check != nil {
		if err := m.check(len(p)); err != nil {
			return err
		}
	}
	s := &m.e.sender
	h := wire.Header{Fin: final, Opcode: wire.Continuation}
	if m.began {
		s.mu.Lock()
		for b := s.blocking(); b != nil && b.awaitSpace(s, len(p)); {
		}
	} else {
		s.lockForMessage(len(p))
		h.Opcode = m.opcode
	}
	defer s.unlock()
	if err := s.sendErr(); err != nil {
		m.ended = m.e.closeCause(err)
		return m.ended
	}
	first := !m.began
	m.began, m.text = true, text
	if final {
		m.ended = ErrMessageFinished
	} else {
		s.ensureExt().messageOpen.Store(true)
		s.setPosition(insideMessage)
		if first && m.opened != nil {
			m.opened()
		}
	}
	cfg := m.e.config()
	if m.encoding == undecided {
		m.encoding = uncompressed
		if cfg.compression != nil && (!final || len(p) >= cfg.threshold) {
			m.encoding = compressed
		}
	}
	var err error
	if m.encoding == compressed {
		err = cfg.compression.writeFragment(s, cfg, m.opcode, p, first, final)
	} else {
		err = s.writeData(h, p, cfg.maxFrame)
	}
	if final {
		s.setPosition(betweenMessages)
		if ext := s.ext(); ext != nil {
			ext.messageOpen.Store(false)
		}
	}
	if err != nil {
		m.ended = m.e.closeCause(err)
		return m.ended
	}
	return nil
}

// MessageOpen reports whether a message is being sent in fragments: other
// messages wait for its end, for which there may be no other writer.
func (e *Endpoint) MessageOpen() bool {
	ext := e.sender.ext()
	return ext != nil && ext.messageOpen.Load()
}

// Abandon gives up a message that cannot be completed. If a fragment of it has
// been sent, the connection is closed with 1007. Later calls return
// ErrMessageAbandoned.
func (m *MessageWriter) Abandon() { m.abandon(ErrMessageAbandoned) }

// abandon is Abandon because of err, which later calls return.
func (m *MessageWriter) abandon(err error) {
	if m.ended != nil {
		return
	}
	if m.began {
		_ = m.e.Close(wire.InvalidFramePayloadData, "") // the connection may be closed already
	}
	m.ended = err
}

// fragmentSize is the size, in bytes, up to which Write buffers.
const fragmentSize = 4 << 10

var fragmentBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, fragmentSize)
	return &b
}}

// Write adds p to the message. p is neither changed nor kept. A Write of 4 KiB
// or more sends a fragment of its own. The error is that of Endpoint.Send.
// After an error the message is abandoned, see Abandon, and later calls return
// the same error.
func (m *MessageWriter) Write(p []byte) (int, error) {
	if m.ended != nil {
		return 0, m.ended
	}
	if m.buf == nil {
		m.buf = fragmentBuffers.Get().(*[]byte)
	}
	if len(*m.buf)+len(p) >= fragmentSize {
		if err := m.Flush(); err != nil {
			return 0, err
		}
	}
	if len(p) >= fragmentSize {
		if err := m.writeOrAbandon(p, false); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	*m.buf = append(*m.buf, p...)
	return len(p), nil
}

// Flush sends the buffered bytes, if there are any, as a fragment.
func (m *MessageWriter) Flush() error {
	if m.ended != nil {
		return m.ended
	}
	if m.buf == nil || len(*m.buf) == 0 {
		return nil
	}
	buffered := *m.buf
	*m.buf = buffered[:0]
	return m.writeOrAbandon(buffered, false)
}

// Close sends the last fragment, with the buffered bytes. The connection stays
// open. A text that ends inside a code point cannot be finished: the error is
// wire.ErrInvalidUTF8, and the message is abandoned.
func (m *MessageWriter) Close() error {
	if m.ended != nil {
		return m.ended
	}
	if m.buf == nil {
		return m.writeOrAbandon(nil, true)
	}
	err := m.writeOrAbandon(*m.buf, true)
	*m.buf = (*m.buf)[:0]
	fragmentBuffers.Put(m.buf)
	m.buf = nil
	return err
}

func (m *MessageWriter) writeOrAbandon(p []byte, final bool) error {
	err := m.WriteFragment(p, final)
	if err != nil {
		m.abandon(err)
	}
	return err
}
