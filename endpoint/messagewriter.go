package endpoint

import "github.com/fibersock/fibersock/wire"

// MessageWriter sends a message in fragments (RFC 6455, Section 5.4), one for
// each call of WriteFragment. From the first fragment to the last, other
// messages wait; control frames do not. It is for one goroutine at a time.
type MessageWriter struct {
	e      *Endpoint
	opcode wire.Opcode
	began  bool
	done   bool
	text   wire.UTF8
}

// NextWriter returns a writer of a message of type op, Text or Binary. Nothing
// is sent yet. The error is ErrNotData for another type.
func (e *Endpoint) NextWriter(op wire.Opcode) (*MessageWriter, error) {
	if !op.IsData() {
		return nil, ErrNotData
	}
	return &MessageWriter{e: e, opcode: op}, nil
}

// Opcode returns the type of the message.
func (m *MessageWriter) Opcode() wire.Opcode { return m.opcode }

// Began reports whether a fragment has been sent.
func (m *MessageWriter) Began() bool { return m.began }

// Done reports whether the message is complete or cannot be continued.
func (m *MessageWriter) Done() bool { return m.done }

// WriteFragment sends p as the next fragment, and as the last one if final is
// set. p may be empty; it is neither changed nor retained. A fragment of a text
// may end inside a code point, the message may not: a fragment that is not UTF-8
// is not sent, the error is wire.ErrInvalidUTF8, and the message can be
// continued. The first fragment waits like Endpoint.Send.
func (m *MessageWriter) WriteFragment(p []byte, final bool) error {
	if m.done {
		return ErrMessageFinished
	}
	text := m.text
	if m.opcode == wire.Text && (text.Check(p) >= 0 || final && !text.Complete()) {
		return wire.ErrInvalidUTF8
	}
	s := &m.e.sender
	h := wire.Header{Fin: final, Opcode: wire.Continuation}
	if m.began {
		s.mu.Lock()
		for s.mustWait(len(p)) {
			s.awaitRoom(len(p))
		}
	} else {
		s.lockForMessage(len(p))
		h.Opcode = m.opcode
	}
	defer s.unlock()
	if err := s.sendErr(); err != nil {
		m.done = true
		return m.e.closeCause(err)
	}
	m.began, m.done, m.text = true, final, text
	if !final {
		s.setPosition(insideMessage)
	}
	err := s.writeData(h, p, m.e.config().maxFrame)
	if final {
		s.setPosition(betweenMessages)
	}
	return m.e.closeCause(err)
}

// Abandon gives up a message that cannot be completed. If a fragment of it has
// been sent, the connection is closed with 1007.
func (m *MessageWriter) Abandon() {
	if m.began && !m.done {
		_ = m.e.Close(wire.InvalidFramePayloadData, "") // the connection may be closed already
	}
	m.done = true
}
