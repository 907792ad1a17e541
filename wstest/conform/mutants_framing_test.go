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
		faults: tolerates(testeeRuleRSV, func(f *testeeFrame) bool { return f.rsv == 4 }), caught: []catch{
			bothFailed("3.4"), // the only case in which RSV1 is alone
		}},
	{name: "RSV2 is ignored",
		faults: tolerates(testeeRuleRSV, func(f *testeeFrame) bool { return f.rsv == 2 }), caught: []catch{bothFailed("3.2")}},
	{name: "RSV3 is ignored",
		faults: tolerates(testeeRuleRSV, func(f *testeeFrame) bool { return f.rsv == 1 }), caught: []catch{bothFailed("3.1")}},
	{name: "all reserved bits are ignored", faults: tolerates(testeeRuleRSV, nil), caught: []catch{
		// In 3.7 the frame is a Close, and its answer looks like that of a peer that fails the connection.
		{cases: "3.*", except: "3.7", behavior: Failed, close: Failed},
	}},
	{name: "reserved opcodes of data frames are ignored",
		faults: tolerates(testeeRuleOpcode, func(f *testeeFrame) bool { return !f.control() }), caught: []catch{
			{cases: "4.1.1 4.1.2", close: Failed}, // nothing but that frame is sent, so that no event tells
			bothFailed("4.1.3 4.1.4 4.1.5"),
		}},
	{name: "reserved opcodes of control frames are ignored",
		faults: tolerates(testeeRuleOpcode, (*testeeFrame).control),
		caught: []catch{{cases: "4.2.1 4.2.2", close: Failed}, bothFailed("4.2.3 4.2.4 4.2.5")}},
	{name: "frames with a reserved opcode come back as binary messages", faults: testeeFaults{
		lenient: func(broken testeeRule, _ *testeeFrame) bool { return broken == testeeRuleOpcode },
		frame: func(s *testeeSession, f *testeeFrame) bool {
			if f.opcode != testeeCont && f.opcode > testeeBinary && f.opcode < testeeClose || f.opcode > testeePong {
				s.sendMessage(testeeBinary, f.payload)
			}
			return true
		},
	}, caught: []catch{bothFailed("4.*")}},

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
	}, caught: []catch{bothFailed("3.* 4.* 5.1 5.2")}},

	{name: "five octets ff go in front of each message", faults: testeeFaults{encode: func(_ *testeeSession, f *testeeFrame) []byte {
		b := testeeEncode(f)
		if !f.control() {
			b = append([]byte("\xff\xff\xff\xff\xff"), b...)
		}
		return b
	}}, caught: []catch{
		failedUncleanly(echoOrKilled + " " + echoOrClosed), // the Close cannot be read, either
		bothFailed(echoThenFail),
	}},

	{name: "text comes back as binary", faults: echoes(func(s *testeeSession, _ byte, payload []byte) {
		s.sendMessage(testeeBinary, payload)
	}), more: "9.1.1 9.2.1 9.7.1 9.8.1",
		caught: []catch{{cases: echoOrKilled, except: "1.2.*", behavior: Failed, close: WrongCode}, misbehaved(echoOrClosed + " " + echoThenFail + " 9.1.1 9.7.1")}},
	{name: "binary comes back as text", faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
		if opcode == testeeBinary {
			payload = make([]byte, len(payload)) // something that is UTF-8
		}
		s.sendMessage(testeeTextOp, payload)
	}), more: "9.1.1 9.2.1 9.7.1 9.8.1", caught: []catch{miscoded("1.2.*"), misbehaved("9.2.1 9.8.1")}},
	{name: "payloads are cut at 125 octets", faults: truncatesAt(125), more: "9.1.1 9.7.3 9.7.4",
		caught: []catch{{cases: "1.* 10.1.1", except: "1.*.1 1.*.2", behavior: Failed, close: WrongCode}, misbehaved("9.1.1 9.7.4")}},
	{name: "payloads are cut at 65535 octets", faults: truncatesAt(65535), more: "9.1.1 9.1.2 9.7.1",
		caught: []catch{miscoded("1.*.7 1.*.8 10.1.1"), misbehaved("9.1.*")}},
	{name: "payloads are cut at 65536 octets",
		faults: truncatesAt(65536), more: "9.1.1 9.1.2 9.2.1 9.2.2 9.5.6 9.6.6", caught: []catch{
			misbehaved("9.1.2 9.2.2 9.5.6 9.6.6"), // no case of 1.* is that large
		}},
	{name: "one octet is wrong, in messages of more than 64 KiB", faults: changesData(func(f *testeeFrame) {
		if len(f.payload) > 65536 {
			f.payload = append([]byte(nil), f.payload...)
			f.payload[65536] ^= 1
		}
	}), more: "9.1.2 9.2.2 9.3.9", caught: []catch{
		misbehaved("9.1.2 9.2.2 9.3.9"), // to the suite only the length matters there; the judge is stricter
	}},
	{name: "lengths from 126 to 65535 are written in 64 bits",
		faults: testeeFaults{encode: func(_ *testeeSession, f *testeeFrame) []byte {
			if n := len(f.payload); n > 125 {
				b := binary.BigEndian.AppendUint64([]byte{0x80 | f.opcode, 127}, uint64(n))
				return append(b, testeeMask(f, b)...)
			}
			return testeeEncode(f)
		}}, caught: []catch{
			miscoded("1.*.3 1.*.4 1.*.5 1.*.6"), // the answer to the judge's 1002
		}},
	{name: "lengths up to 125 are written in 16 bits",
		faults: testeeFaults{encode: func(_ *testeeSession, f *testeeFrame) []byte {
			if n := len(f.payload); n <= 125 && !f.control() {
				b := binary.BigEndian.AppendUint16([]byte{0x80 | f.opcode, 126}, uint16(n))
				return append(b, testeeMask(f, b)...)
			}
			return testeeEncode(f)
		}}, caught: []catch{
			{cases: echoOrKilled + " " + echoOrClosed, except: "1.*.3 1.*.4 1.*.5 1.*.6 1.*.7 1.*.8 10.1.1", behavior: Failed, close: WrongCode},
			bothFailed(echoThenFail), // it is the judge that fails the connection first
		}},
	{name: "the octets of 16-bit lengths are swapped",
		faults: testeeFaults{encode: func(_ *testeeSession, f *testeeFrame) []byte {
			b := testeeEncode(f)
			if b[1]&0x7f == 126 {
				b[2], b[3] = b[3], b[2]
			}
			return b
		}}, caught: []catch{
			failedUncleanly("1.*.3 1.*.4 1.*.5"), // the Close vanishes in the payload; 65535 is the same both ways
		}},

	{name: "a last fragment that is empty is lost", faults: testeeFaults{frame: func(_ *testeeSession, f *testeeFrame) bool {
		return f.opcode != testeeCont || len(f.payload) > 0
	}}, more: "9.3.8 9.3.9 9.4.8 9.4.9", caught: []catch{misbehaved("6.1.2 6.1.3 6.2.3 6.2.4 9.3.8 9.4.8")}},
	{name: "empty messages are dropped", faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
		if len(payload) > 0 {
			s.sendMessage(opcode, payload)
		}
	}), more: "9.7.1 9.7.2", caught: []catch{miscoded("1.*.1"), misbehaved("6.1.1 6.1.2 9.7.1")}},
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
		failedUncleanly("6.2.3 6.2.4"), // half a code point is no text: the judge fails the connection, and at the other half, TCP
		bothFailed("6.3.2 6.4.2"),      // and here before the peer does
		misbehaved("6.4.1"),
		misbehaved("5.15 5.18 7.1.5"), // here for the first fragment
		miscoded("10.1.1"),
		misbehaved("9.3.8"),
	}},
	{name: "a continuation frame begins a message", faults: tolerates(testeeRuleNoMessage, nil), caught: []catch{
		// In 5.12 to 5.14 and 5.16 that message continues, and the next frame breaks another rule, as in 5.15.
		bothFailed("5.9 5.10 5.11 5.17"),
	}},
	{name: "a continuation frame outside of a message is ignored",
		faults: tolerates(testeeRuleNoMessage, func(f *testeeFrame) bool {
			f.opcode = 3 // which is ignored
			return true
		}), caught: []catch{bothFailed("5.9 5.10 5.11 5.12 5.13 5.14 5.15 5.16 5.17")}},
	{name: "a message may begin inside another", faults: tolerates(testeeRuleInMessage, nil), caught: []catch{bothFailed("5.18")}},
	{name: "a fragmented Ping or Pong passes", faults: tolerates(testeeRuleControlFin, nil), caught: []catch{
		// The second frame in both is an error of its own, which the peer does find. So no event tells of the Pong in 5.2.
		misbehaved("5.1"),
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
	},
		caught: []catch{{cases: echoOrKilled + " " + echoOrClosed, except: "1.*.1 6.1.1 6.1.2 6.7.1 6.9.1", behavior: Failed, close: WrongCode}, bothFailed(echoThenFail)}},
	{name: "messages go back without an end", faults: changesData(func(f *testeeFrame) { f.fin = false }),
		caught: []catch{miscoded(echoOrKilled), misbehaved(echoOrClosed), {cases: echoThenFail, behavior: NonStrict}}},
	{name: "messages come back twice", faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
		s.sendMessage(opcode, payload)
		s.sendMessage(opcode, payload)
	}), more: "9.1.1 12.1.1", caught: []catch{
		misbehaved(allEchoes + " 9.1.1 12.1.1"), // to the suite 9.1.1 is over with the first; the judge is stricter
	}},
	{name: "messages are dropped",
		faults: testeeFaults{echo: func(*testeeSession, byte, []byte) error { return nil }}, more: "9.1.1 9.2.1 9.7.1 12.1.1",
		caught: []catch{miscoded(echoOrKilled), misbehaved(echoOrClosed + " 9.* 12.1.1"), {cases: echoThenFail, behavior: NonStrict}}},
	{name: "messages take 2.9 s", faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
		time.Sleep(2900 * time.Millisecond)
		s.sendMessage(opcode, payload)
	}), more: "9.1.1 9.7.1", rounds: echoRounds, caught: []catch{
		// Too late for the answer to the judge's Close too.
		{cases: echoOrKilled + " " + echoOrClosed, except: "1.*.6 1.*.7 1.*.8 10.1.1", behavior: Failed, close: Unclean},
		{cases: echoThenFail, behavior: NonStrict, close: Failed},
		misbehaved("9.7.1"),
	}},
	{name: "messages wait, and are lost if the connection is failed meanwhile",
		faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
			time.AfterFunc(10*time.Millisecond, func() { s.sendMessage(opcode, payload) })
		}), caught: []catch{{cases: echoThenFail, behavior: NonStrict}}},

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
		}), caught: []catch{{cases: "1.2.*", except: "1.2.1", behavior: Failed, close: WrongCode}}},
}

// wrongMasking are the verdicts on a peer whose frames are all masked and should not be, or the other
// way round. The judge fails the connection at the first frame, and ends TCP at the second, which is
// the answer to the judge's Close. Its illegal Close in badCloses asks for no answer.
var wrongMasking = []catch{
	{cases: goodCloses, behavior: Failed, close: Unclean},
	{cases: badFrames + " " + echoThenFail + " " + badText, behavior: Failed, close: Failed},
	{cases: badCloses, behavior: Failed},
}
