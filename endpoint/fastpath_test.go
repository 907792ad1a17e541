package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
