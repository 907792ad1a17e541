package conform

import "bytes"

// A codePoints is a set of code points, as ranges that include both ends.
type codePoints [][2]uint32

func (c codePoints) overlaps(low, high uint32) bool {
	for _, r := range c {
		if low <= r[1] && r[0] <= high {
			return true
		}
	}
	return false
}

// An encoding says which code points may be encoded in how many octets. With utf8Encoding it is UTF-8 (RFC 3629),
// with something else a mistaken kind.
type encoding map[int]codePoints

func utf8Encoding() encoding {
	return encoding{
		1: {{0, 0x7f}},
		2: {{0x80, 0x7ff}},
		3: {{0x800, 0xd7ff}, {0xe000, 0xffff}},
		4: {{0x10000, 0x10ffff}},
	}
}

// tableText checks text against an encoding, octet by octet. It has nothing in common with testeeUTF8.
type tableText struct {
	allowed encoding
	bits    uint32 // of the code point under way
	missing int    // how many of its octets
	length  int    // how many there are in all
}

func (x *tableText) feed(p []byte) bool {
	for _, c := range p {
		switch {
		case x.missing > 0 && c>>6 != 0b10:
			return false
		case x.missing > 0:
			x.bits = x.bits<<6 | uint32(c&0x3f)
			x.missing--
		case c>>7 == 0:
			x.bits, x.length = uint32(c), 1
		default:
			x.length = 0
			for bit := byte(0x80); c&bit != 0; bit >>= 1 {
				x.length++
			}
			if x.length == 1 || x.length > 6 {
				return false
			}
			x.bits, x.missing = uint32(c)&(1<<(7-x.length)-1), x.length-1
		}
		low := x.bits << (6 * x.missing)
		if !x.allowed[x.length].overlaps(low, low|(1<<(6*x.missing)-1)) {
			return false
		}
	}
	return true
}

func (x *tableText) endFrame() bool   { return true }
func (x *tableText) endMessage() bool { return x.missing == 0 }

// mistakes returns faults with a check of UTF-8 that change modifies.
func mistakes(change func(encoding)) testeeFaults {
	return testeeFaults{text: func() testeeText {
		e := utf8Encoding()
		change(e)
		return &tableText{allowed: e}
	}}
}

// laterText is a delayed check: received text waits until the end of a frame, or
// of the message.
type laterText struct {
	testeeUTF8
	eachFrame bool
	waiting   bytes.Buffer
}

func (x *laterText) feed(p []byte) bool {
	x.waiting.Write(p)
	return true
}

func (x *laterText) endFrame() bool {
	return !x.eachFrame || x.testeeUTF8.feed(x.waiting.Next(x.waiting.Len()))
}

func (x *laterText) endMessage() bool {
	return x.testeeUTF8.feed(x.waiting.Bytes()) && x.testeeUTF8.endMessage()
}

// slowText is a check that looks at code points when all octets are there that their first one announces.
type slowText struct {
	testeeUTF8
	waiting []byte
}

func (x *slowText) feed(p []byte) bool {
	x.waiting = append(x.waiting, p...)
	for len(x.waiting) > 0 {
		size := 1
		switch c := x.waiting[0]; {
		case c >= 0xf0:
			size = 4
		case c >= 0xe0:
			size = 3
		case c >= 0xc0:
			size = 2
		}
		if len(x.waiting) < size {
			return true
		}
		if !x.testeeUTF8.feed(x.waiting[:size]) || !x.testeeUTF8.endMessage() {
			return false
		}
		x.waiting = x.waiting[size:]
	}
	return true
}

func (x *slowText) endMessage() bool { return len(x.waiting) == 0 }

// wholeFrames is a check that wants each frame to be text.
type wholeFrames struct{ testeeUTF8 }

func (x *wholeFrames) endFrame() bool { return x.endMessage() }

// openEnd is a check to which a message may end anywhere.
type openEnd struct{ testeeUTF8 }

func (*openEnd) endMessage() bool { return true }

// noText is no check.
type noText struct{}

func (noText) feed([]byte) bool { return true }
func (noText) endFrame() bool   { return true }
func (noText) endMessage() bool { return true }

func checksText[T testeeText](newText func() T) testeeFaults {
	return testeeFaults{text: func() testeeText { return newText() }}
}

// nonCharacters are those at the end of each plane, and U+FDD0 to U+FDEF.
func withoutNonCharacters(e encoding) {
	e[3] = codePoints{{0x800, 0xd7ff}, {0xe000, 0xfdcf}, {0xfdf0, 0xfffd}}
	e[4] = nil
	for plane := uint32(1); plane <= 16; plane++ {
		e[4] = append(e[4], [2]uint32{plane << 16, plane<<16 | 0xfffd})
	}
}

