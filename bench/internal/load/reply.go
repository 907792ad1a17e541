package load

import (
	"fmt"
	"time"
)

// incoming is the state of the incomplete frame and the incomplete message.
type incoming struct {
	header [maxHeader]byte
	have   int // bytes of header
	left   int // remaining payload bytes of the frame
	length int // payload bytes of the frame

	content bool // the header is complete, the payload not
	message struct {
		begun      bool // a first frame has arrived
		compressed bool // its RSV1 was set (RFC 7692, Section 6)
		verify     bool // it is compared byte by byte
		got        int  // received payload bytes
	}
	collected []byte // payload: of a compressed message that is verified, or of a Close
}

func (in *incoming) begun() bool { return in.have > 0 || in.message.begun }

func (in *incoming) opcode() byte { return in.header[0] & opcodeBits }

func (in *incoming) fin() bool { return in.header[0]&finBit != 0 }

func (in *incoming) control() bool { return in.opcode() >= opClose }

// minSkip is the least number of bytes for which dropping them in the kernel is
// worth a call.
const minSkip = 2 << 10

func (in *incoming) skippable(s *script) int {
	m := &in.message
	if !in.content || in.control() || m.verify || m.compressed || m.got <= s.stampAt || in.left < minSkip {
		return 0
	}
	return in.left
}

func (in *incoming) partial() string {
	switch {
	case in.content:
		return fmt.Sprintf(" after %d of the %d payload bytes of a frame", in.length-in.left, in.length)
	case in.have > 0:
		return fmt.Sprintf(" after %d bytes of a frame's header", in.have)
	case in.message.begun:
		return fmt.Sprintf(" after %d payload bytes of a message whose last frame has not come", in.message.got)
	}
	return ""
}

// wanted is the reply that is due.
func (s *script) wanted() string {
	return fmt.Sprintf("a %s message of %d bytes", opcodeName(s.opcode), len(s.payload))
}

// wholeReplies consumes correct, uncompressed replies of one frame from the
// front of p and returns their length. frame handles everything else.
func (s *session) wholeReplies(p []byte) (used int, err error) {
	header, size := s.script.header, len(s.script.payload)
	if s.state != opened || s.joining || s.in.begun() {
		return 0, nil
	}
	for {
		rest := p[used:]
		if len(rest) < len(header)+size || s.received == s.due || string(rest[:len(header)]) != string(header) {
			return used, nil
		}
		payload := rest[len(header) : len(header)+size]
		if at := s.script.stampAt; s.untilVerify == 0 || at >= 0 && payload[at] != stamps[s.variant] {
			if err := s.compare(payload, 0); err != nil {
				return used, err
			}
		}
		s.countReply()
		used += len(header) + size
	}
}

// frame consumes bytes of one frame from the front of p, at least one.
func (s *session) frame(p []byte, now time.Duration) (used int, err error) {
	in := &s.in
	if s.state == closed || s.state == ended {
		return 0, s.fault("the end of TCP after Close", fmt.Sprintf("%d more bytes: %s", len(p), quote(p)))
	}
	if !in.content {
		used, whole := s.collectHeader(p)
		if !whole {
			return used, nil
		}
		if err := s.checkHeader(); err != nil {
			return 0, err
		}
		in.content = true
		return used, s.advance(0, now)
	}
	p = p[:min(len(p), in.left)]
	if err := s.checkPayload(p); err != nil {
		return 0, err
	}
	return len(p), s.advance(len(p), now)
}

func (s *session) collectHeader(p []byte) (used int, whole bool) {
	in := &s.in
	for in.have < 2 || in.have < headerLength(in.header[:2]) {
		if used == len(p) {
			return used, false
		}
		in.header[in.have] = p[used]
		in.have++
		used++
	}
	return used, true
}

// checkHeader judges a whole header and begins its frame (RFC 6455, Section 5.2).
func (s *session) checkHeader() error {
	in := &s.in
	length, minimal := payloadLength(in.header[:in.have])
	rsv := in.header[0] & rsvBits
	if s.script.deflate && !in.message.begun && !in.control() {
		rsv &^= rsv1Bit
	}
	got := fmt.Sprintf
	name := opcodeName(in.opcode())
	switch {
	case in.header[1]&maskBit != 0:
		return s.fault("a frame that is not masked, as servers send them", got("a masked %s frame of %d bytes", name, length))
	case rsv != 0:
		return s.fault("RSV bits 0", got("RSV bits %03b in a %s frame of %d bytes", in.header[0]&rsvBits>>4, name, length))
	case !minimal:
		return s.fault("the payload length in as few bytes as it needs", got("%d in %d bytes", length, in.have-2))
	}
	if in.control() {
		return s.beginControl(length)
	}
	return s.beginData(length)
}

func (s *session) beginControl(length uint64) error {
	in := &s.in
	switch {
	case in.opcode() != opClose:
		return s.fault(s.awaited(), fmt.Sprintf("a %s frame of %d bytes", opcodeName(in.opcode()), length))
	case !in.fin() || length > maxControlPayload || length == 1:
		return s.fault("a Close frame as RFC 6455, Section 5.5 has it", fmt.Sprintf("FIN %t, %d bytes", in.fin(), length))
	}
	in.length, in.left = int(length), int(length)
	in.collected = in.collected[:0]
	return nil
}

