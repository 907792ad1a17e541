package interop

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// A scenario is a required behavior of two implementations. It runs on two
// connections: once the client is the first argument of run, once the server.
type scenario struct {
	name string
	options
	needs ability // of the first party, if not every API can do it
	run   func(t *testing.T, from, to endpoint)
}

// An ability is something that a WebSocket implementation can do, but that its API need not offer.
type ability string

const (
	toFragment   ability = "send a message in fragments"
	to8Bits      ability = "compress with a window of 8 bits"
	toGetEmpty   ability = "receive an empty message"
	toPing       ability = "send a ping"
	toClose      ability = "close with a status code"
	toCloseAsAny ability = "close with a status code that the RFC defines, not only 1000"
)

// between is the payload of pings between fragments.
var between = []byte("between two fragments")

const nonASCII = "Grüße, 世界, мир, 🙂 \u0000 \U0010FFFF"

var scenarios = []scenario{
	{name: "text that is not ASCII", run: delivers(event{kind: text, payload: []byte(nonASCII)})},
	{name: "empty text", run: delivers(event{kind: text, payload: []byte{}})},
	{name: "empty binary", run: delivers(event{kind: binary, payload: []byte{}})},
	{name: "binary of every byte value", run: delivers(event{kind: binary, payload: everyByte(1)})},
	{name: "lengths at the edges of the header", run: func(t *testing.T, from, to endpoint) {
		for _, n := range []int{1, 125, 126, 127, 65535, 65536} {
			delivers(event{kind: binary, payload: everyByte(n/256 + 1)[:n]})(t, from, to)
		}
	}},
	{name: "messages in order", run: func(t *testing.T, from, to endpoint) {
		for i := range 200 {
			delivers(event{kind: text, payload: fmt.Appendf(nil, "message %d", i)})(t, from, to)
		}
	}},
	{name: "fragmented text, split inside characters", needs: toFragment, run: deliversFragments(text, halves(strings.Repeat(nonASCII+"…", 200), 5))},
	{name: "fragmented binary", needs: toFragment, run: deliversFragments(binary, [][]byte{everyByte(20), everyByte(1), everyByte(12)})},
	{name: "ping and pong", needs: toPing, run: func(t *testing.T, from, to endpoint) {
		answersPing(t, from, to, []byte("are you there?"))
		answersPing(t, from, to, []byte{})
		answersPing(t, from, to, everyByte(1)[:125])
	}},
	{name: "5 MB binary", run: delivers(event{kind: binary, payload: everyByte(5_000_000 / 256)})},
	{name: "5 MB text", run: delivers(event{kind: text, payload: []byte(strings.Repeat("five megabytes of ü ", 5_000_000/21))})},
	{name: "subprotocol", options: options{offered: []string{"v9.example", "v2.example"}, supported: []string{"v1.example", "v2.example"}},
		run: func(t *testing.T, from, to endpoint) {
			if a, b := from.subprotocol(), to.subprotocol(); a != "v2.example" || b != "v2.example" {
				t.Errorf("subprotocols %q and %q, want v2.example", a, b)
			}
		}},
	{name: "over TLS", options: options{secure: true}, run: func(t *testing.T, from, to endpoint) {
		delivers(event{kind: text, payload: []byte(nonASCII)})(t, from, to)
		delivers(event{kind: binary, payload: everyByte(4096)})(t, from, to)
		closes(wire.NormalClosure, "done")(t, from, to)
	}},
	{name: "close 1000", run: closes(wire.NormalClosure, "")},
	{name: "close 1001", needs: toCloseAsAny, run: closes(wire.GoingAway, "the page is left")},
	{name: "close 1011", needs: toCloseAsAny, run: closes(wire.InternalError, "a handler failed")},
	{name: "close 3000", run: closes(wire.Unauthorized, "who are you?")},
	{name: "close 4000 with a reason that is not ASCII", run: closes(4000, "Grüße, 世界")},
	{name: "close 4999 with a reason as long as can be", run: closes(4999, strings.Repeat("r", 123))},
}

// The end that closes without a status code is always ours: not every peer can.
var emptyClose = scenario{name: "close without status code", run: closes(0, "")}

// A pairing is one implementation as the client and one as the server; connect opens a connection between them.
type pairing struct {
	name         string
	connect      func(t *testing.T, o options) (client, server endpoint)
	clientCannot []ability // so the scenarios that need it run from the server only
}

