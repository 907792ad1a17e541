package endpoint

import "github.com/fibersock/fibersock/wire"

// MessageWriter is a message that is sent in fragments (RFC 6455, Section 5.4), one
// for each call of WriteFragment. From the first fragment to the last, other messages
// wait; control frames do not. It is not safe for concurrent use.
type MessageWriter struct {
	e      *Endpoint
	opcode wire.Opcode
	began  bool
	done   bool
	text   wire.UTF8
}

// NewMessage returns a message of type op, Text or Binary, that has not begun.
func (e *Endpoint) NextWriter(op wire.Opcode) (*MessageWriter, error) {
	if !op.IsData() {
		return nil, ErrNotData
	}
	return &MessageWriter{e: e, opcode: op}, nil
}

// Opcode returns the message's type.
func (m *MessageWriter) Opcode() wire.Opcode { return m.opcode }

// Began reports whether a fragment has been sent.
func (m *MessageWriter) Began() bool { return m.began }

// Done reports whether no fragment can follow.
func (m *MessageWriter) Done() bool { return m.done }

// WriteFragment sends p, which may be empty, as the next fragment, the last one if final
// is set. A fragment of a text may end inside a code point, the message may
// not. A fragment that is not UTF-8 is not sent, and the message is where it
// was. p is not changed and not kept.
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
	err := s.writeData(h, p, m.e.receiver.cfg.maxFrame)
	if final {
		s.setPosition(betweenMessages)
	}
	return m.e.closeCause(err)
}

// Abandon gives up a message that cannot be finished. If the peer has a part of
// it, there is no way to take that back: the connection is closed.
func (m *MessageWriter) Abandon() {
	if m.began && !m.done {
		// If it is closed already, that is what is wanted.
		_ = m.e.Close(wire.InvalidFramePayloadData, "")
	}
	m.done = true
}