func (s *session) beginData(length uint64) error {
	in, m := &s.in, &s.in.message
	frame := fmt.Sprintf
	switch {
	case s.received == s.due:
		return s.fault(s.awaited(), frame("a %s frame of %d bytes: a reply that no message asked for", opcodeName(in.opcode()), length))
	case m.begun && in.opcode() != opContinuation:
		return s.fault("a Continuation frame", frame("a %s frame of %d bytes%s", opcodeName(in.opcode()), length, in.afterFragments()))
	case !m.begun && in.opcode() != s.script.opcode:
		return s.fault(s.script.wanted(), frame("a %s frame of %d bytes", opcodeName(in.opcode()), length))
	}
	if !m.begun {
		m.begun, m.got = true, 0
		m.compressed = in.header[0]&rsv1Bit != 0
		m.verify = s.untilVerify == 0
		in.collected = in.collected[:0]
	}
	if most := s.mostPayload(); length > uint64(most-m.got) || in.fin() && !m.compressed && int(length) < most-m.got {
		return s.fault(s.script.wanted(), frame("a frame of %d bytes, FIN %t%s", length, in.fin(), in.afterFragments()))
	}
	in.length, in.left = int(length), int(length)
	return nil
}

// mostPayload is the limit of a reply's payload. Compression may lengthen it
// slightly.
func (s *session) mostPayload() int {
	size := len(s.script.payload)
	if s.in.message.compressed {
		return size + size/8 + 1024
	}
	return size
}

func (in *incoming) afterFragments() string {
	if in.message.got == 0 {
		return ""
	}
	return fmt.Sprintf(" after fragments of %d bytes", in.message.got)
}

// checkPayload judges the next bytes of a frame's payload.
func (s *session) checkPayload(p []byte) error {
	in, m := &s.in, &s.in.message
	switch {
	case in.control(), m.compressed && m.verify:
		in.collected = append(in.collected, p...)
		return nil
	case m.compressed:
		return nil
	}
	stamp := s.script.stampAt - m.got
	hasStamp := stamp >= 0 && stamp < len(p)
	if s.joining && hasStamp {
		s.join(p[stamp])
	}
	switch {
	case m.verify && !s.joining:
		return s.compare(p, m.got)
	case hasStamp:
		return s.compare(p[stamp:stamp+1], s.script.stampAt)
	}
	return nil
}

// compare returns a fault if p differs from the payload at offset at.
func (s *session) compare(p []byte, at int) error {
	place := s.script.differs(p, at, s.variant)
	if place < 0 {
		return nil
	}
	want, got := s.script.byteAt(place, s.variant), p[place-at]
	note := ""
	if place == s.script.stampAt {
		switch n := s.script.variants; got {
		case stamps[(s.variant+n-1)%n]:
			note = ", as in the reply before it: doubled or out of turn"
		case stamps[(s.variant+1)%n]:
			note = ", as in the reply after it: one is missing or out of turn"
		}
	}
	return s.fault(fmt.Sprintf("byte %d of %s to be %#02x", place, s.script.wanted(), want), fmt.Sprintf("%#02x%s", got, note))
}

// join assigns the stamp of a receiver's first message to the latest message
// with that stamp.
func (s *session) join(stamp byte) {
	n := int64(s.script.variants)
	for number := s.due - 1; number >= max(s.due-n, 0); number-- {
		if stamps[number%n] == stamp {
			s.received, s.variant, s.joining = number, int(number%n), false
			return
		}
	}
}

// advance counts n bytes of the frame's payload and ends the frame, and the message, when they were the last.
func (s *session) advance(n int, now time.Duration) error {
	in, m := &s.in, &s.in.message
	in.left -= n
	if !in.control() {
		m.got += n
	}
	if in.left > 0 {
		return nil
	}
	in.have, in.content = 0, false
	switch {
	case in.control():
		return s.receiveClose(now)
	case in.fin():
		return s.endMessage()
	}
	return nil
}

func (s *session) receiveClose(now time.Duration) error {
	if s.state != closing || s.in.message.begun {
		return s.fault(s.awaited(), closeText(s.in.collected))
	}
	s.state, s.since = closed, now
	return nil
}

func (s *session) endMessage() error {
	m := &s.in.message
	if m.compressed && m.verify {
		if err := s.compareInflated(); err != nil {
			return err
		}
	}
	m.begun = false
	s.countReply()
	return nil
}

func (s *session) compareInflated() error {
	size := len(s.script.payload)
	payload, err := s.run.inflater.inflate(s.in.collected, size)
	switch {
	case err != nil:
		f := s.fault(s.script.wanted()+", compressed", err.Error())
		f.Err = err
		return f
	case len(payload) != size:
		return s.fault(s.script.wanted()+", compressed", fmt.Sprintf("%d bytes or more after inflating", len(payload)))
	}
	return s.compare(payload, 0)
}

// countReply ends a right reply.
func (s *session) countReply() {
	if s.untilVerify == 0 {
		s.untilVerify = s.run.VerifyEvery
		s.run.result.Verified++
	}
	s.untilVerify--
	s.received++
	if s.variant++; s.variant == s.script.variants {
		s.variant = 0
	}
}
