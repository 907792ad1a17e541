package conform

import (
	"encoding/binary"
	"io"
	"time"
)

// answersClose returns faults that answer a Close with the payload of answer.
func answersClose(answer func(payload []byte) []byte) testeeFaults {
	return testeeFaults{closing: func(s *testeeSession, payload []byte) error {
		s.send(&testeeFrame{fin: true, opcode: testeeClose, payload: answer(payload)})
		return errTesteeClosed
	}}
}

// toleratesCodes returns faults with illegal status codes that come back.
func toleratesCodes(low, high uint16) testeeFaults {
	return tolerates(testeeRuleCloseCode, func(f *testeeFrame) bool {
		code := binary.BigEndian.Uint16(f.payload)
		return low <= code && code <= high
	})
}

// toleratesClose returns faults with a Close that breaks rule but is answered with 1000.
func toleratesClose(rule testeeRule) testeeFaults {
	f := tolerates(rule, func(f *testeeFrame) bool { return f.opcode == testeeClose })
	f.closing = answersClose(func([]byte) []byte { return normalClose }).closing
	return f
}

var normalClose = []byte{0x03, 0xe8}

// goesOnAfterClose returns faults that delay the answer to a Close until the peer is silent for a moment. Meanwhile handles
// and the other faults apply to its frames.
func goesOnAfterClose(handles testeeFaults) testeeFaults {
	handles.closing = func(s *testeeSession, payload []byte) error {
		if s.held != nil {
			return nil // the second
		}
		s.held = [][]byte{payload}
		s.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		for s.receive() == nil {
		}
		s.send(&testeeFrame{fin: true, opcode: testeeClose, payload: payload[:min(len(payload), 2)]})
		return errTesteeClosed
	}
	return handles
}

func failsWith(code int) func(*testeeSession, int) {
	return func(s *testeeSession, _ int) { s.sendClose(code, "") }
}

// appendsToCloses returns faults with octets right behind each Close.
func appendsToCloses(octets string) testeeFaults {
	return testeeFaults{encode: func(_ *testeeSession, f *testeeFrame) []byte {
		b := testeeEncode(f)
		if f.opcode == testeeClose {
			b = append(b, octets...)
		}
		return b
	}}
}

// failedAfterClose are the verdicts on a peer with octets behind its Close that are found to be
// wrong as they come. The judge ends TCP, and where it is the client that is the server's part.
func failedAfterClose(role Role) []catch {
	caught := []catch{
		{cases: goodCloses, behavior: Failed, close: Unclean},
		{cases: badFrames + " " + echoThenFail + " " + badText + " " + badCloses, behavior: Failed},
	}
	if role == Server {
		caught[1].close = FailedByClient
	}
	return caught
}

// goodClosesOf7 are those of goodCloses in which a wrong status code makes Behavior Failed as well.
const goodClosesOf7 = "7.1.1 7.1.2 7.1.3 7.1.4 7.1.5 7.3.1 7.3.3 7.3.4 7.3.5 7.7.*"

// illegalAnswer has the verdicts on a peer that answers a good Close with an illegal one: a wrong code, even if it has no
// code.
var illegalAnswer = []catch{
	{cases: goodCloses, except: "7.*", close: WrongCode},
	{cases: goodClosesOf7, behavior: Failed, close: WrongCode},
}

// halfAfterClose are the verdicts on a peer with a part of a frame behind its Close. That it is no
// more is known at the end of TCP.
var halfAfterClose = []catch{
	{cases: goodCloses, behavior: Failed, close: Unclean},
	{cases: badFrames + " " + echoThenFail + " " + badText + " " + badCloses, behavior: Failed},
}