// textMutants break RFC 6455, Section 8.1, and RFC 3629.
var textMutants = []mutant{
	{name: "text is not checked", faults: checksText(func() noText { return noText{} }), caught: []catch{bothFailed(badText)}},
	{name: "what is not UTF-8 becomes U+FFFD", faults: testeeFaults{
		text: func() testeeText { return noText{} },
		echo: func(s *testeeSession, opcode byte, payload []byte) error {
			if opcode == testeeTextOp {
				payload = bytes.ToValidUTF8(payload, []byte("\uFFFD"))
			}
			s.sendMessage(opcode, payload)
			return nil
		},
	}, caught: []catch{bothFailed(badText)}},
	{name: "text is checked when its message has ended",
		faults: checksText(func() *laterText { return &laterText{} }), caught: []catch{{cases: "6.4.*", behavior: NonStrict}}},
	{name: "text is checked when its frame has ended",
		faults: checksText(func() *laterText { return &laterText{eachFrame: true} }),
		caught: []catch{{cases: "6.4.3 6.4.4", behavior: NonStrict}}},
	{name: "text is checked when its code point has ended",
		faults: checksText(func() *slowText { return &slowText{} }), caught: []catch{{cases: "6.4.2 6.4.4", behavior: NonStrict}}},
	{name: "a code point may not be in two frames",
		faults: checksText(func() *wholeFrames { return &wholeFrames{} }), caught: []catch{
			bothFailed("6.2.3 6.2.4"),
			misbehaved("6.4.2"), // too early: no octet was wrong yet
		}},
	{name: "a message may end inside of a code point",
		faults: checksText(func() *openEnd { return &openEnd{} }),
		caught: []catch{bothFailed("6.6.1 6.6.3 6.6.4 6.6.6 6.6.8 6.6.10 6.14.6 6.14.7")}},
	{name: "surrogates pass", faults: mistakes(func(e encoding) { e[3] = codePoints{{0x800, 0xffff}} }),
		caught: []catch{bothFailed("6.3.* 6.20.* 6.21.*")}},
	{name: "a low surrogate passes",
		faults: mistakes(func(e encoding) { e[3] = append(e[3], [2]uint32{0xdc00, 0xdfff}) }),
		caught: []catch{bothFailed("6.20.5 6.20.6 6.20.7")}},
	{name: "overlong forms pass", faults: mistakes(func(e encoding) {
		e[2], e[3][0][0], e[4][0][0] = codePoints{{0, 0x7ff}}, 0, 0
	}), caught: []catch{bothFailed("6.17.1 6.17.2 6.17.3 6.18.1 6.18.2 6.18.3 6.19.1 6.19.2 6.19.3")}},
	{name: "an overlong NUL passes",
		faults: mistakes(func(e encoding) { e[2] = codePoints{{0, 0}, {0x80, 0x7ff}} }), caught: []catch{bothFailed("6.19.1")}},
	{name: "forms of five and six octets pass", faults: mistakes(func(e encoding) {
		e[5], e[6] = codePoints{{0x200000, 0x3ffffff}}, codePoints{{0x4000000, 0x7fffffff}}
	}), caught: []catch{bothFailed("6.8.* 6.10.2 6.10.3")}},
	{name: "code points after U+10FFFF pass", faults: mistakes(func(e encoding) { e[4][0][1] = 0x1fffff }),
		caught: []catch{bothFailed("6.4.* 6.10.1 6.11.5")}},
	{name: "non-characters are refused", faults: mistakes(withoutNonCharacters),
		caught: []catch{bothFailed("6.9.3 6.9.4 6.11.4 6.22.* 6.23.6 6.23.7")}},
	{name: "U+FFFE is refused",
		faults: mistakes(func(e encoding) { e[3] = codePoints{{0x800, 0xd7ff}, {0xe000, 0xfffd}, {0xffff, 0xffff}} }),
		caught: []catch{bothFailed("6.22.1 6.23.6")}},
	{name: "U+FFFD is refused",
		faults: mistakes(func(e encoding) { e[3] = codePoints{{0x800, 0xd7ff}, {0xe000, 0xfffc}, {0xfffe, 0xffff}} }),
		caught: []catch{bothFailed("6.11.3 6.23.5")}},
	{name: "NUL is refused", faults: mistakes(func(e encoding) { e[1] = codePoints{{1, 0x7f}} }), caught: []catch{bothFailed("6.7.1")}},
	{name: "what is outside of the Basic Multilingual Plane is refused",
		faults: mistakes(func(e encoding) { delete(e, 4) }), caught: []catch{
			{cases: "6.5.4 6.7.4 6.9.4 6.11.4 6.22.*", except: "6.22.1 6.22.2", behavior: Failed, close: Failed},
			misbehaved("6.4.2 6.4.4"), // too early: F4 could still become something
		}},
	{name: "binary has to be UTF-8", faults: testeeFaults{echo: func(s *testeeSession, opcode byte, payload []byte) error {
		if text := new(testeeUTF8); opcode == testeeBinary && !text.feed(payload) {
			return testeeFailure(1007)
		}
		s.sendMessage(opcode, payload)
		return nil
	}}, caught: []catch{{cases: "1.2.*", except: "1.2.1", behavior: Failed, close: Failed}}},
	{name: "what is not UTF-8 is answered with 1002", faults: testeeFaults{failing: failsWith(1002)}, caught: []catch{
		onlyMiscoded(badText), // 7.5.1 has both codes
	}},
	{name: "what is not UTF-8 is dropped", faults: testeeFaults{
		text: func() testeeText { return noText{} },
		echo: func(s *testeeSession, opcode byte, payload []byte) error {
			if text := new(testeeUTF8); opcode == testeeTextOp && !(text.feed(payload) && text.endMessage()) {
				return nil
			}
			s.sendMessage(opcode, payload)
			return nil
		},
	}, caught: []catch{
		bothFailed(badText), // Behavior because of the wrong side
	}},
}
