package conform

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"unicode/utf8"
)

const (
	testeeCont   = 0
	testeeTextOp = 1
	testeeBinary = 2
	testeeClose  = 8
	testeePing   = 9
	testeePong   = 10
)

// A testeeFrame is a frame as a testee handles it: whole, unmasked.
type testeeFrame struct {
	fin     bool
	rsv     byte // RSV1·4 + RSV2·2 + RSV3
	opcode  byte
	masked  bool
	key     [4]byte
	payload []byte
}

func (f *testeeFrame) control() bool { return f.opcode >= 8 }

// testeeRule is a rule of RFC 6455 that a peer can break.
type testeeRule string

const (
	testeeRuleRSV         testeeRule = "a reserved bit is 1, and no extension has given it a meaning (5.2)"
	testeeRuleOpcode      testeeRule = "the opcode is reserved (5.2)"
	testeeRuleMask        testeeRule = "a client masks, a server does not (5.1)"
	testeeRuleControlSize testeeRule = "a control frame has at most 125 octets of payload (5.5)"
	testeeRuleControlFin  testeeRule = "a control frame is not fragmented (5.5)"
	testeeRuleNoMessage   testeeRule = "a continuation frame continues a message (5.4)"
	testeeRuleInMessage   testeeRule = "within a fragmented message no other begins (5.4)"
	testeeRuleCloseSize   testeeRule = "the payload of a Close is empty or has a status code (5.5.1)"
	testeeRuleCloseCode   testeeRule = "the status code is one for the wire (7.4)"
	testeeRuleCloseText   testeeRule = "the reason of a Close is UTF-8 (5.5.1)"
)

// testeeTooBig is the payload length in octets from which on a testee gives up: 64 MiB.
const testeeTooBig = 64 << 20

// receive handles one frame.
func (s *testeeSession) receive() error {
	f, length, err := s.readHeader()
	if err != nil {
		return err
	}
	for _, broken := range s.brokenBy(f, length) {
		if s.lenient == nil || !s.lenient(broken, f) {
			return testeeFailure(1002)
		}
	}
	if length > testeeTooBig {
		return testeeFailure(1009)
	}
	if !f.control() {
		s.begin(f)
	}
	if err := s.readPayload(f, int(length)); err != nil {
		return err
	}
	if s.frame != nil && !s.frame(s, f) {
		return nil
	}
	switch f.opcode {
	case testeeCont, testeeTextOp, testeeBinary:
		return s.data(f)
	case testeePing:
		if s.ping != nil {
			return s.ping(s, f.payload)
		}
		s.sendPong(f.payload)
	case testeePong:
		if s.pong != nil {
			return s.pong(s, f.payload)
		}
	case testeeClose:
		return s.close(f)
	}
	return nil // a reserved opcode that passed
}

func (s *testeeSession) readHeader() (f *testeeFrame, length uint64, err error) {
	var head [8]byte
	if _, err := io.ReadFull(s.in, head[:2]); err != nil {
		return nil, 0, err
	}
	f = &testeeFrame{fin: head[0]&0x80 != 0, rsv: head[0] >> 4 & 7, opcode: head[0] & 15, masked: head[1]&0x80 != 0}
	length = uint64(head[1] & 0x7f)
	switch length {
	case 126:
		_, err = io.ReadFull(s.in, head[:2])
		length = uint64(binary.BigEndian.Uint16(head[:]))
	case 127:
		_, err = io.ReadFull(s.in, head[:8])
		length = binary.BigEndian.Uint64(head[:])
	}
	if f.masked && err == nil {
		_, err = io.ReadFull(s.in, f.key[:])
	}
	return f, length, err
}

// brokenBy returns the rules that the header of f breaks.
func (s *testeeSession) brokenBy(f *testeeFrame, length uint64) (broken []testeeRule) {
	rule := func(r testeeRule, isBroken bool) {
		if isBroken {
			broken = append(broken, r)
		}
	}
	compressed := s.comp != nil && f.rsv == 4 && (f.opcode == testeeTextOp || f.opcode == testeeBinary)
	rule(testeeRuleRSV, f.rsv != 0 && !compressed)
	rule(testeeRuleOpcode, f.opcode > testeeBinary && f.opcode < testeeClose || f.opcode > testeePong)
	rule(testeeRuleMask, f.masked == s.client)
	rule(testeeRuleControlSize, f.control() && length > 125)
	rule(testeeRuleControlFin, f.control() && !f.fin)
	rule(testeeRuleNoMessage, f.opcode == testeeCont && s.opcode == 0)
	rule(testeeRuleInMessage, (f.opcode == testeeTextOp || f.opcode == testeeBinary) && s.opcode != 0)
	return broken
}

// begin makes f's message that under way, if f is its first frame.
func (s *testeeSession) begin(f *testeeFrame) {
	switch {
	case f.opcode == testeeTextOp || f.opcode == testeeBinary:
		s.opcode = f.opcode
	case f.opcode == testeeCont && s.opcode == 0: // a mutant takes it for a message
		s.opcode = testeeTextOp
	default:
		return
	}
	s.compressed = s.comp != nil && f.rsv == 4
	s.message = nil
	s.checked = s.newText()
}

