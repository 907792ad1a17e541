package conform

import (
	"bytes"
	"slices"
	"time"
)

// answersPings returns faults with Pings that wait for a moment, at most until the next message is
// answered. answer is called with those that wait.
func answersPings(answer func(s *testeeSession, waiting [][]byte)) testeeFaults {
	flush := func(s *testeeSession) {
		s.mu.Lock()
		defer s.mu.Unlock()
		answer(s, s.held)
		s.held = nil
	}
	return testeeFaults{
		ping: func(s *testeeSession, payload []byte) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.held = append(s.held, payload); len(s.held) == 1 {
				time.AfterFunc(50*time.Millisecond, func() { flush(s) })
			}
			return nil
		},
		echo: func(s *testeeSession, opcode byte, payload []byte) error {
			flush(s)
			s.sendMessage(opcode, payload)
			return nil
		},
	}
}

// changesPongs returns faults that change the payload of the Pongs.
func changesPongs(change func(payload []byte) []byte) testeeFaults {
	return pings(func(s *testeeSession, payload []byte) {
		s.sendPong(change(bytes.Clone(payload)))
	})
}

// pingsInMessages are the cases with Pings between fragments.
const pingsInMessages = "5.6 5.7 5.8 5.19 5.20"

// controlMutants break RFC 6455, Sections 5.5, 5.5.2 and 5.5.3.
var controlMutants = []mutant{
	{name: "Pings are dropped", faults: testeeFaults{ping: func(*testeeSession, []byte) error { return nil }},
		caught: []catch{misbehaved(pongOrClosed + " " + pingsInMessages)}},
	{name: "Pings are answered with Pings", faults: pings(func(s *testeeSession, payload []byte) {
		s.send(&testeeFrame{fin: true, opcode: testeePing, payload: payload})
	}), caught: []catch{misbehaved(pongOrClosed + " " + pingsInMessages)}},
	{name: "Pings between fragments are dropped", faults: pings(func(s *testeeSession, payload []byte) {
		if s.opcode == 0 {
			s.sendPong(payload)
		}
	}), caught: []catch{misbehaved(pingsInMessages)}},
	{name: "Pongs have no payload", faults: changesPongs(func([]byte) []byte { return nil }),
		caught: []catch{{cases: pongOrClosed + " " + pingsInMessages, except: "2.1", behavior: Failed}}},
	{name: "Pongs have at most 124 octets",
		faults: changesPongs(func(p []byte) []byte { return p[:min(len(p), 124)] }), caught: []catch{misbehaved("2.4 2.6")}},
	{name: "the payload of Pongs ends at NUL", faults: changesPongs(func(p []byte) []byte {
		p, _, _ = bytes.Cut(p, []byte{0})
		return p
	}), caught: []catch{misbehaved("2.3")}},
	{name: "Pongs that are due go out with the last first", faults: answersPings(func(s *testeeSession, waiting [][]byte) {
		for _, p := range slices.Backward(waiting) {
			s.sendPong(p)
		}
	}), caught: []catch{misbehaved("2.10 2.11")}},
	// RFC 6455, 5.5.3 allows that. The suite does not.
	{name: "of Pongs that are due only the last goes out", faults: answersPings(func(s *testeeSession, waiting [][]byte) {
		if len(waiting) > 0 {
			s.sendPong(waiting[len(waiting)-1])
		}
	}), caught: []catch{misbehaved("2.10 2.11")}},
	{name: "Pings between fragments are answered after the message", faults: testeeFaults{
		ping: func(s *testeeSession, payload []byte) error {
			if s.opcode == 0 {
				s.sendPong(payload)
			} else {
				s.held = append(s.held, payload)
			}
			return nil
		},
		echo: func(s *testeeSession, opcode byte, payload []byte) error {
			s.sendMessage(opcode, payload)
			for _, p := range s.held {
				s.sendPong(p)
			}
			s.held = nil
			return nil
		},
	}, caught: []catch{misbehaved(pingsInMessages)}},
	{name: "each Ping is answered twice", faults: pings(func(s *testeeSession, payload []byte) {
		s.sendPong(payload)
		s.sendPong(payload)
	}), caught: []catch{misbehaved(pongOrClosed + " " + pingsInMessages)}},
	{name: "a Ping of 126 octets is answered in full",
		faults: tolerates(testeeRuleControlSize, func(f *testeeFrame) bool { return f.opcode == testeePing }), caught: []catch{
			bothFailed("2.5"), // for the Pong, which is as long
		}},
	{name: "a Ping of 126 octets is answered with its first 125", faults: testeeFaults{
		lenient: func(broken testeeRule, f *testeeFrame) bool {
			return broken == testeeRuleControlSize && f.opcode == testeePing
		},
		ping: func(s *testeeSession, payload []byte) error {
			s.sendPong(payload[:min(len(payload), 125)])
			return nil
		},
	}, caught: []catch{bothFailed("2.5")}},
	{name: "a Ping of 125 octets is refused", faults: testeeFaults{ping: func(s *testeeSession, payload []byte) error {
		if len(payload) == 125 {
			return testeeFailure(1002)
		}
		s.sendPong(payload)
		return nil
	}}, caught: []catch{bothFailed("2.4 2.6")}},
	{name: "a Ping ends the message that it is in", faults: pings(func(s *testeeSession, payload []byte) {
		s.sendPong(payload)
		s.opcode = 0
	}), caught: []catch{
		bothFailed(pingsInMessages), // the next fragment continues nothing
	}},
	{name: "a Pong follows each message", faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
		s.sendMessage(opcode, payload)
		s.sendPong(nil)
	}), more: "9.1.1 9.7.1 12.1.1", caught: []catch{
		misbehaved(allEchoes), // cases that judge by themselves look at messages only
	}},
	{name: "Pongs come back", faults: pongs(func(s *testeeSession, payload []byte) {
		s.sendPong(payload)
	}), caught: []catch{misbehaved("2.7 2.8 2.9")}},
	{name: "a Pong without a Ping is refused",
		faults: testeeFaults{pong: func(*testeeSession, []byte) error { return testeeFailure(1002) }}, caught: []catch{
			onlyMiscoded("2.7 2.8"), // the judge has sent its Close already
			bothFailed("2.9"),
		}},
}
