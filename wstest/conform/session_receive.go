package conform

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// assembly is a message in fragments.
type assembly struct {
	begun      bool
	binary     bool
	compressed bool
	payload    []byte
}

// receiveOctets handles octets of the peer.
func (s *session) receiveOctets(p []byte) {
	s.log.received(s.at(), p)
	reported := s.reader.partial() && s.reader.broken != nil // of a frame that began in an earlier chunk
	for len(p) > 0 {
		rest, complete, err := s.reader.read(p)
		p = rest
		if complete {
			s.logRxFrame(s.reader.info, s.reader.payload)
		}
		if broken := s.reader.broken; broken != nil && !reported && (complete || s.reader.partial()) {
			s.violated(1002, "%v", broken)
		}
		if err != nil {
			s.violated(1002, "%v", err)
			s.drop("the octets that follow cannot be read as frames")
			return
		}
		if complete && s.reader.broken == nil {
			s.frame(s.reader.info, s.reader.payload)
		}
		reported = false
	}
}

// frame handles a frame with a legal header. payload is valid during the call.
func (s *session) frame(f FrameInfo, payload []byte) {
	switch f.Opcode {
	case opClose:
		s.receiveClose(payload)
	case opPing:
		s.pong(payload)
	case opPong:
		s.receive(Event{Kind: EventPong, Payload: bytes.Clone(payload), Size: len(payload)})
	default:
		s.fragment(f, payload)
	}
}

// checkHeader returns the rule of RFC 6455, Section 5, that a header of the
// peer breaks. length is the length field of 7 bits.
func (s *session) checkHeader(f FrameInfo, length int) error {
	compressed := f.RSV == 4 && s.deflate != nil && (f.Opcode == opText || f.Opcode == opBinary)
	switch {
	case f.Masked && s.role == Client:
		return fmt.Errorf("a server masked a frame (RFC 6455, 5.1)")
	case !f.Masked && s.role == Server:
		return fmt.Errorf("a client did not mask a frame (RFC 6455, 5.1)")
	case f.RSV != 0 && !compressed:
		return fmt.Errorf("a frame with opcode %d has reserved bits set: %03b (RFC 6455, 5.2)", f.Opcode, f.RSV)
	case f.Opcode > opPong || f.Opcode > opBinary && f.Opcode < opClose:
		return fmt.Errorf("a frame has the reserved opcode %d (RFC 6455, 5.2)", f.Opcode)
	case f.Opcode >= opClose && !f.Fin:
		return fmt.Errorf("a control frame is fragmented (RFC 6455, 5.5)")
	case f.Opcode >= opClose && length > 125:
		return fmt.Errorf("a control frame has more than 125 bytes of payload (RFC 6455, 5.5)")
	case s.remote != nil && f.Opcode < opClose:
		return fmt.Errorf("a data frame follows the Close (RFC 6455, 5.5.1)")
	case f.Opcode == opContinuation && !s.message.begun:
		return fmt.Errorf("a continuation frame continues no message (RFC 6455, 5.4)")
	case (f.Opcode == opText || f.Opcode == opBinary) && s.message.begun:
		return fmt.Errorf("a message begins inside of another (RFC 6455, 5.4)")
	}
	return nil
}

// fragment handles a data frame.
func (s *session) fragment(f FrameInfo, payload []byte) {
	m := &s.message
	if f.Opcode != opContinuation {
		*m = assembly{begun: true, binary: f.Opcode == opBinary, compressed: f.RSV == 4, payload: m.payload[:0]}
	}
	if len(m.payload)+len(payload) > maxMessage {
		s.violated(1009, "a message has more than %d bytes, and the judge has sent none of more than %d", maxMessage, maxMessage/2)
		s.drop("the message has no end")
		return
	}
	data := payload // of a message in one frame, which needs no copy
	if len(m.payload) > 0 || !f.Fin {
		m.payload = append(m.payload, payload...)
		data = m.payload
	}
	if !f.Fin {
		return
	}
	m.begun = false
	if m.compressed {
		var err error
		if data, err = s.deflate.inflate(data); err != nil {
			s.violated(1007, "a compressed message cannot be inflated (RFC 7692, 7.2.2): %v", err)
			return
		}
	}
	if !m.binary && !utf8.Valid(data) {
		s.violated(1007, "a text message is not UTF-8 (RFC 6455, 8.1): %.64q", data)
		return
	}
	if s.failedByMe {
		return
	}
	if s.onMessage != nil {
		s.onMessage(m.binary, data)
		return
	}
	s.receive(Event{Kind: EventMessage, Binary: m.binary, Payload: bytes.Clone(data), Size: len(data)})
}

// Bounds of the events of a session. No case expects more than a dozen, of some
// 256 KiB.
const (
	maxEvents = 1000
	maxEvent  = 8 << 20 // octets of payload, of all events; beyond it an event keeps the first octets
)

// receive records an event, and closes after the last event that the case
// expects.
func (s *session) receive(e Event) {
	switch {
	case len(s.received) == maxEvents:
		return
	case s.kept > maxEvent:
		e.Payload = bytes.Clone(e.Payload[:min(len(e.Payload), maxKept)])
	}
	s.kept += len(e.Payload)
	s.received = append(s.received, e)
	if s.c != nil && s.c.closesByItself() && sameEvents(s.received, s.c.Expected[0].Events) {
		s.sendClose(closePayload(1000, ""))
	}
}

// violated fails the connection with code, because the peer broke a rule.
func (s *session) violated(code int, format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	s.breach(why)
	s.fail(code, cutText(why, 100))
}

// breach records that the peer broke a rule.
func (s *session) breach(why string) {
	s.note(LogNote, "the peer broke a rule: %s", why)
	if s.broken == "" {
		s.broken = why
	}
}
