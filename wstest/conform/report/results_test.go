package report

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/fibersock/fibersock/wstest/conform"
)

// began is when all invented runs began.
var began = time.Date(2026, time.March, 4, 9, 30, 0, 250e6, time.UTC)

// hostile is text that a peer may inject into a report.
const hostile = "</script><img src=x onerror=alert(1)>\"'`\x1b[2J\u202e"

// result returns a result of a case that went well.
func result(id string) *conform.Result {
	return &conform.Result{
		Case: &conform.Case{
			ID:          id,
			Index:       1,
			Description: "A text message of 125 octets in one frame.",
			Expectation: "The same message comes back, then a clean closing handshake.",
			Expected:    []conform.Alternative{{Verdict: conform.OK, Events: []conform.Event{textEvent("Hello, world!")}}},
			Close:       conform.ExpectedClose{ByMe: true, Codes: []int{1000}, Clean: true},
		},
		Agent:         "fibersock/epoll",
		Role:          conform.Server,
		Behavior:      conform.OK,
		BehaviorClose: conform.OK,
		Why:           "What came is what was expected.",
		WhyClose:      "The closing handshake was as it should be.",
		Started:       began,
		Duration:      2375 * time.Microsecond,
		Received:      []conform.Event{textEvent("Hello, world!")},
		ClosedByMe:    true,
		WasClean:      true,
		LocalClose:    &conform.CloseInfo{Code: 1000},
		RemoteClose:   &conform.CloseInfo{Code: 1000},
		Request: "GET / HTTP/1.1\r\nHost: 127.0.0.1:9001\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Key: AS3/Sz7LtWg8xkM9Qqm2jQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
		Response: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Accept: 8swb/OyA5l33UoFmTIBZO4t6uzM=\r\n\r\n",
		Log: []conform.LogEntry{
			txFrame(120*time.Microsecond, 1, "Hello, world!"),
			sent(130*time.Microsecond, "818d4af4d75d029891312598"),
			{At: 140 * time.Microsecond, Kind: conform.LogTimer, Text: "waiting 500ms"},
			came(900*time.Microsecond, "810d48656c6c6f2c20776f726c6421"),
			rxFrame(905*time.Microsecond, 1, "Hello, world!"),
			txFrame(930*time.Microsecond, 8, "\x03\xe8"),
			sent(935*time.Microsecond, "88824af4d75d491c"),
			came(1500*time.Microsecond, "880203e8"),
			rxFrame(1510*time.Microsecond, 8, "\x03\xe8"),
			{At: 2300 * time.Microsecond, Kind: conform.LogEndOfTCP, Text: "the peer ended TCP"},
		},
		Tx: conform.Traffic{Octets: 27, OctetsBySize: map[int]int{19: 1, 8: 1}, Frames: map[int]int{1: 1, 8: 1}},
		Rx: conform.Traffic{Octets: 19, OctetsBySize: map[int]int{15: 1, 4: 1}, Frames: map[int]int{1: 1, 8: 1}},
	}
}

// broken returns a result of a case with a wrong answer of the peer.
func broken(id string) *conform.Result {
	r := result(id)
	r.Behavior, r.BehaviorClose = conform.Failed, conform.WrongCode
	r.Why = "A Pong came, where nothing was expected."
	r.WhyClose = `The peer's status code was 1001 with the reason "going", not 1002.`
	r.Case.Expected = []conform.Alternative{
		{Verdict: conform.OK, Events: []conform.Event{textEvent("Hello, world!")}},
		{Verdict: conform.NonStrict},
	}
	r.Case.Close = conform.ExpectedClose{Codes: []int{1002}}
	r.Received = []conform.Event{textEvent("Hello, world?"), {Kind: conform.EventPong, Payload: []byte{0, 0xff}, Size: 2}}
	r.ClosedByMe, r.WasClean, r.NotClean = false, false, "TCP ended before the judge's Close"
	r.LocalClose, r.RemoteClose, r.RemoteFirst = nil, &conform.CloseInfo{Code: 1001, Reason: "going"}, true
	return r
}

// hostileResult returns a result of a peer that puts hostile text wherever it can.
func hostileResult(id string) *conform.Result {
	r := broken(id)
	r.Agent = hostile
	r.Why = fmt.Sprintf("An unexpected message came: %s", hostile)
	r.WhyClose = r.Why
	r.NotClean = hostile
	r.Received = []conform.Event{textEvent(hostile), {Kind: conform.EventMessage, Payload: []byte("<img src=x onerror=alert(2)>"), Size: 28}}
	r.RemoteClose.Reason = hostile
	r.Extension = hostile
	r.Flags = []string{hostile}
	r.Response = "HTTP/1.1 101 Switching Protocols\r\nServer: " + hostile + "\r\n\r\n"
	r.Log = append(r.Log,
		rxFrame(2*time.Millisecond, 1, "<script>alert(3)</script>"),
		rxFrame(2*time.Millisecond, 8, "\x03\xe8"+hostile),
		conform.LogEntry{Kind: conform.LogNote, Text: hostile},
		conform.LogEntry{Kind: conform.LogEndOfTCP, Text: hostile})
	return r
}

func textEvent(text string) conform.Event {
	return conform.Event{Kind: conform.EventMessage, Payload: []byte(text), Size: len(text)}
}

func txFrame(at time.Duration, opcode int, payload string) conform.LogEntry {
	return conform.LogEntry{At: at, Kind: conform.LogTxFrame, Data: []byte(payload), Size: len(payload),
		Frame: &conform.FrameInfo{Opcode: opcode, Fin: true, Masked: true, Key: [4]byte{0x4a, 0xf4, 0xd7, 0x5d}}}
}

func rxFrame(at time.Duration, opcode int, payload string) conform.LogEntry {
	return conform.LogEntry{At: at, Kind: conform.LogRxFrame, Data: []byte(payload), Size: len(payload),
		Frame: &conform.FrameInfo{Opcode: opcode, Fin: true}}
}

func sent(at time.Duration, octets string) conform.LogEntry {
	return rawEntry(at, conform.LogSent, octets)
}

func came(at time.Duration, octets string) conform.LogEntry {
	return rawEntry(at, conform.LogReceived, octets)
}

func rawEntry(at time.Duration, kind conform.LogKind, octets string) conform.LogEntry {
	data, err := hex.DecodeString(octets)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return conform.LogEntry{At: at, Kind: kind, Data: data, Size: len(data)}
}

// long returns a result with much of everything, of which the judge kept a part.
func long(id string) *conform.Result {
	r := result(id)
	r.Duration, r.Measured = 61234*time.Millisecond, 61200*time.Millisecond
	r.Extension = "permessage-deflate; server_max_window_bits=9"
	r.Received = []conform.Event{{Kind: conform.EventMessage, Binary: true, Payload: []byte(strings.Repeat("\xfe", 64)), Size: 16 << 20}}
	r.Case.Expected = nil
	r.Omitted, r.LogHead = 65530, 5
	r.Rx.OctetsBySize = map[int]int{}
	for i := range 40 {
		r.Rx.OctetsBySize[100*i] = i + 1
	}
	return r
}