// readPayload reads the payload of f and, if it is text, checks it octet by octet as it arrives: RFC 6455, 8.1.
func (s *testeeSession) readPayload(f *testeeFrame, length int) error {
	f.payload = make([]byte, length)
	for at := 0; at < length; {
		n, err := s.in.Read(f.payload[at:])
		if err != nil {
			return err
		}
		piece := f.payload[at : at+n]
		if f.masked {
			for i := range piece {
				piece[i] ^= f.key[(at+i)%4]
			}
		}
		if s.readsText(f) && !s.checked.feed(piece) {
			return testeeFailure(1007)
		}
		at += n
	}
	if s.readsText(f) && !s.checked.endFrame() {
		return testeeFailure(1007)
	}
	return nil
}

func (s *testeeSession) readsText(f *testeeFrame) bool {
	return f.opcode <= testeeTextOp && s.opcode == testeeTextOp && !s.compressed
}

// data adds f to the message under way, and answers that if f is the last.
func (s *testeeSession) data(f *testeeFrame) error {
	if s.message == nil {
		s.message = f.payload
	} else {
		s.message = append(s.message, f.payload...)
	}
	if !f.fin {
		return nil
	}
	opcode, message := s.opcode, s.message
	s.opcode, s.message = 0, nil
	if s.compressed {
		var err error
		if message, err = s.comp.inflate(message); err != nil {
			return testeeFailure(1007)
		}
		if opcode == testeeTextOp && !s.checked.feed(message) {
			return testeeFailure(1007)
		}
	}
	if opcode == testeeTextOp && !s.checked.endMessage() {
		return testeeFailure(1007)
	}
	if s.echo != nil {
		return s.echo(s, opcode, message)
	}
	s.sendMessage(opcode, message)
	return nil
}

// close checks a Close and answers it with the same status code: RFC 6455, 5.5.1 and 7.4.
func (s *testeeSession) close(f *testeeFrame) error {
	p := f.payload
	breaks := func(r testeeRule) bool { return s.lenient == nil || !s.lenient(r, f) }
	switch {
	case len(p) == 0:
	case len(p) == 1:
		if breaks(testeeRuleCloseSize) {
			return testeeFailure(1002)
		}
	case !testeeValidCode(int(binary.BigEndian.Uint16(p))) && breaks(testeeRuleCloseCode):
		return testeeFailure(1002)
	case !utf8.Valid(p[2:]) && breaks(testeeRuleCloseText):
		return testeeFailure(1007)
	}
	if s.closing != nil {
		return s.closing(s, p)
	}
	s.send(&testeeFrame{fin: true, opcode: testeeClose, payload: p[:min(len(p), 2)]})
	return errTesteeClosed
}

func testeeValidCode(code int) bool {
	return code >= 1000 && code <= 1014 && !slices.Contains([]int{1004, 1005, 1006}, code) || code >= 3000 && code <= 4999
}

// sendMessage sends a message in one frame, compressed if that was agreed.
func (s *testeeSession) sendMessage(opcode byte, payload []byte) {
	f := &testeeFrame{fin: true, opcode: opcode, payload: payload}
	if s.comp != nil {
		f.rsv, f.payload = 4, s.comp.deflate(payload)
	}
	s.send(f)
}

func (s *testeeSession) sendPong(payload []byte) {
	s.send(&testeeFrame{fin: true, opcode: testeePong, payload: payload})
}

func (s *testeeSession) sendClose(code int, reason string) {
	s.send(&testeeFrame{fin: true, opcode: testeeClose, payload: append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)})
}

// send writes f, masked if a client sends it. That the write failed is found out by the next read.
func (s *testeeSession) send(f *testeeFrame) {
	if f.masked = s.client; f.masked {
		binary.BigEndian.PutUint32(f.key[:], rand.Uint32())
	}
	frames := []*testeeFrame{f}
	if s.sending != nil {
		frames = s.sending(s, f)
	}
	for _, f := range frames {
		if s.encode != nil {
			s.conn.Write(s.encode(s, f))
		} else {
			s.conn.Write(testeeEncode(f))
		}
	}
}

func testeeEncode(f *testeeFrame) []byte {
	b := []byte{f.rsv<<4 | f.opcode, 0}
	if f.fin {
		b[0] |= 0x80
	}
	switch n := len(f.payload); {
	case n <= 125:
		b[1] = byte(n)
	case n <= 65535:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return append(b, testeeMask(f, b)...)
}

// testeeMask returns the end of a frame after its length: the masking-key and the masked payload if f is masked,
// and notes that in head.
func testeeMask(f *testeeFrame, head []byte) []byte {
	if !f.masked {
		return f.payload
	}
	head[1] |= 0x80
	b := append(make([]byte, 0, len(f.key)+len(f.payload)), f.key[:]...)
	for i, c := range f.payload {
		b = append(b, c^f.key[i%4])
	}
	return b
}
