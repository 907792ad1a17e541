package load

import (
	"fmt"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// incoming is the state of the incomplete frame and the incomplete message.
type incoming struct {
	head   []byte // of the header, until it is complete
	header wire.Header
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

func (in *incoming) begun() bool { return in.content || len(in.head) > 0 || in.message.begun }

func (in *incoming) control() bool { return in.header.Opcode.IsControl() }

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
	case len(in.head) > 0:
		return fmt.Sprintf(" after %d bytes of a frame's header", len(in.head))
	case in.message.begun:
		return fmt.Sprintf(" after %d payload bytes of a message whose last frame has not come", in.message.got)
	}
	return ""
}

// wanted is the reply that is due.
func (s *script) wanted() string {
	return fmt.Sprintf("a %v message of %d bytes", s.opcode, len(s.payload))
}

// wholeReplies consumes correct, uncompressed replies of one frame from the
// front of p and returns their length. frame handles everything else.
func (s *session) wholeReplies(p []byte) (used int, err error) {
	header, size := s.script.header, len(s.script.payload)
	if s.state != opened || s.joining || s.script.takeover || s.in.begun() {
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
		used, err := s.collectHeader(p)
		if err != nil || !in.content {
			return used, err
		}
		return used, s.advance(0, now)
	}
	p = p[:min(len(p), in.left)]
	if err := s.checkPayload(p); err != nil {
		return 0, err
	}
	return len(p), s.advance(len(p), now)
}

// collectHeader reads a header and begins its frame.
func (s *session) collectHeader(p []byte) (used int, err error) {
	in := &s.in
	for used < len(p) {
		in.head = append(in.head, p[used])
		used++
		h, n, err := wire.ParseHeader(in.head)
		if err != nil {
			return used, s.fault("a frame as RFC 6455, Section 5 has it", fmt.Sprintf("the header % x: %v", in.head, err))
		}
		if n > 0 {
			in.head, in.header, in.content = in.head[:0], h, true
			return used, s.checkHeader()
		}
	}
	return used, nil
}

// checkHeader judges a whole header and begins its frame (RFC 6455, Section
// 5.2).
func (s *session) checkHeader() error {
	h := s.in.header
	rsv := h.RSV
	if s.script.deflate && !s.in.message.begun && !h.Opcode.IsControl() {
		rsv &^= wire.RSV1
	}
	switch {
	case h.Masked:
		return s.fault("a frame that is not masked, as servers send them", fmt.Sprintf("a masked %v frame of %d bytes", h.Opcode, h.Length))
	case rsv != 0:
		return s.fault("RSV bits 0", fmt.Sprintf("RSV bits %03b in a %v frame of %d bytes", h.RSV>>4, h.Opcode, h.Length))
	case h.Opcode.IsControl():
		return s.beginControl()
	}
	return s.beginData()
}

func (s *session) beginControl() error {
	in := &s.in
	switch h := in.header; {
	case h.Opcode != wire.Close:
		return s.fault(s.awaited(), fmt.Sprintf("a %v frame of %d bytes", h.Opcode, h.Length))
	case h.Length == 1:
		return s.fault("a Close frame as RFC 6455, Section 5.5 has it", "1 byte")
	}
	in.length, in.left = int(in.header.Length), int(in.header.Length)
	in.collected = in.collected[:0]
	return nil
}

func (s *session) beginData() error {
	in, m, h := &s.in, &s.in.message, s.in.header
	frame := func() string { return fmt.Sprintf("a %v frame of %d bytes", h.Opcode, h.Length) }
	switch {
	case s.received == s.due:
		return s.fault(s.awaited(), frame()+": a reply that no message asked for")
	case m.begun && h.Opcode != wire.Continuation:
		return s.fault("a continuation frame", frame()+in.afterFragments())
	case !m.begun && h.Opcode != s.script.opcode:
		return s.fault(s.script.wanted(), frame())
	case !m.begun && s.script.takeover && h.RSV != wire.RSV1:
		return s.fault(s.script.wanted()+", compressed", frame()+" that is not compressed")
	}
	if !m.begun {
		m.begun, m.got = true, 0
		m.compressed = h.RSV == wire.RSV1
		m.verify = s.untilVerify == 0
		in.collected = in.collected[:0]
	}
	if most := int64(s.mostPayload() - m.got); h.Length > most || h.Fin && !m.compressed && h.Length < most {
		return s.fault(s.script.wanted(), fmt.Sprintf("a frame of %d bytes, FIN %t%s", h.Length, h.Fin, in.afterFragments()))
	}
	in.length, in.left = int(h.Length), int(h.Length)
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

// advance counts n bytes of the frame's payload and ends the frame, and the
// message, when they were the last.
func (s *session) advance(n int, now time.Duration) error {
	in, m := &s.in, &s.in.message
	in.left -= n
	if !in.control() {
		m.got += n
	}
	if in.left > 0 {
		return nil
	}
	in.content = false
	switch {
	case in.control():
		return s.receiveClose(now)
	case in.header.Fin:
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
	payload, err := s.run.inflater.inflate(s.in.collected, s.history(), size)
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

// history returns the text that a compressed reply may refer to: nothing
// without context takeover, else the end of the earlier replies, which were all
// compressed. It is valid until the next call.
func (s *session) history() []byte {
	if !s.script.takeover {
		return nil
	}
	f, size, n := &s.run.inflater, max(len(s.script.payload), 1), s.script.variants
	f.history = f.history[:0]
	for back := min(s.received, int64((maxWindow+size-1)/size)); back > 0; back-- {
		f.history = append(f.history, s.script.variant(int((s.received-back)%int64(n)))...)
	}
	return f.history[max(len(f.history)-maxWindow, 0):]
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
