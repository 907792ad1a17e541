package conform

import "net/http"

// someCompression are small cases of each group. Those of 13.* with messages of 16 octets are not among them: in so short
// ones compress/flate does not look for matches, so a testee sends no forbidden matches.
const someCompression = "12.1.1 12.2.3 12.3.1 12.4.1 12.5.1 13.*.3 13.*.4"

// agrees returns faults that use another agreement.
func agrees(change func(a *testeeAgreement)) testeeFaults {
	return testeeFaults{agreed: func(a testeeAgreement) *testeeAgreement {
		change(&a)
		return &a
	}}
}

// compressionMutants break RFC 7692.
var compressionMutants = []mutant{
	{name: "what was received before is forgotten",
		faults: agrees(func(a *testeeAgreement) { a.receiveAlone = true }), only: someCompression, rounds: 8, caught: []catch{
			bothFailed(someCompression), // the peer cannot inflate, and says so
		}},
	{name: "context is taken over in what is sent, agreed or not",
		faults: agrees(func(a *testeeAgreement) { a.sendAlone = false }), only: someCompression, caught: []catch{
			miscoded("13.2.* 13.6.*"), // in 13.5 and 13.7 it looks for no matches, as the window is small
		}},
	{name: "the window in what is sent is of 32 KiB, whatever was agreed",
		faults: agrees(func(a *testeeAgreement) { a.sendBits = 15 }), only: someCompression, caught: []catch{
			miscoded("13.3.*"),
			miscoded("13.5.4 13.7.4"), // without context a distance of more than 512 needs a message as long
		}},
	{name: "RSV1 is left out",
		faults: changesData(func(f *testeeFrame) { f.rsv = 0 }), only: "1.* 12.2.1 12.3.1 12.5.1",
		caught: []catch{misbehaved("12.*")}},
	{name: "RSV1 is in each fragment", faults: testeeFaults{sending: func(_ *testeeSession, f *testeeFrame) []*testeeFrame {
		if f.control() {
			return []*testeeFrame{f}
		}
		first, second := *f, *f
		first.fin, second.opcode = false, testeeCont
		first.payload, second.payload = f.payload[:1], f.payload[1:]
		return []*testeeFrame{&first, &second}
	}}, only: someCompression, caught: []catch{miscoded(someCompression)}},
	{name: "RSV1 is in the last fragment only",
		faults: testeeFaults{sending: func(_ *testeeSession, f *testeeFrame) []*testeeFrame {
			if f.control() {
				return []*testeeFrame{f}
			}
			first, second := *f, *f
			first.fin, first.rsv, second.opcode = false, 0, testeeCont
			first.payload, second.payload = f.payload[:1], f.payload[1:]
			return []*testeeFrame{&first, &second}
		}}, only: someCompression, caught: []catch{miscoded(someCompression)}},
	{name: "RSV1 is in a Close", faults: testeeFaults{sending: func(_ *testeeSession, f *testeeFrame) []*testeeFrame {
		if f.opcode == testeeClose {
			f.rsv = 4
		}
		return []*testeeFrame{f}
	}}, only: "1.* 12.*.1", caught: []catch{
		failedUncleanly("1.* 12.*"), // the messages were right, but that is no Close
	}},
	{name: "messages are compressed without that having been agreed",
		faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
			comp := s.comp
			if s.comp == nil {
				s.comp = &testeeCompression{agreed: testeeAgreement{sendBits: 15, receiveBits: 15}}
			}
			s.sendMessage(opcode, payload)
			s.comp = comp
		}), more: "12.1.1", caught: []catch{miscoded(echoOrKilled + " " + echoOrClosed), bothFailed(echoThenFail)}},
	{name: "one octet is wrong before compression",
		faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
			if s.comp != nil {
				payload[len(payload)-1] ^= 1
			}
			s.sendMessage(opcode, payload)
		}), only: someCompression, caught: []catch{misbehaved(someCompression)}},
	{name: "one octet is wrong, in messages of more than 64 KiB that come compressed",
		faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
			if len(payload) > 65536 {
				payload[65536] ^= 1
			}
			s.sendMessage(opcode, payload)
		}), only: "12.1.1 12.1.10 12.2.10 12.3.18 13.2.18", caught: []catch{misbehaved("12.1.10 12.2.10 12.3.18 13.2.18")}},
	{name: "a server agrees to no compression", role: Server, faults: testeeFaults{
		response: func(h http.Header) { h.Del("Sec-WebSocket-Extensions") },
		agreed:   func(testeeAgreement) *testeeAgreement { return nil },
	}, only: "1.1.* 12.*.1 12.*.18 13.*.1 13.*.18", caught: []catch{{cases: "12.* 13.*", behavior: Unimplemented}}},
	{name: "a server agrees to compression and takes RSV1 for an error", role: Server, faults: testeeFaults{
		agreed: func(testeeAgreement) *testeeAgreement { return nil },
	}, only: someCompression, caught: []catch{bothFailed(someCompression)}},
}