// closeMutants break RFC 6455, Sections 5.5.1 and 7.
var closeMutants = []mutant{
	{name: "status codes under 1000 come back", faults: toleratesCodes(0, 999), caught: []catch{miscoded("7.9.1 7.9.2")}},
	{name: "1004 comes back", faults: toleratesCodes(1004, 1004), caught: []catch{miscoded("7.9.3")}},
	{name: "1005 and 1006 come back", faults: toleratesCodes(1005, 1006), caught: []catch{miscoded("7.9.4 7.9.5")}},
	{name: "unassigned status codes come back", faults: toleratesCodes(1015, 2999),
		caught: []catch{miscoded("7.9.6 7.9.7 7.9.8 7.9.9")}},
	{name: "all status codes come back", faults: toleratesCodes(0, 65535), caught: []catch{
		miscoded("7.9.*"), // 7.13.* have no right and wrong
	}},
	{name: "status codes from 3000 on are refused", faults: testeeFaults{closing: func(s *testeeSession, payload []byte) error {
		if len(payload) >= 2 && binary.BigEndian.Uint16(payload) >= 3000 {
			return testeeFailure(1002)
		}
		s.send(&testeeFrame{fin: true, opcode: testeeClose, payload: payload[:min(len(payload), 2)]})
		return errTesteeClosed
	}}, caught: []catch{miscoded("7.7.10 7.7.11 7.7.12 7.7.13")}},
	{name: "a Close without a code is answered with 1005", faults: answersClose(func(payload []byte) []byte {
		if len(payload) == 0 {
			return []byte{0x03, 0xed}
		}
		return payload[:2]
	}), caught: []catch{miscoded("7.3.1")}},
	{name: "a Close with one octet passes", faults: toleratesClose(testeeRuleCloseSize), caught: []catch{miscoded("7.3.2")}},
	{name: "a Close with one octet comes back", faults: tolerates(testeeRuleCloseSize, nil), caught: []catch{miscoded("7.3.2")}},
	{name: "a Close with 126 octets passes", faults: toleratesClose(testeeRuleControlSize), caught: []catch{miscoded("7.3.6")}},
	{name: "the reason of a Close need not be UTF-8", faults: toleratesClose(testeeRuleCloseText),
		caught: []catch{miscoded("7.5.1")}},
	{name: "a Close with a reason is answered with 1002", faults: answersClose(func(payload []byte) []byte {
		if len(payload) > 2 {
			return []byte{0x03, 0xea}
		}
		return payload
	}), caught: []catch{
		miscoded("7.3.4 7.3.5"),
		// The judge's other Close with a reason is that after which nothing can be well any more.
	}},
	{name: "each Close is answered with 1001",
		faults: answersClose(func([]byte) []byte { return []byte{0x03, 0xe9} }), caught: []catch{
			{cases: goodCloses, except: "7.*", close: WrongCode},
			{cases: goodClosesOf7, except: "7.7.2", behavior: Failed, close: WrongCode}, // 7.7.2 has sent 1001
		}},
	{name: "each Close is answered with one octet",
		faults: answersClose(func([]byte) []byte { return []byte{3} }), caught: illegalAnswer},
	{name: "each Close is answered with a reason that is not UTF-8", faults: answersClose(func([]byte) []byte {
		return append(normalClose[:2:2], 0xff)
	}), caught: illegalAnswer},
	{name: "no Close is answered", faults: testeeFaults{closing: func(s *testeeSession, _ []byte) error {
		io.Copy(io.Discard, s.in)
		return io.EOF
	}}, caught: []catch{
		unclean(goodCloses), // an illegal Close is answered
	}},
	{name: "TCP is ended when a Close comes",
		faults: testeeFaults{closing: func(*testeeSession, []byte) error { return io.EOF }}, caught: []catch{unclean(goodCloses)}},
	{name: "Pings after a Close are answered",
		faults: goesOnAfterClose(echoes(func(s *testeeSession, opcode byte, payload []byte) {
			if s.held == nil {
				s.sendMessage(opcode, payload)
			}
		})), caught: []catch{misbehaved("7.1.3")}},
	{name: "messages after a Close are answered", faults: goesOnAfterClose(testeeFaults{
		ping: func(s *testeeSession, payload []byte) error {
			if s.held == nil {
				s.sendPong(payload)
			}
			return nil
		},
	}), caught: []catch{misbehaved("7.1.4 7.1.5")}},
	{name: "the connection is closed after a message",
		faults: testeeFaults{echo: func(s *testeeSession, opcode byte, payload []byte) error {
			s.sendMessage(opcode, payload)
			s.sendClose(1000, "")
			return errTesteeClosed
		}}, more: "9.1.1 9.7.1", caught: []catch{
			// The judge's Close is on its way when the peer's comes, and was the first; in the cases with a failure
			// to come the code is wrong.
			onlyMiscoded(echoThenFail),
			bothFailed("9.7.1"),
		}},
	{name: "TCP is ended after a message",
		faults: testeeFaults{echo: func(s *testeeSession, opcode byte, payload []byte) error {
			s.sendMessage(opcode, payload)
			return io.EOF
		}}, caught: []catch{
			unclean(echoOrKilled + " " + echoOrClosed), // where the peer is to fail the connection, that is one way to do it
		}},
	{name: "the connection is failed with 1011 when a message comes",
		faults: testeeFaults{echo: func(*testeeSession, byte, []byte) error {
			return testeeFailure(1011)
		}},
		caught: []catch{bothFailed(echoOrKilled + " " + echoOrClosed), {cases: echoThenFail, behavior: NonStrict, close: WrongCode}}},
	{name: "broken rules are answered with 1007", faults: testeeFaults{failing: failsWith(1007)},
		caught: []catch{onlyMiscoded(badFrames + " " + echoThenFail), {cases: badCloses, except: "7.5.1", behavior: Failed, close: WrongCode}}},
	{name: "broken rules are answered with 1000", faults: testeeFaults{failing: failsWith(1000)},
		caught: []catch{onlyMiscoded(badFrames + " " + echoThenFail + " " + badText), miscoded(badCloses)}},
	{name: "broken rules are answered with 1006", faults: testeeFaults{failing: failsWith(1006)}, caught: []catch{
		{cases: badFrames + " " + echoThenFail, close: Failed}, // an illegal Close makes the judge the one that closes
		bothFailed(badText), // which is not its part here
		miscoded(badCloses), // and is it here
	}},
	{name: "five octets ff follow each Close of a server", role: Server,
		faults: appendsToCloses("\xff\xff\xff\xff\xff"), caught: failedAfterClose(Server)},
	{name: "five octets ff follow each Close of a client", role: Client,
		faults: appendsToCloses("\xff\xff\xff\xff\xff"), caught: failedAfterClose(Client)},
	{name: "a message follows each Close of a server", role: Server,
		faults: appendsToCloses("\x81\x05Hello"), caught: failedAfterClose(Server)},
	{name: "a message follows each Close of a client", role: Client,
		faults: appendsToCloses("\x81\x85\x00\x00\x00\x00Hello"), caught: failedAfterClose(Client)},
	{name: "half a Ping follows each Close of a server", role: Server,
		faults: appendsToCloses("\x89\x05He"), caught: halfAfterClose},
	{name: "half a Ping follows each Close of a client", role: Client,
		faults: appendsToCloses("\x89\x85\x00\x00\x00\x00He"), caught: halfAfterClose},
	{name: "one octet follows each Close", faults: appendsToCloses("\x89"), caught: halfAfterClose},
	{name: "a server does not end TCP", role: Server,
		faults: testeeFaults{hangUp: func(s *testeeSession) { io.Copy(io.Discard, s.in) }},
		caught: []catch{unclean(goodCloses), leftOpen(badFrames + " " + echoThenFail + " " + badText + " " + badCloses)}},
	{name: "a server ends TCP after 1.5 s", role: Server, faults: testeeFaults{hangUp: func(s *testeeSession) {
		time.Sleep(1500 * time.Millisecond)
		s.end()
	}}, caught: []catch{unclean(goodCloses), leftOpen(badFrames + " " + echoThenFail + " " + badText + " " + badCloses)}},
}
