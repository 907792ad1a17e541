package conform

import (
	"bytes"
	"compress/flate"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// legalWays are no mutants: they differ from the perfect peer where the RFCs leave a choice, and no case
// may catch them.
var legalWays = []mutant{
	{name: "each octet is written by itself", faults: testeeFaults{encode: func(s *testeeSession, f *testeeFrame) []byte {
		b := testeeEncode(f)
		for len(b) > 1 && len(b) < 1<<10 {
			s.conn.Write(b[:1])
			time.Sleep(time.Microsecond) // so that it is read by itself too
			b = b[1:]
		}
		return b
	}}},
	{name: "messages go back in fragments, some of them empty, with Pings between them",
		faults: testeeFaults{sending: func(s *testeeSession, f *testeeFrame) []*testeeFrame {
			if f.control() {
				return []*testeeFrame{f}
			}
			var frames []*testeeFrame
			opcode, rsv := f.opcode, f.rsv
			for chunk := range slices.Chunk(f.payload, max(3, len(f.payload)/9)) {
				frames = append(frames,
					&testeeFrame{opcode: opcode, rsv: rsv, masked: f.masked, key: f.key, payload: chunk},
					&testeeFrame{fin: true, opcode: testeePing, masked: f.masked, key: f.key, payload: []byte("ping")})
				opcode, rsv = testeeCont, 0
			}
			return append(frames, &testeeFrame{fin: true, opcode: opcode, rsv: rsv, masked: f.masked})
		}}, more: "9.1.1 9.7.3 12.1.1 13.7.4"},
	{name: "300 Pings go out in front of each message", faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
		for range 300 {
			s.send(&testeeFrame{fin: true, opcode: testeePing, payload: make([]byte, 125)})
		}
		s.sendMessage(opcode, payload)
	}), more: "9.1.1 12.1.1", only: "1.1.* 3.2 4.1.3 5.3 6.2.3 6.5.* 10.1.1"},
	{name: "everything takes 0.2 s", faults: testeeFaults{frame: func(*testeeSession, *testeeFrame) bool {
		time.Sleep(200 * time.Millisecond)
		return true
	}}, only: "1.1.* 2.1 2.4 2.9 3.1 3.2 3.7 4.* 5.1 5.2 5.3 6.1.1 6.2.1 6.4.3 6.4.4 6.5.* 6.8.* 7.1.1 7.3.* 7.7.* 7.9.* 9.1.1"},
	{name: "a client's masking-key is zero", role: Client,
		faults: testeeFaults{sending: func(_ *testeeSession, f *testeeFrame) []*testeeFrame {
			f.key = [4]byte{}
			return []*testeeFrame{f}
		}}},

	{name: "each Close is answered with 1000", faults: answersClose(func([]byte) []byte { return normalClose })},
	{name: "each Close is answered without a code", faults: answersClose(func([]byte) []byte { return nil })},
	{name: "each Close is answered with 1000 and a reason", faults: answersClose(func([]byte) []byte {
		return append(normalClose[:2:2], "κόσμε"...)
	})},
	{name: "the connection is failed with a reason",
		faults: testeeFaults{failing: func(s *testeeSession, code int) { s.sendClose(code, "that is not allowed") }}},
	{name: "the connection is failed without a code", faults: testeeFaults{failing: func(s *testeeSession, _ int) {
		s.send(&testeeFrame{fin: true, opcode: testeeClose})
	}}},
	{name: "the connection is failed without a Close",
		faults: testeeFaults{failing: func(s *testeeSession, _ int) { s.conn.Close() }}},
	{name: "a server ends TCP after 0.3 s", role: Server, faults: testeeFaults{hangUp: func(s *testeeSession) {
		time.Sleep(300 * time.Millisecond)
		s.end()
	}}},
	{name: "a client ends TCP itself", role: Client, faults: testeeFaults{hangUp: func(*testeeSession) {}}},

	{name: "the response is written in another way", role: Server, faults: answers(func(h http.Header) {
		h.Set("Upgrade", "WebSocket")
		h["connection"] = []string{"keep-alive, UPGRADE"}
		h.Del("Connection")
		h.Set("X-Other", "Sec-WebSocket-Accept: no")
	})},

	{name: "nothing is compressed", faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
		s.send(&testeeFrame{fin: true, opcode: opcode, payload: payload})
	}), only: someCompression},
	{name: "every other message is compressed",
		faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
			if rand.IntN(2) == 0 {
				s.sendMessage(opcode, payload)
			} else {
				s.send(&testeeFrame{fin: true, opcode: opcode, payload: payload})
			}
		}), only: someCompression},
	{name: "messages end in a last block (RFC 7692, 7.2.3.4)",
		faults: echoes(func(s *testeeSession, opcode byte, payload []byte) {
			var b bytes.Buffer
			if s.comp.deflater == nil {
				s.comp.deflater, _ = flate.NewWriter(nil, flate.HuffmanOnly) // cannot fail with a level that exists
			}
			s.comp.deflater.Reset(&b)
			s.comp.deflater.Write(payload)
			s.comp.deflater.Close()
			b.WriteByte(0)
			s.send(&testeeFrame{fin: true, rsv: 4, opcode: opcode, payload: b.Bytes()})
		}), only: someCompression},
	{name: "a server does not take over context, though nobody asked", role: Server, faults: testeeFaults{
		response: addsParameter("server_no_context_takeover"),
		agreed: func(a testeeAgreement) *testeeAgreement {
			a.sendAlone = true
			return &a
		},
	}, only: someCompression},

	// Here a testee checks that the judge keeps the agreement.
	{name: "a server asks for no context takeover", role: Server, faults: testeeFaults{
		response: addsParameter("client_no_context_takeover"),
		agreed: func(a testeeAgreement) *testeeAgreement {
			a.receiveAlone = true
			return &a
		},
	}, only: someCompression},
	{name: "a server asks for a window of 512 octets", role: Server, faults: testeeFaults{
		response: addsParameter("client_max_window_bits=9"),
		agreed: func(a testeeAgreement) *testeeAgreement {
			a.receiveBits = 9
			return &a
		},
	}, only: someCompression},
	{name: "a client asks for no context takeover", role: Client, faults: testeeFaults{
		offer: testeeOffer + "; server_no_context_takeover",
	}, only: someCompression},
	{name: "a client asks for a window of 512 octets", role: Client, faults: testeeFaults{
		offer: testeeOffer + "; server_max_window_bits=9",
	}, only: someCompression},
}

// addsParameter returns a change to a response that adds a parameter to permessage-deflate, if it is there and has
// not got it.
func addsParameter(parameter string) func(h http.Header) {
	return func(h http.Header) {
		if v := h.Get("Sec-WebSocket-Extensions"); v != "" && !strings.Contains(v, parameter) {
			h.Set("Sec-WebSocket-Extensions", v+"; "+parameter)
		}
	}
}
