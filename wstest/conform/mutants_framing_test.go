package conform

import (
	"encoding/binary"
	"time"
)

// tolerates returns faults that accept frames that break rule, if which is nil or returns true.
func tolerates(rule testeeRule, which func(f *testeeFrame) bool) testeeFaults {
	return testeeFaults{lenient: func(broken testeeRule, f *testeeFrame) bool {
		return broken == rule && (which == nil || which(f))
	}}
}

// changesData returns faults that change the data frames that are sent.
func changesData(change func(f *testeeFrame)) testeeFaults {
	return testeeFaults{sending: func(_ *testeeSession, f *testeeFrame) []*testeeFrame {
		if !f.control() {
			changed := *f
			change(&changed)
			f = &changed
		}
		return []*testeeFrame{f}
	}}
}

func truncatesAt(n int) testeeFaults {
	return changesData(func(f *testeeFrame) { f.payload = f.payload[:min(len(f.payload), n)] })
}

// framingMutants break RFC 6455, Sections 5.1 to 5.4 and 5.6.
//
// A peer that is killed, that is, whose connection the judge fails with 1001 as nothing right has come, rightly answers with
// 1001; as the suite has no other code than 1000 for a good end, that counts as WRONG CODE.
var framingMutants = []mutant{
	{name: "RSV1 is ignored",
		faults: tolerates(testeeRuleRSV, func(f *testeeFrame) bool { return f.rsv == 4 }), caught: caughtBy("3.4", Failed, Failed)}, // the only case in which RSV1 is alone
	{name: "RSV2 is ignored",
		faults: tolerates(testeeRuleRSV, func(f *testeeFrame) bool { return f.rsv == 2 }), caught: caughtBy("3.2", Failed, Failed)},
	{name: "RSV3 is ignored",
		faults: tolerates(testeeRuleRSV, func(f *testeeFrame) bool { return f.rsv == 1 }), caught: caughtBy("3.1", Failed, Failed)},
	{name: "all reserved bits are ignored", faults: tolerates(testeeRuleRSV, nil), caught: []catch{
		// In 3.7 the frame is a Close, and its answer looks like that of a peer that fails the connection.
		{cases: "3.*", except: "3.7", behavior: Failed, close: Failed},
	}},
	{name: "reserved opcodes of data frames are ignored",
		faults: tolerates(testeeRuleOpcode, func(f *testeeFrame) bool { return !f.control() }), caught: []catch{
			{cases: "4.1.1 4.1.2", close: Failed}, // nothing but that frame is sent, so that no event tells
			{cases: "4.1.3 4.1.4 4.1.5", behavior: Failed, close: Failed},
		}},
	{name: "reserved opcodes of control frames are ignored",
		faults: tolerates(testeeRuleOpcode, (*testeeFrame).control), caught: []catch{
			{cases: "4.2.1 4.2.2", close: Failed},
			{cases: "4.2.3 4.2.4 4.2.5", behavior: Failed, close: Failed},
		}},
	{name: "frames with a reserved opcode come back as binary messages", faults: testeeFaults{
		lenient: func(broken testeeRule, _ *testeeFrame) bool { return broken == testeeRuleOpcode },
		frame: func(s *testeeSession, f *testeeFrame) bool {
			if f.opcode != testeeCont && f.opcode > testeeBinary && f.opcode < testeeClose || f.opcode > testeePong {
				s.sendMessage(testeeBinary, f.payload)
			}
			return true
		},
	}, caught: caughtBy("4.*", Failed, Failed)},

	// As golang.org/x/net/websocket does.
	{name: "frames that break a rule come back as they are", faults: testeeFaults{
		lenient: func(broken testeeRule, f *testeeFrame) bool {
			return broken == testeeRuleRSV || broken == testeeRuleOpcode || broken == testeeRuleControlFin
		},
		frame: func(s *testeeSession, f *testeeFrame) bool {
			bad := f.rsv != 0 || f.control() && !f.fin || f.opcode > testeeBinary && f.opcode < testeeClose || f.opcode > testeePong
			if bad {
				s.send(&testeeFrame{fin: f.fin, rsv: f.rsv, opcode: f.opcode, payload: f.payload})
			}
			return !bad
		},
	}, caught: caughtBy("3.* 4.* 5.1 5.2", Failed, Failed)},

	{name: "five octets ff go in front of each message", faults: testeeFaults{encode: func(_ *testeeSession, f *testeeFrame) []byte {
		b := testeeEncode(f)
		if !f.control() {
			b = append([]byte("\xff\xff\xff\xff\xff"), b...)
		}
		return b
	}}, caught: []catch{
		{cases: echoOrKilled + " " + echoOrClosed, behavior: Failed, close: Unclean}, // the Close cannot be read, either
		{cases: echoThenFail, behavior: Failed, close: Failed},
	}},

	{name: "text comes back as binary", faults: testeeFaults{echo: func(s *testeeSession, _ byte, payload []byte) error {
		s.sendMessage(testeeBinary, payload)
		return nil
	}}, more: "9.1.1 9.2.1 9.7.1 9.8.1", caught: []catch{
		{cases: echoOrKilled, except: "1.2.*", behavior: Failed, close: WrongCode},
		{cases: echoOrClosed + " " + echoThenFail + " 9.1.1 9.7.1", behavior: Failed},
	}},
	{name: "binary comes back as text", faults: testeeFaults{echo: func(s *testeeSession, opcode byte, payload []byte) error {
		if opcode == testeeBinary {
			payload = make([]byte, len(payload)) // something that is UTF-8
		}
		s.sendMessage(testeeTextOp, payload)
		return nil
	}}, more: "9.1.1 9.2.1 9.7.1 9.8.1", caught: []catch{
		{cases: "1.2.*", behavior: Failed, close: WrongCode},
		{cases: "9.2.1 9.8.1", behavior: Failed},
	}},
	{name: "payloads are cut at 125 octets", faults: truncatesAt(125), more: "9.1.1 9.7.3 9.7.4", caught: []catch{
		{cases: "1.* 10.1.1", except: "1.*.1 1.*.2", behavior: Failed, close: WrongCode},
		{cases: "9.1.1 9.7.4", behavior: Failed},
	}},
	{name: "payloads are cut at 65535 octets", faults: truncatesAt(65535), more: "9.1.1 9.1.2 9.7.1", caught: []catch{
		{cases: "1.*.7 1.*.8 10.1.1", behavior: Failed, close: WrongCode},
		{cases: "9.1.*", behavior: Failed},
	}},
	{name: "payloads are cut at 65536 octets",
		faults: truncatesAt(65536), more: "9.1.1 9.1.2 9.2.1 9.2.2 9.5.6 9.6.6", caught: caughtBy("9.1.2 9.2.2 9.5.6 9.6.6", Failed, "")}, // no case of 1.* is that large
	{name: "one octet is wrong, in messages of more than 64 KiB", faults: changesData(func(f *testeeFrame) {
		if len(f.payload) > 65536 {
			f.payload = append([]byte(nil), f.payload...)
			f.payload[65536] ^= 1
		}
	}), more: "9.1.2 9.2.2 9.3.9", caught: caughtBy("9.1.2 9.2.2 9.3.9", Failed, "")}, // to the suite only the length matters there; the judge is stricter
	{name: "lengths from 126 to 65535 are written in 64 bits",
		faults: testeeFaults{encode: func(_ *testeeSession, f *testeeFrame) []byte {
			if n := len(f.payload); n > 125 {
				b := binary.BigEndian.AppendUint64([]byte{0x80 | f.opcode, 127}, uint64(n))
				return append(b, testeeMask(f, b)...)
			}
			return testeeEncode(f)
		}}, caught: caughtBy("1.*.3 1.*.4 1.*.5 1.*.6", Failed, WrongCode)}, // the answer to the judge's 1002
	{name: "lengths up to 125 are written in 16 bits",
		faults: testeeFaults{encode: func(_ *testeeSession, f *testeeFrame) []byte {
			if n := len(f.payload); n <= 125 && !f.control() {
				b := binary.BigEndian.AppendUint16([]byte{0x80 | f.opcode, 126}, uint16(n))
				return append(b, testeeMask(f, b)...)
			}
			return testeeEncode(f)
		}}, caught: []catch{
			{cases: echoOrKilled + " " + echoOrClosed, except: "1.*.3 1.*.4 1.*.5 1.*.6 1.*.7 1.*.8 10.1.1", behavior: Failed, close: WrongCode},
			{cases: echoThenFail, behavior: Failed, close: Failed}, // it is the judge that fails the connection first
		}},
	{name: "the octets of 16-bit lengths are swapped",
		faults: testeeFaults{encode: func(_ *testeeSession, f *testeeFrame) []byte {
			b := testeeEncode(f)
			if b[1]&0x7f == 126 {
				b[2], b[3] = b[3], b[2]
			}
			return b
		}}, caught: caughtBy("1.*.3 1.*.4 1.*.5", Failed, Unclean)}, // the Close vanishes in the payload; 65535 is the same both ways

	{name: "a last fragment that is empty is lost", faults: testeeFaults{frame: func(_ *testeeSession, f *testeeFrame) bool {
		return f.opcode != testeeCont || len(f.payload) > 0
	}}, more: "9.3.8 9.3.9 9.4.8 9.4.9", caught: caughtBy("6.1.2 6.1.3 6.2.3 6.2.4 9.3.8 9.4.8", Failed, "")},
	{name: "empty messages are dropped", faults: testeeFaults{echo: func(s *testeeSession, opcode byte, payload []byte) error {
		if len(payload) > 0 {
			s.sendMessage(opcode, payload)
		}
		return nil
	}}, more: "9.7.1 9.7.2", caught: []catch{
		{cases: "1.*.1", behavior: Failed, close: WrongCode},
		{cases: "6.1.1 6.1.2 9.7.1", behavior: Failed},
	}},
	{name: "each fragment comes back as a message", faults: testeeFaults{frame: func(s *testeeSession, f *testeeFrame) bool {
		if f.control() {
			return true
		}
		if s.opcode == testeeTextOp && f.fin && !s.checked.endMessage() {
			return true // for the right end of invalid UTF-8
		}
		s.sendMessage(s.opcode, f.payload)
		if f.fin {
			s.opcode = 0
		}
		return false
	}}, more: "9.3.8 9.3.9", caught: []catch{
		{cases: echoOrClosed, except: "6.1.1 6.2.1 6.2.3 6.2.4", behavior: Failed},
		{cases: "6.2.3 6.2.4", behavior: Failed, close: Unclean}, // half a code point is no text: the judge fails the connection, and at the other half, TCP
		{cases: "6.3.2 6.4.2", behavior: Failed, close: Failed},  // and here before the peer does
		{cases: "6.4.1", behavior: Failed},
		{cases: "5.15 5.18 7.1.5", behavior: Failed}, // here for the first fragment
		{cases: "10.1.1", behavior: Failed, close: WrongCode},
		{cases: "9.3.8", behavior: Failed},
	}},
	{name: "a continuation frame begins a message", faults: tolerates(testeeRuleNoMessage, nil), caught: []catch{
		// In 5.12 to 5.14 and 5.16 that message continues, and the next frame breaks another rule, as in 5.15.
		{cases: "5.9 5.10 5.11 5.17", behavior: Failed, close: Failed},
	}},
	{name: "a continuation frame outside of a message is ignored",
		faults: tolerates(testeeRuleNoMessage, func(f *testeeFrame) bool {
			f.opcode = 3 // which is ignored
			return true
		}), caught: caughtBy("5.9 5.10 5.11 5.12 5.13 5.14 5.15 5.16 5.17", Failed, Failed)},
	{name: "a message may begin inside another", faults: tolerates(testeeRuleInMessage, nil), caught: caughtBy("5.18", Failed, Failed)},
	{name: "a fragmented Ping or Pong passes", faults: tolerates(testeeRuleControlFin, nil), caught: []catch{
		// The second frame in both is an error of its own, which the peer does find. So no event tells of the Pong in 5.2.
		{cases: "5.1", behavior: Failed},
	}},
	{name: "messages go back in two fragments, the second with the opcode of the first", faults: testeeFaults{
		sending: func(s *testeeSession, f *testeeFrame) []*testeeFrame {
			if f.control() || len(f.payload) < 2 {
				return []*testeeFrame{f}
			}
			first, second := *f, *f
			first.fin = false
			first.payload, second.payload = f.payload[:1], f.payload[1:]
			return []*testeeFrame{&first, &second}
		},
	}, caught: []catch{
		{cases: echoOrKilled + " " + echoOrClosed, except: "1.*.1 6.1.1 6.1.2 6.7.1 6.9.1", behavior: Failed, close: WrongCode},
		{cases: echoThenFail, behavior: Failed, close: Failed},
	}},
	{name: "messages go back without an end", faults: changesData(func(f *testeeFrame) { f.fin = false }), caught: []catch{
		{cases: echoOrKilled, behavior: Failed, close: WrongCode},
		{cases: echoOrClosed, behavior: Failed},
		{cases: echoThenFail, behavior: NonStrict},
	}},
	{name: "messages come back twice", faults: testeeFaults{echo: func(s *testeeSession, opcode byte, payload []byte) error {
		s.sendMessage(opcode, payload)
		s.sendMessage(opcode, payload)
		return nil
	}}, more: "9.1.1 12.1.1", caught: caughtBy(allEchoes+" 9.1.1 12.1.1", Failed, "")}, // to the suite 9.1.1 is over with the first; the judge is stricter
	{name: "messages are dropped",
		faults: testeeFaults{echo: func(*testeeSession, byte, []byte) error { return nil }}, more: "9.1.1 9.2.1 9.7.1 12.1.1", caught: []catch{
			{cases: echoOrKilled, behavior: Failed, close: WrongCode},
			{cases: echoOrClosed + " 9.* 12.1.1", behavior: Failed},
			{cases: echoThenFail, behavior: NonStrict},
		}},
	{name: "messages take 2.9 s", faults: testeeFaults{echo: func(s *testeeSession, opcode byte, payload []byte) error {
		time.Sleep(2900 * time.Millisecond)
		s.sendMessage(opcode, payload)
		return nil
	}}, more: "9.1.1 9.7.1", rounds: echoRounds, caught: []catch{
		// Too late for the answer to the judge's Close too.
		{cases: echoOrKilled + " " + echoOrClosed, except: "1.*.6 1.*.7 1.*.8 10.1.1", behavior: Failed, close: Unclean},
		{cases: echoThenFail, behavior: NonStrict, close: Failed},
		{cases: "9.7.1", behavior: Failed},
	}},
	{name: "messages wait, and are lost if the connection is failed meanwhile",
		faults: testeeFaults{echo: func(s *testeeSession, opcode byte, payload []byte) error {
			time.AfterFunc(10*time.Millisecond, func() { s.sendMessage(opcode, payload) })
			return nil
		}}, caught: caughtBy(echoThenFail, NonStrict, "")},

	{name: "a server masks", role: Server, faults: testeeFaults{sending: func(_ *testeeSession, f *testeeFrame) []*testeeFrame {
		f.masked, f.key = true, [4]byte{1, 2, 3, 4}
		return []*testeeFrame{f}
	}}, caught: append(wrongMasking[:len(wrongMasking):len(wrongMasking)], catch{cases: badCloses, behavior: Failed, close: FailedByClient})},
	{name: "a client does not mask", role: Client,
		faults: testeeFaults{sending: func(_ *testeeSession, f *testeeFrame) []*testeeFrame {
			f.masked = false
			return []*testeeFrame{f}
		}}, caught: wrongMasking},
	{name: "a client masks binary messages with another key than it says", role: Client,
		faults: changesData(func(f *testeeFrame) {
			if f.opcode == testeeBinary {
				f.payload = append([]byte(nil), f.payload...)
				for i := range f.payload {
					f.payload[i] ^= 1
				}
			}
		}), caught: []catch{
			{cases: "1.2.*", except: "1.2.1", behavior: Failed, close: WrongCode},
		}},
}

// wrongMasking are the verdicts on a peer whose frames are all masked and should not be, or the other
// way round. The judge fails the connection at the first frame, and ends TCP at the second, which is
// the answer to the judge's Close. Its illegal Close in badCloses asks for no answer.
var wrongMasking = []catch{
	{cases: goodCloses, behavior: Failed, close: Unclean},
	{cases: badFrames + " " + echoThenFail + " " + badText, behavior: Failed, close: Failed},
	{cases: badCloses, behavior: Failed},
}
