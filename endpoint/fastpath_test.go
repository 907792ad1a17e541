package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Complete messages in one input are the same as byte by byte: sizes around the
// forms of the length, with content that looks like a length.
func TestManyMessagesInOneInput(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		var input []byte
		var want []string
		for round := range 40 {
			for _, size := range []int{0, 1, 2, 124, 125, 126, 127, 200, 255, 256, 257, 300, 600} {
				payload := (strings.Repeat("\x00\x7e", round%3) + strings.Repeat("\x01\x02\x03", 200))[:size]
				want = append(want, payload)
				input = append(input, whole(role, wire.Binary, payload)...)
			}
		}
		for _, cut := range []int{1, 7, 300, len(input)} {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role})
			var got []string
			for rest := bytes.Clone(input); len(rest) > 0; {
				n := min(cut, len(rest))
				for _, ev := range receive(e, rest[:n]) {
					if ev.Kind != endpoint.KindMessage || ev.Opcode != wire.Binary {
						t.Fatalf("%+v", ev)
					}
					got = append(got, ev.Payload)
				}
				rest = rest[n:]
			}
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("in pieces of %d the messages differ", cut)
			}
		}
	})
}

// A length of 64 bits is not taken for one of 16.
func TestLongLengthIsNoShortOne(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, length := range []int64{0x80 << 40, 0x80 << 48} {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role})
			input := append(declaring(role, wire.Binary, length, true), make([]byte, 1000)...)
			if limit := limitError(t, receive(e, input)); limit.Seen != length {
				t.Errorf("%+v", limit)
			}
		}
	})
}

// A length that is not in its shortest form is refused, also if the message is
// complete (6455-5.2-g).
func TestLengthInTooLongAForm(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, length := range []int{0, 5, 125} {
			in := []byte{0x82, 126 | byte(role)<<7, 0, byte(length)}
			in = append(in, make([]byte, 4*int(role)+length)...)
			e := endpoint.New(io.Discard, endpoint.Config{Role: role})
			receive(e, in)
			if err := e.Err(); !errors.Is(err, wire.ErrNonMinimalLength) {
				t.Errorf("%d bytes with a length of 16 bits: %v", length, err)
			}
		}
	})
}

// ReceiveMessages and Receive together return the events of Receive, for any
// input, and count the same.
func TestReceiveMessagesIsReceive(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		message := func(s string) []byte { return whole(role, wire.Text, s) }
		one, two := message("one"), message(strings.Repeat("2", 200))
		for name, input := range map[string][]byte{
			"messages":    slices.Concat(one, two, message(""), one),
			"a Ping":      slices.Concat(one, two, whole(role, wire.Ping, "?"), one, one),
			"fragments":   slices.Concat(one, fromPeer(role, wire.Text, "a", false), fromPeer(role, wire.Continuation, "b", true), two),
			"not UTF-8":   slices.Concat(one, message("\xff"), two),
			"a Close":     slices.Concat(one, closeFromPeer(role, 1000, ""), two),
			"a rule":      slices.Concat(one, []byte("\x83\x00"), two),
			"a large one": slices.Concat(one, message(strings.Repeat("3", 70_000)), two),
		} {
			for _, cut := range []int{3, 150, len(input)} {
				var wantCount, count endpoint.Counters
				a, b := endpoint.New(io.Discard, endpoint.Config{Role: role}), endpoint.New(io.Discard, endpoint.Config{Role: role})
				a.SetCounters(&wantCount)
				b.SetCounters(&count)
				var want, got []event
				for piece := range slices.Chunk(input, cut) {
					want = append(want, receive(a, piece)...)
					rest := bytes.Clone(piece)
					left := -1 // unknown
					n := b.ReceiveMessages(rest, func(op wire.Opcode, p []byte, more bool) bool {
						got = append(got, event{Kind: endpoint.KindMessage, Opcode: op, Payload: string(p)})
						if left == 0 {
							t.Error("a message although there was no more input")
						}
						left = 1
						if !more {
							left = 0
						}
						return true
					})
					if left >= 0 && (left > 0) != (n < len(rest)) {
						t.Errorf("%s in pieces of %d: %d of %d bytes are consumed, more input is %d", name, cut, n, len(rest), left)
					}
					got = append(got, receive(b, rest[n:])...)
				}
				if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
					t.Errorf("%s in pieces of %d:\n%.300v, want\n%.300v", name, cut, got, want)
				}
				if count.Received.Load() != wantCount.Received.Load() {
					t.Errorf("%s in pieces of %d: counted %+v, want %+v", name, cut, count.Received.Load(), wantCount.Received.Load())
				}
			}
		}
	})
}

// ReceiveMessages stops when it is told to, and when the connection is aborted.
func TestReceiveMessagesStops(t *testing.T) {
	first := whole(endpoint.Server, wire.Text, "1")
	input := bytes.Repeat(first, 3)
	for name, stop := range map[string]func(e *endpoint.Endpoint) bool{
		"false": func(*endpoint.Endpoint) bool { return false },
		"Abort": func(e *endpoint.Endpoint) bool { e.Abort(nil, nil); return true },
	} {
		e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server})
		calls := 0
		n := e.ReceiveMessages(bytes.Clone(input), func(wire.Opcode, []byte, bool) bool { calls++; return stop(e) })
		if calls != 1 || n != len(first) {
			t.Errorf("%s: %d calls, %d bytes consumed, want 1 and %d", name, calls, n, len(first))
		}
	}
}
