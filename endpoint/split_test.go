package endpoint_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/fuzz"
	"github.com/fibersock/fibersock/wire"
)

// randomStream returns the bytes of a random peer: mostly legal, so that the
// connection lasts for a while.
func randomStream(rng *rand.Rand, role endpoint.Role) []byte {
	texts := []string{"", "Hello", "κόσμε", "\xe2\x82", "\xac", "\xf0\x9f", "\x98\x80", "\xff", "\xed\xa0", "x", "\x00"}
	closes := []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xed", "\x0f\xa0\xc3\xa9", "\x03\xe8\xff", "\x13\x88"}
	var stream []byte
	inside := false
	for range rng.IntN(12) {
		h := wire.Header{Fin: true, Masked: role == endpoint.Server, Key: wire.MaskingKey(rng.Uint32())}
		payload := ""
		for range rng.IntN(4) {
			payload += texts[rng.IntN(len(texts))]
		}
		if rng.IntN(8) == 0 {
			payload = string(make([]byte, 120+rng.IntN(12)))
		}
		switch kind := rng.IntN(20); {
		case kind < 4:
			h.Opcode = []wire.Opcode{wire.Ping, wire.Pong}[kind%2]
		case kind == 4:
			h.Opcode, payload = wire.Close, closes[rng.IntN(len(closes))]
		case kind == 5: // any frame
			h.Fin, h.Opcode, h.RSV = rng.IntN(2) == 0, wire.Opcode(rng.IntN(16)), wire.RSV(rng.IntN(8)<<4)
			h.Masked = h.Masked != (rng.IntN(4) == 0)
		default:
			h.Fin = rng.IntN(2) == 0
			if !inside {
				h.Opcode = wire.Opcode(1 + rng.IntN(2))
			}
			inside = !h.Fin
		}
		stream = wire.AppendFrame(stream, h, []byte(payload))
	}
	switch rng.IntN(6) {
	case 0: // cut short
		stream = stream[:rng.IntN(len(stream)+1)]
	case 1: // damaged
		if len(stream) > 0 {
			stream[rng.IntN(len(stream))] ^= byte(1 << rng.IntN(8))
		}
	case 2: // a header with any length
		lengths := []int64{125, 126, 65535, 65536, 1 << 31, 1<<32 + 5, 1<<63 - 1}
		stream = append(stream, declaring(role, wire.Binary, lengths[rng.IntN(len(lengths))], true)...)
	case 3: // a length that is not in its shortest form, or over 2^63
		stream = append(stream, 0x82, 0x7f|byte(role)<<7, byte(rng.IntN(2)<<7), 0, 0, 0, 0, byte(rng.IntN(2)), 0, 0)
	}
	return stream
}

// The events of a stream do not depend on its cuts, and are those of the naive
// engine (6455-5.2-l, 6455-5.2-n, 6455-8.1-d, 6455-8.1-e, T-A14, T-H11).
func TestRandomStreamsAgainstTheNaiveEngine(t *testing.T) {
	seeds := uint64(2000)
	if testing.Short() {
		seeds = 200
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 0))
		role := endpoint.Role(rng.IntN(2))
		kind := byte(role) | byte(rng.IntN(5)<<1) // the limits
		head := []byte{kind, byte(seed), byte(seed >> 8)}
		fuzz.Stream(append(head, randomStream(rng, role)...))
	}
}

// If a header breaks several rules, the first wrong byte decides the code and
// the error, also if the bytes arrive at once (6455-5.2-l, 6455-10.7-a).
func TestFirstWrongByteOfAHeaderDecides(t *testing.T) {
	tests := []struct {
		name   string
		role   endpoint.Role
		header string
		want   string
	}{
		{"reserved bit, then a Ping too long", endpoint.Client, "\xc9\x7e", "reserved bit set without an extension"},
		{"not masked, then the top bit of the length", endpoint.Server, "\x82\x7f\x80", "frame from a client is not masked"},
		{"masked, then a length that is not minimal", endpoint.Client, "\x82\xfe\x00\x01\x00\x00\x00\x00", "frame from a server is masked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, len(tt.header)} {
				e, out := recorded(endpoint.Config{Role: tt.role})
				for piece := range slices.Chunk([]byte(tt.header), size) {
					receive(e, piece)
				}
				frames := written(t, tt.role, out.Bytes())
				if len(frames) != 1 || string(frames[0].Payload) != "\x03\xea"+tt.want || !strings.HasSuffix(e.Err().Error(), tt.want) {
					t.Errorf("in pieces of %d: sent %v, error %v; want %q", size, frames, e.Err(), tt.want)
				}
			}
		})
	}
}

// A fragment too many is refused at its first byte, before its length
// (6455-5.2-l, 6455-10.4-a).
func TestFragmentLimitBeforeTheLength(t *testing.T) {
	const empty, more = 65537, 65536 // fragments of a message of one byte; bytes declared by another
	for _, size := range []int{1, 14} {
		e, out := recorded(endpoint.Config{Role: endpoint.Client, Limits: endpoint.Limits{Message: 1}})
		receive(e, fromPeer(endpoint.Client, wire.Binary, "", false))
		receive(e, bytes.Repeat(fromPeer(endpoint.Client, wire.Continuation, "", false), empty-1))
		for piece := range slices.Chunk(declaring(endpoint.Client, wire.Continuation, more, true), size) {
			receive(e, piece)
		}
		if frames := written(t, endpoint.Client, out.Bytes()); len(frames) != 1 || closeCode(frames[0]) != wire.PolicyViolation {
			t.Errorf("in pieces of %d: sent %v, error %v", size, frames, e.Err())
		}
	}
}