// pair pairs client and server directly.
func pair(client, server party) pairing {
	return pairing{
		name: client.name + " to " + server.name,
		connect: func(t *testing.T, o options) (endpoint, endpoint) {
			url, accept := server.listen(t, o)
			return client.dial(t, url, o), accept()
		},
	}
}

// runAll runs every scenario, from the client's and from the server's end.
func runAll(t *testing.T, p pairing) {
	t.Helper()
	for _, s := range scenarios {
		if !slices.Contains(p.clientCannot, s.needs) {
			s.runFrom(t, p, asClient)
		}
		s.runFrom(t, p, asServer)
	}
}

type role string

const (
	asClient role = "client"
	asServer role = "server"
)

// runFrom runs s on a new connection of p, with the end in the given role as the first party.
func (s scenario) runFrom(t *testing.T, p pairing, first role) {
	t.Helper()
	t.Run(fmt.Sprintf("%s/%s/from the %s", p.name, s.name, first), func(t *testing.T) {
		from, to := p.connect(t, s.options)
		if first == asServer {
			from, to = to, from
		}
		s.run(t, from, to)
	})
}

// delivers sends m from one end and expects it at the other.
func delivers(m event) func(*testing.T, endpoint, endpoint) {
	return func(t *testing.T, from, to endpoint) {
		t.Helper()
		expect(t, to, m, func() error { return from.send(m) })
	}
}

func deliversFragments(k kind, parts [][]byte) func(*testing.T, endpoint, endpoint) {
	return func(t *testing.T, from, to endpoint) {
		t.Helper()
		expect(t, to, event{kind: k, payload: bytes.Join(parts, nil)}, func() error { return from.sendFragments(k, parts) })
	}
}

// answersPing expects the pong to from's ping while to waits for the next
// message.
func answersPing(t *testing.T, from, to endpoint, payload []byte) {
	t.Helper()
	next := event{kind: text, payload: []byte("after the ping")}
	expect(t, to, next, func() error {
		if err := from.ping(payload); err != nil {
			return fmt.Errorf("ping: %w", err)
		}
		return from.send(next)
	})
}

// closes performs the closing handshake from one end. Both ends must see its status code, the other one the reason too.
func closes(code wire.StatusCode, reason string) func(*testing.T, endpoint, endpoint) {
	return func(t *testing.T, from, to endpoint) {
		t.Helper()
		seen := code
		if code == 0 {
			seen = wire.NoStatusReceived
		}
		expect(t, to, event{kind: closed, code: seen, reason: reason}, func() error {
			answer, err := from.close(code, reason)
			if err == nil && (answer.kind != closed || answer.code != seen) {
				err = fmt.Errorf("the closing end saw %s, want the status code %d back", answer, seen)
			}
			return err
		})
	}
}

// expect runs act while to waits, and expects to to receive want.
func expect(t *testing.T, to endpoint, want event, act func() error) {
	t.Helper()
	type result struct {
		event
		err error
	}
	received := make(chan result, 1)
	go func() {
		e, err := to.receive()
		received <- result{e, err}
	}()
	check.Must(t, act())
	got := <-received
	if got.err != nil {
		t.Fatalf("receive: %v; want %s", got.err, want)
	}
	if !got.equal(want) {
		t.Fatalf("received %s, want %s", got.event, want)
	}
}

func (e event) equal(other event) bool {
	return e.kind == other.kind && bytes.Equal(e.payload, other.payload) && e.code == other.code && e.reason == other.reason
}

func (e event) String() string {
	if e.kind == closed {
		return fmt.Sprintf("close %d %q", int(e.code), e.reason)
	}
	const shown = 100
	if len(e.payload) > shown {
		return fmt.Sprintf("%s of %d bytes %q…", e.kind, len(e.payload), e.payload[:shown])
	}
	return fmt.Sprintf("%s %q", e.kind, e.payload)
}

// everyByte returns the 256 byte values, times over.
func everyByte(times int) []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return bytes.Repeat(all, times)
}

// halves cuts s into n parts of about the same length, wherever that falls.
func halves(s string, n int) [][]byte {
	var parts [][]byte
	for i := range n {
		parts = append(parts, []byte(s[i*len(s)/n:(i+1)*len(s)/n]))
	}
	return parts
}
