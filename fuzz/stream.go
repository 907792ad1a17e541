package fuzz

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/fibersock/fibersock/endpoint"
)

// Stream reads data as the stream of a peer, after three bytes with the role,
// the limits and the cuts. The engine must deliver the same messages, Pings,
// Pongs and end as a naive receiver, and send the same frames, from the whole
// and from the pieces, with whole messages and with partial ones. Byte by byte,
// each event must occur at the byte that decides it. Allocated memory must be
// bounded by received bytes, not by declared lengths.
func Stream(data []byte) int {
	p := &program{data}
	kind, cuts := p.byte(), uint64(p.uint16())
	stream := p.all()
	cfg, limits := streamConfig(kind)
	want := (&naive{server: cfg.Role == endpoint.Server, limits: limits}).run(stream)

	var cause string // why the connection failed
	for i, way := range ways {
		cfg.Partial = way.partial
		got := play(cfg, stream, pieces(way.largest, cuts))
		how := fmt.Sprintf("%+v, partial %v, pieces of up to %d:\n% x", limits, way.partial, way.largest, stream)
		got.compare(want, way.largest == 1, how)
		if i == 0 {
			cause = got.cause
		}
		if got.cause != cause {
			violated("why a connection failed does not depend on how the bytes come", "%s\nonce %q\nonce %q", how, cause, got.cause)
		}
	}
	return worth(len(want.events) > 0)
}

// ways are those in which a stream is received.
var ways = []struct {
	partial bool
	largest int // piece, in bytes
}{
	{false, math.MaxInt}, {false, 1}, {false, 5}, {false, 60},
	{true, math.MaxInt}, {true, 1}, {true, 5}, {true, 60},
}

// pieces returns a function that returns random sizes for the next piece of n
// remaining bytes. With largest MaxInt there is one piece.
func pieces(largest int, seed uint64) func(left int) int {
	rng := rand.New(rand.NewPCG(seed, 0))
	return func(left int) int {
		if largest == math.MaxInt {
			return left
		}
		return 1 + rng.IntN(min(largest, left))
	}
}

// streamConfig returns the configuration for the first byte of the input, and
// the effective limits.
func streamConfig(kind byte) (endpoint.Config, limits) {
	cfg := endpoint.Config{Role: endpoint.Client}
	if kind&1 != 0 {
		cfg.Role = endpoint.Server
	}
	switch kind >> 1 % 5 {
	case 0:
		return cfg, limits{frame: none, message: endpoint.DefaultMessageLimit}
	case 1:
		cfg.Limits = endpoint.Limits{Frame: -1, Message: -1}
		return cfg, limits{frame: none, message: none}
	case 2:
		cfg.Limits = endpoint.Limits{Frame: 20, Message: 30}
		return cfg, limits{frame: 20, message: 30}
	case 3:
		cfg.Limits = endpoint.Limits{Frame: 126, Message: -1}
		return cfg, limits{frame: 126, message: none}
	default:
		cfg.Limits = endpoint.Limits{Message: 200}
		return cfg, limits{frame: none, message: 200}
	}
}

// compare compares the results of the engine and of the naive receiver; with
// exact also the positions of events.
func (p *player) compare(want transcript, exact bool, how string) {
	if !sameEvents(p.events, want.events, exact) {
		violated("events are those of the peer's frames, at the deciding byte", "%s\n got %v\nwant %v", how, p.events, want.events)
	}
	if !slices.Equal(p.out, want.out) {
		violated("the endpoint sends the frames that the RFC requires, and no others", "%s\n got %q\nwant %q", how, p.out, want.out)
	}
	if p.end != want.end {
		violated("the end is reported as it was", "%s\n got %s\nwant %s", how, p.end, want.end)
	}
	if p.allocatesTooMuch() {
		violated("nothing is allocated by declared length", "%s\n%d bytes for a stream of %d", how, p.allocated, len(p.stream))
	}
	if !bytes.Equal(p.stream, p.given) {
		violated("the harness leaves its input alone", "%s", how)
	}
}

// sameEvents compares events; with exact also their positions.
func sameEvents(a, b []event, exact bool) bool {
	return slices.EqualFunc(a, b, func(a, b event) bool { return a.what == b.what && (!exact || a.at == b.at) })
}
