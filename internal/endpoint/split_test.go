package endpoint_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/fibersock/fibersock/fuzz/corpus"
	"github.com/fibersock/fibersock/internal/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// This file holds the engine against a naive one, which has the peer's whole
// stream before it, keeps everything, and shares no code with it.

// result is what comes of a stream, however it is cut.
type result struct {
	events []string // messages whole, also where they are delivered in pieces
	out    []string // frames
	end    string   // how the connection ended when the transport did
}

// naive is the naive engine.
type naive struct {
	role           endpoint.Role
	frame, message uint64 // limits
	result

	opcode  byte // of the message under way; 0: none
	payload []byte
}

// run takes the stream frame by frame.
func (n *naive) run(stream []byte) result {
	for n.end == "" && len(stream) > 0 {
		used := n.next(stream)
		if used == 0 {
			n.end = "unexpected EOF"
		}
		stream = stream[used:]
	}
	if n.end == "" && n.opcode != 0 {
		n.end = "unexpected EOF"
	}
	if n.end == "" {
		n.end = "EOF"
	}
	return n.result
}

// next takes the frame that b begins with, or what there is of it, and returns
// its size; 0 if it is not whole.
func (n *naive) next(b []byte) int {
	fin, opcode := b[0]>>7 == 1, b[0]&15
	control := opcode >= 8
	switch {
	case b[0]&0x70 != 0, opcode > 2 && opcode < 8, opcode > 10, control && !fin,
		opcode == 0 && n.opcode == 0, !control && opcode != 0 && n.opcode != 0:
		return n.fail(1002)
	case len(b) < 2:
		return 0
	}
	masked, length := b[1]>>7 == 1, uint64(b[1]&127)
	switch {
	case control && length > 125, masked != (n.role == endpoint.Server):
		return n.fail(1002)
	}
	size := 2 // of the header
	if length == 126 {
		size += 2
		if len(b) < size {
			return 0
		}
		if length = uint64(binary.BigEndian.Uint16(b[2:])); length < 126 {
			return n.fail(1002)
		}
	} else if length == 127 {
		size += 8
		if len(b) > 2 && b[2] > 127 || len(b) > 7 && bytes.Equal(b[2:8], make([]byte, 6)) {
			return n.fail(1002)
		}
		if len(b) < size {
			return 0
		}
		length = binary.BigEndian.Uint64(b[2:])
	}
	if !control && (length > n.frame || length+uint64(len(n.payload)) > n.message) {
		return n.fail(1009)
	}
	key := make([]byte, 4)
	if masked {
		size += 4
		if len(b) < size {
			return 0
		}
		key = b[size-4 : size]
	}
	payload := bytes.Clone(b[size:])
	if uint64(len(payload)) > length {
		payload = payload[:length]
	}
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	whole := uint64(len(payload)) == length
	if control {
		if whole {
			n.control(opcode, payload)
		}
	} else {
		n.data(opcode, payload, whole && fin)
	}
	if !whole && n.end == "" {
		return 0
	}
	return size + len(payload)
}

func (n *naive) fail(code int) int {
	n.events = append(n.events, fmt.Sprintf("fail %d", code))
	n.out = append(n.out, fmt.Sprintf("close %d", code))
	n.end = fmt.Sprintf("failed with %d", code)
	return 1
}

func (n *naive) control(opcode byte, payload []byte) {
	switch opcode {
	case 9:
		n.events = append(n.events, fmt.Sprintf("ping %q", payload))
		n.out = append(n.out, fmt.Sprintf("pong %q", payload))
	case 10:
		n.events = append(n.events, fmt.Sprintf("pong %q", payload))
	case 8:
		n.close(payload)
	}
}

func (n *naive) close(payload []byte) {
	code, echo := 1005, "close 0"
	if len(payload) == 1 {
		n.fail(1002)
		return
	}
	if len(payload) >= 2 {
		code = int(payload[0])<<8 | int(payload[1])
		echo = fmt.Sprintf("close %d", code)
		legal := 1000 <= code && code <= 1003 || 1007 <= code && code <= 1014 || 3000 <= code && code <= 4999
		switch {
		case !legal:
			n.fail(1002)
			return
		case !utf8.Valid(payload[2:]):
			n.fail(1007)
			return
		}
		payload = payload[2:]
	}
	n.end = fmt.Sprintf("closed with %d %q", code, payload)
	n.events = append(n.events, n.end)
	n.out = append(n.out, echo)
}

func (n *naive) data(opcode byte, payload []byte, last bool) {
	if opcode != 0 {
		n.opcode, n.payload = opcode, nil
	}
	n.payload = append(n.payload, payload...)
	if n.opcode == 1 && !beginsText(n.payload, last) {
		n.fail(1007)
		return
	}
	if last {
		n.events = append(n.events, fmt.Sprintf("message %d %q", n.opcode, n.payload))
		n.opcode, n.payload = 0, nil
	}
}

// beginsText reports whether p is UTF-8, or, if it is not all, could become it.
func beginsText(p []byte, all bool) bool {
	for len(p) > 0 {
		if !utf8.FullRune(p) {
			return !all
		}
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 {
			return false
		}
		p = p[size:]
	}
	return true
}

// played is what the engine makes of a stream that comes in pieces. largest is
// the size of the largest piece.
func played(t *testing.T, cfg endpoint.Config, stream []byte, largest int, rng *rand.Rand) result {
	t.Helper()
	var out bytes.Buffer
	var r result
	e := endpoint.New(&out, cfg)
	var message []byte
	for len(stream) > 0 {
		piece := stream[:1+rng.IntN(min(largest, len(stream)))]
		stream = stream[len(piece):]
		for _, ev := range receive(e, piece) {
			switch ev.Kind {
			case endpoint.Partial:
				message = append(message, ev.Payload...)
				if ev.Payload == "" && !ev.Final {
					t.Error("an empty piece that is not the last")
				}
				if ev.Opcode == wire.Text && !beginsText(message, ev.Final) {
					t.Errorf("a text was delivered up to %q", message)
				}
				if ev.Final {
					r.events = append(r.events, fmt.Sprintf("message %d %q", ev.Opcode, message))
					message = nil
				}
			case endpoint.Message:
				if message != nil {
					t.Errorf("a whole message inside another, of which %q has come", message)
				}
				r.events = append(r.events, fmt.Sprintf("message %d %q", ev.Opcode, ev.Payload))
			case endpoint.Ping, endpoint.Pong:
				r.events = append(r.events, fmt.Sprintf("%v %q", map[endpoint.Kind]string{endpoint.Ping: "ping", endpoint.Pong: "pong"}[ev.Kind], ev.Payload))
			case endpoint.Closing:
				r.events = append(r.events, end(ev.Err))
			case endpoint.Failed:
				var failed *endpoint.FailError
				errors.As(ev.Err, &failed)
				r.events = append(r.events, fmt.Sprintf("fail %d", failed.Code))
			}
		}
	}
	r.end = end(e.Lost(io.EOF, nil))
	for _, f := range written(t, cfg.Role, out.Bytes()) {
		if f.Opcode == wire.Close {
			r.out = append(r.out, fmt.Sprintf("close %d", closeCode(f)))
		} else {
			r.out = append(r.out, fmt.Sprintf("%v %q", f.Opcode, f.Payload))
		}
	}
	return r
}

func end(err error) string {
	var closed *endpoint.CloseError
	var failed *endpoint.FailError
	var lost *endpoint.LostError
	switch {
	case errors.As(err, &closed):
		return fmt.Sprintf("closed with %d %q", closed.Code, closed.Reason)
	case errors.As(err, &failed):
		return fmt.Sprintf("failed with %d", failed.Code)
	case errors.As(err, &lost):
		return lost.Err.Error()
	}
	return fmt.Sprint(err)
}

// compare plays a stream under several cuts and holds what comes of it against
// the naive engine.
func compare(t *testing.T, role endpoint.Role, limits endpoint.Limits, stream []byte, seed uint64) {
	t.Helper()
	n := naive{role: role, frame: uint64(limits.Frame), message: uint64(limits.Message)}
	want := n.run(stream)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, partial := range []bool{false, true} {
		for _, largest := range []int{len(stream) + 1, 1, 2, 5, 50} {
			cfg := endpoint.Config{Role: role, Limits: limits, Partial: partial}
			got := played(t, cfg, stream, largest, rng)
			if !slices.Equal(got.events, want.events) || !slices.Equal(got.out, want.out) || got.end != want.end {
				t.Fatalf("seed %d, role %d, partial %v, pieces of up to %d bytes:\n% x\ngot  %q\nwant %q", seed, role, partial, largest, stream, got, want)
			}
		}
	}
}

// randomStream returns what a peer might send: mostly legal, so that it goes on
// for a while.
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
		case kind == 5: // anything at all
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

// What comes of a stream does not depend on how it is cut, and is what a naive
// engine makes of it (6455-5.2-l, 6455-5.2-n, 6455-8.1-d, 6455-8.1-e, T-A14, T-H11).
func TestRandomStreamsAgainstTheNaiveEngine(t *testing.T) {
	for seed := range uint64(6000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		role := endpoint.Role(rng.IntN(2))
		limits := []endpoint.Limits{{Frame: 1 << 20, Message: 1 << 20}, {Frame: 20, Message: 30}, {Frame: 126, Message: 126}}[rng.IntN(3)]
		compare(t, role, limits, randomStream(rng, role), seed)
	}
}

// Any bytes at all, in any pieces, from the inputs of the golden corpus on
// (6455-10.7-a, T-H11, T-C12).
func FuzzStream(f *testing.F) {
	for role, of := range map[corpus.Role]endpoint.Role{corpus.Client: endpoint.Client, corpus.Server: endpoint.Server} {
		seeds, err := corpus.Seeds(role, 4<<10)
		if err != nil {
			f.Fatal(err)
		}
		for _, stream := range seeds {
			f.Add(stream, of == endpoint.Server, uint16(200), uint64(1))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, server bool, limit uint16, seed uint64) {
		role := endpoint.Client
		if server {
			role = endpoint.Server
		}
		limits := endpoint.Limits{Frame: int64(limit)/2 + 1, Message: int64(limit) + 1}
		compare(t, role, limits, stream, seed)
	})
}
