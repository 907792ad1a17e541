package endpoint_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/flatepeer"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wire/deflate"
)

// agree returns the compression of the role after a server's answer. The whole
// window, of 15 bits, is allowed and used.
func agree(t testing.TB, role endpoint.Role, answer string) endpoint.Compression {
	t.Helper()
	return agreeAs(t, role, answer, &permessage.Deflate{WindowBits: 15, Threshold: -1})
}

func agreeAs(t testing.TB, role endpoint.Role, answer string, o *permessage.Deflate) endpoint.Compression {
	t.Helper()
	var c endpoint.Compression
	list, err := handshake.ParseExtensions(nil, answer)
	switch {
	case err != nil:
	case role == endpoint.Client:
		response := &handshake.Response{Header: handshake.Header{{Name: "Sec-WebSocket-Extensions", Value: answer}}}
		c, err = o.Negotiate(response, &handshake.ClientOffer{Extensions: o.Offers()})
	default:
		c, err = o.Accepted(list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	takeover   = "permessage-deflate"
	noTakeover = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
)

// deflated returns the payload of a compressed message.
func deflated(text string) string {
	return string(flatepeer.NewDeflater(6, true).Message([]byte(text)))
}

// compressedFrame returns a frame of the peer with RSV1.
func compressedFrame(role endpoint.Role, op wire.Opcode, payload string, fin bool) []byte {
	h := wire.Header{Fin: fin, RSV: wire.RSV1, Opcode: op, Masked: role == endpoint.Server, Key: peerKey}
	return wire.AppendFrame(nil, h, []byte(payload))
}

// fromHex returns the bytes of s, which may contain spaces.
func fromHex(t testing.TB, s string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eachDelivery runs f for both roles, with and without pieces.
func eachDelivery(t *testing.T, f func(t *testing.T, role endpoint.Role, partial bool)) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		t.Run("whole", func(t *testing.T) { f(t, role, false) })
		t.Run("pieces", func(t *testing.T) { f(t, role, true) })
	})
}

// messages joins the pieces of events into messages. Control frames and ends
// are described in angle brackets.
func messages(t testing.TB, events []event) []string {
	t.Helper()
	var all []string
	var unfinished *string
	for _, ev := range events {
		switch ev.Kind {
		case endpoint.KindMessage:
			if unfinished != nil {
				t.Error("a message inside a message")
			}
			all = append(all, ev.Payload)
		case endpoint.KindPartial:
			if unfinished == nil {
				unfinished = new(string)
			}
			if *unfinished += ev.Payload; ev.Final {
				all, unfinished = append(all, *unfinished), nil
			} else if ev.Payload == "" {
				t.Error("an empty piece that is not the last")
			}
		case endpoint.KindPing:
			all = append(all, "<ping>")
		case endpoint.KindFailed:
			all = append(all, fmt.Sprintf("<%d>", ev.Err.(*endpoint.FailError).Code))
			unfinished = nil // its pieces are delivered
		}
	}
	if unfinished != nil {
		all = append(all, "<unfinished>")
	}
	return all
}

// The examples of RFC 7692, Section 7.2.3, and other legal streams, in every
// split into pieces of one size (7692-7.2.3-a, 7692-7.2.2-a, -b, -c, 7692-6-e,
// -f, 7692-7.2.1-c, -d, -e, T-B08).
func TestCompressedMessages(t *testing.T) {
	const hello, again = "f248cdc9c90700", "f200110000"
	for _, c := range []struct {
		name   string
		answer string
		frames []string // first byte and payload, in hexadecimal
		want   []string
	}{
		{"7.2.3.1 one block", takeover, []string{"c1 " + hello}, []string{"Hello"}},
		{"7.2.3.1 fragments", takeover, []string{"41 f248cd", "80 c9c90700"}, []string{"Hello"}},
		{"a Ping between fragments", takeover, []string{"41 f248cd", "89 ", "80 c9c90700"}, []string{"<ping>", "Hello"}},
		{"empty fragments", takeover, []string{"41 ", "00 f248cd", "00 ", "00 c9c90700", "80 "}, []string{"Hello"}},
		{"7.2.3.2 context takeover", takeover, []string{"c1 " + hello, "c1 " + again}, []string{"Hello", "Hello"}},
		{"7.2.3.2 an uncompressed message does not enter the window", takeover, []string{"c1 " + hello, "81 706c61696e", "c1 " + again}, []string{"Hello", "plain", "Hello"}},
		{"7.2.3.2 no context takeover", noTakeover, []string{"c1 " + hello, "c1 " + hello}, []string{"Hello", "Hello"}},
		{"7.2.3.3 stored block", takeover, []string{"c1 000500faff48656c6c6f00"}, []string{"Hello"}},
		{"7.2.3.4 BFINAL", takeover, []string{"c1 f348cdc9c9070000", "c1 " + again}, []string{"Hello", "Hello"}},
		{"data behind BFINAL", takeover, []string{"c1 f348cdc9c90700 f248cdc9c90700"}, []string{"HelloHello"}},
		{"7.2.3.5 two blocks", takeover, []string{"c1 f248050000 00ffffcac9c90700"}, []string{"Hello"}},
		{"7.2.3.6 empty", takeover, []string{"c1 00", "c1 0200", "41 00", "80 "}, []string{"", "", ""}},
		{"no bytes", takeover, []string{"c1 ", "c1 " + hello}, []string{"", "Hello"}},
		{"binary", takeover, []string{"c2 " + hello, "c2 " + again}, []string{"Hello", "Hello"}},
		{"corrupt: the reference has nothing to refer to", takeover, []string{"c1 " + again}, []string{"<1007>"}},
		{"corrupt: the same after a reset", noTakeover, []string{"c1 " + hello, "c1 " + again}, []string{"Hello", "<1007>"}},
		{"corrupt: no block", takeover, []string{"c1 ffffffffff"}, []string{"<1007>"}},
		{"corrupt: truncated", takeover, []string{"c1 f248cdc9"}, []string{"<1007>"}},
		{"corrupt: in the last fragment", takeover, []string{"41 f248cd", "80 ff"}, []string{"<1007>"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
				var in []byte
				for _, frame := range c.frames {
					first, payload, _ := strings.Cut(frame, " ")
					h := wire.Header{Masked: role == endpoint.Server, Key: peerKey}
					bits := fromHex(t, first)[0]
					h.Fin, h.RSV, h.Opcode = bits&0x80 != 0, wire.RSV(bits&0x70), wire.Opcode(bits&0x0f)
					in = wire.AppendFrame(in, h, []byte(fromHex(t, payload)))
				}
				for size := 1; size <= len(in); size++ {
					e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: agree(t, role, c.answer)})
					var events []event
					for piece := range slices.Chunk(in, size) {
						events = append(events, receive(e, piece)...)
					}
					if got := messages(t, events); !slices.Equal(got, c.want) {
						t.Errorf("in pieces of %d: got %q, want %q", size, got, c.want)
					}
				}
			})
		})
	}
}

// RSV1 marks the first frame of a message only, and the other reserved bits
// still break a rule (7692-6-b, -c, -d).
func TestReservedBitsOfOtherFrames(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, c := range []struct {
			name string
			rsv  wire.RSV
			op   wire.Opcode
			want string
		}{
			{"RSV1 on a continuation", wire.RSV1, wire.Continuation, "RSV1"},
			{"RSV1 on a Ping", wire.RSV1, wire.Ping, "RSV1"},
			{"RSV1 on a Pong", wire.RSV1, wire.Pong, "RSV1"},
			{"RSV1 on a Close", wire.RSV1, wire.Close, "RSV1"},
			{"RSV2", wire.RSV2, wire.Text, "reserved bit"},
			{"RSV3", wire.RSV3, wire.Binary, "reserved bit"},
			{"RSV1 and RSV2", wire.RSV1 | wire.RSV2, wire.Text, "reserved bit"},
			{"RSV1 and RSV3", wire.RSV1 | wire.RSV3, wire.Text, "reserved bit"},
			{"RSV2 on a Ping", wire.RSV2, wire.Ping, "reserved bit"},
		} {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Compression: agree(t, role, takeover)})
			if c.op == wire.Continuation {
				receive(e, compressedFrame(role, wire.Text, "\xf2", false))
			}
			h := wire.Header{Fin: true, RSV: c.rsv, Opcode: c.op, Masked: role == endpoint.Server, Key: peerKey}
			events := receive(e, wire.AppendFrame(nil, h, nil))
			if got := messages(t, events); !slices.Equal(got, []string{"<1002>"}) || !strings.Contains(e.Err().Error(), c.want) {
				t.Errorf("%s: got %q, %v", c.name, got, e.Err())
			}
		}
	})
}

// Without compression RSV1 breaks a rule in every frame (6455-9.1-c, T-B05).
func TestCompressedMessageWithoutAgreement(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role})
		events := receive(e, compressedFrame(role, wire.Text, fromHex(t, "f248cdc9c90700"), true))
		if got := messages(t, events); !slices.Equal(got, []string{"<1002>"}) {
			t.Errorf("got %q", got)
		}
	})
}

// The decompressed text must be UTF-8, the compressed payload need not be
// (7692-6-g, 6455-8.1-f). It is checked as it is decompressed.
func TestCompressedText(t *testing.T) {
	for _, c := range []struct {
		text  string
		valid bool
	}{
		{"κόσμε", true},
		{strings.Repeat("κόσμε, ", 30_000), true},
		{"κόσμ\xce", false},
		{"\xff", false},
		{strings.Repeat("κόσμε, ", 30_000) + "\xff", false},
		{strings.Repeat("a", 32<<10-1) + "é", true}, // across two pieces
		{strings.Repeat("a", 64<<10-2) + "€", true},
	} {
		eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: agree(t, role, takeover)})
			got := messages(t, receive(e, compressedFrame(role, wire.Text, deflated(c.text), true)))
			if c.valid && !slices.Equal(got, []string{c.text}) {
				t.Errorf("got %.100q, %v", got, e.Err())
			}
			if !c.valid && (len(got) == 0 || got[0] != "<1007>" || !errors.Is(e.Err(), wire.ErrInvalidUTF8)) {
				t.Errorf("got %.100q, %v", got, e.Err())
			}
		})
	}
}

// A message that decompresses to more than the limit fails with 1009, one of
// exactly the limit does not (7692-7.2.2-e, T-B03), whatever the pieces. The
// compressed payload may be a little larger than the limit.
func TestLimitsOfDecompressedMessages(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	zeros := strings.Repeat("\x00", 100_001)
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		for _, c := range []struct {
			name, text string
			ok         bool
		}{
			{"the limit", zeros[:100_000], true},
			{"one byte more", zeros, false},
			{"the limit, not compressible", string(noise), true},
			{"one byte more, not compressible", string(noise) + "x", false},
		} {
			for _, size := range []int{97, 1000, 1 << 20} {
				e, out := recorded(endpoint.Config{Role: role, Partial: partial, Limits: endpoint.Limits{Message: 100_000}, Compression: agree(t, role, takeover)})
				var events []event
				for piece := range slices.Chunk(compressedFrame(role, wire.Binary, deflated(c.text), true), size) {
					events = append(events, receive(e, piece)...)
				}
				got := messages(t, events)
				if c.ok && !slices.Equal(got, []string{c.text}) {
					t.Errorf("%s: got %.50q, %v", c.name, got, e.Err())
				}
				var limit *endpoint.LimitError
				if !c.ok && (len(got) == 0 || got[0] != "<1009>" || !errors.As(e.Err(), &limit) || limit.Option != "Limits.Message" || limit.Limit != "decompressed message" || limit.Max != 100_000 || limit.Seen != 100_001) {
					t.Errorf("%s: got %.50q, %v", c.name, got, e.Err())
				}
				if frames := written(t, role, out.Bytes()); !c.ok && (len(frames) != 1 || string(frames[0].Payload) != "\x03\xf1decompressed message exceeds the size limit") {
					t.Errorf("%s: the peer is told %v", c.name, frames)
				}
			}
		}
	})
}

// The compressed payload has a limit too, which is checked at the header: empty
// blocks decompress to nothing.
func TestLimitsOfCompressedPayloads(t *testing.T) {
	const limit = 80_000
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, c := range []struct {
			limit, length int64
			want          []string
		}{
			{limit, limit + limit/8 + 64, nil},
			{limit, limit + limit/8 + 65, []string{"<1009>"}},
			{math.MaxInt64 / 2, math.MaxInt64, []string{"<1009>"}},
			{math.MaxInt64/2 + 1, math.MaxInt64, nil},
		} {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: endpoint.Limits{Message: c.limit}, Compression: agree(t, role, takeover)})
			h := wire.Header{Fin: true, RSV: wire.RSV1, Opcode: wire.Binary, Masked: role == endpoint.Server, Length: c.length}
			if got := messages(t, receive(e, wire.AppendHeader(nil, h))); !slices.Equal(got, c.want) {
				t.Errorf("%d bytes: got %q, %v", c.length, got, e.Err())
			}

			// The same in two frames: an empty block, and the rest.
			e = endpoint.New(io.Discard, endpoint.Config{Role: role, Limits: endpoint.Limits{Message: c.limit}, Compression: agree(t, role, takeover)})
			empty := fromHex(t, "000000ffff")
			in := compressedFrame(role, wire.Binary, empty, false)
			in = append(in, declaring(role, wire.Continuation, c.length-int64(len(empty)), true)...)
			if got := messages(t, receive(e, in)); !slices.Equal(got, c.want) {
				t.Errorf("%d bytes in two frames: got %q, %v", c.length, got, e.Err())
			}
		}
	})
}

// Without a limit a frame may be longer than an int of 32 bits can say. The
// bytes that have arrived are decompressed.
func TestCompressedFrameOfAnyLength(t *testing.T) {
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		for _, length := range []int64{math.MaxInt32, math.MaxInt32 + 1, math.MaxInt64} {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Limits: endpoint.Limits{Message: -1}, Compression: agree(t, role, takeover)})
			in := wire.AppendHeader(nil, wire.Header{Fin: true, RSV: wire.RSV1, Opcode: wire.Text, Masked: role == endpoint.Server, Length: length})
			in = append(in, fromHex(t, "f248cdc9c90700 0000ffff")...)
			var want []string
			if partial {
				want = []string{"<unfinished>"}
			}
			if got := messages(t, receive(e, in)); !slices.Equal(got, want) || e.Err() != nil {
				t.Errorf("%d bytes: got %q, %v", length, got, e.Err())
			}
		}
	})
}

// A bomb costs no more memory than the limit: with pieces, one piece (T-B01,
// T-B02).
func TestBomb(t *testing.T) {
	const limit = 1 << 20
	bomb := deflated(strings.Repeat("\x00", 64<<20))
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Limits: endpoint.Limits{Message: limit}, Compression: agree(t, role, takeover)})
		in := compressedFrame(role, wire.Binary, bomb, true)
		pieces, largest := 0, 0
		before := heap()
		for rest := in; ; {
			ev, n := e.Receive(time.Time{}, rest)
			rest = rest[n:]
			if ev.Kind == endpoint.KindFailed {
				if code := ev.Err.(*endpoint.FailError).Code; code != wire.MessageTooBig {
					t.Errorf("failed with %d", code)
				}
				break
			}
			if ev.Kind != endpoint.KindPartial || !partial {
				t.Fatalf("got %+v", ev)
			}
			pieces, largest = pieces+1, max(largest, len(ev.Payload))
		}
		if largest > 32<<10 || partial && pieces != limit/(32<<10) {
			t.Errorf("%d pieces of up to %d bytes", pieces, largest)
		}
		if growth := heap() - before; growth > 64<<10 {
			t.Errorf("%d bytes are kept", growth)
		}
	})
}

// The last byte of the input is consumed when all of its output has been
// returned: a caller that stops with an empty input loses nothing, and one that
// pauses has input left.
func TestInputIsConsumedWithItsOutput(t *testing.T) {
	text := strings.Repeat("a", 1<<20)
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: true, Compression: agree(t, role, takeover)})
		in := compressedFrame(role, wire.Text, deflated(text), true)
		var got int
		for rest := in; len(rest) > 0; {
			ev, n := e.Receive(time.Time{}, rest)
			rest = rest[n:]
			got += len(ev.Payload)
			if ev.Kind != endpoint.KindPartial || ev.Final != (len(rest) == 0) || ev.Final != (got == len(text)) {
				t.Fatalf("after %d bytes, %d of the input left: %v, final is %v", got, len(rest), ev.Kind, ev.Final)
			}
		}
	})
}

// A message border is FIN: bytes of one message never reach the next (T-B07).
func TestCompressedMessagesDoNotMix(t *testing.T) {
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: agree(t, role, takeover)})
		in := slices.Concat(
			compressedFrame(role, wire.Text, fromHex(t, "f348cdc9c90700 f248cdc9c90700"), true), // BFINAL, and more behind it
			compressedFrame(role, wire.Text, fromHex(t, "f200110000"), true))
		if got := messages(t, receive(e, in)); !slices.Equal(got, []string{"HelloHello", "Hello"}) {
			t.Errorf("got %q", got)
		}
	})
}

// No connection sees the text of another one (T-B11).
func TestWindowsAreNotShared(t *testing.T) {
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		for range 10 {
			for _, c := range []struct{ payload, want string }{{"f248cdc9c90700", "Hello"}, {"f200110000", "<1007>"}} {
				e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: agree(t, role, takeover)})
				got := messages(t, receive(e, compressedFrame(role, wire.Text, fromHex(t, c.payload), true)))
				if !slices.Equal(got, []string{c.want}) {
					t.Fatalf("got %q, want %q", got, c.want)
				}
			}
		}
	})
}

// Decompressed bytes count against Limits.BytesPerSecond.
func TestRateOfDecompressedBytes(t *testing.T) {
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Limits: endpoint.Limits{BytesPerSecond: 100_000}, Compression: agree(t, role, takeover)})
		d := flatepeer.NewDeflater(6, true)
		now := time.Now()
		if got := messages(t, receiveAt(e, now, compressedFrame(role, wire.Text, string(d.Message(bytes.Repeat([]byte("a"), 90_000))), true))); len(got) != 1 || len(got[0]) != 90_000 {
			t.Errorf("got %.100q, %v", got, e.Err())
		}
		limit := limitError(t, receiveAt(e, now, compressedFrame(role, wire.Text, string(d.Message(bytes.Repeat([]byte("a"), 20_000))), true)))
		if limit.Option != "Limits.BytesPerSecond" {
			t.Errorf("%v", limit)
		}
	})
}

// Invalid data is a *CompressionError with the decompressor's reason
// (7692-7.2.2-d).
func TestErrorOfInvalidData(t *testing.T) {
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		e, out := recorded(endpoint.Config{Role: role, Partial: partial, Compression: agree(t, role, takeover)})
		receive(e, compressedFrame(role, wire.Text, "\xff", true))
		if frames := written(t, role, out.Bytes()); len(frames) != 1 || string(frames[0].Payload) != "\x03\xefinvalid compressed data" {
			t.Errorf("the peer is told %v", frames)
		}
		var invalid *endpoint.CompressionError
		var reason *deflate.FormatError
		var rule *wire.Error
		if err := e.Err(); !errors.As(err, &invalid) || !errors.As(err, &reason) || !errors.As(err, &rule) || rule.Code != wire.InvalidFramePayloadData ||
			!strings.HasPrefix(invalid.Error(), "websocket: invalid compressed message: ") {
			t.Errorf("got %v", err)
		}
	})
}

// Decompressing reports a compressed message, from the header of its first
// frame to its end. Its payload has no place in a ReadBuffer.
func TestDecompressing(t *testing.T) {
	eachDelivery(t, func(t *testing.T, role endpoint.Role, partial bool) {
		e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial, Compression: agree(t, role, takeover)})
		byByte := func(name string, frame []byte, payload int, before, inside, after bool) {
			t.Helper()
			for i := range frame {
				receive(e, frame[i:i+1])
				want := before
				switch {
				case i == len(frame)-1:
					want = after
				case i >= len(frame)-payload-1:
					want = inside
				}
				if got := e.Decompressing(); got != want {
					t.Errorf("%s: after %d bytes it is %v", name, i+1, got)
				}
			}
		}
		byByte("no message", whole(role, wire.Ping, "?"), 1, false, false, false)
		byByte("first frame", compressedFrame(role, wire.Text, fromHex(t, "f248cd"), false), 3, false, true, true)
		byByte("Ping", whole(role, wire.Ping, "?"), 1, true, true, true)
		byByte("last frame", fromPeer(role, wire.Continuation, fromHex(t, "c9c90700"), true), 4, true, true, false)
		byByte("uncompressed", fromPeer(role, wire.Text, "Hello", false), 5, false, false, false)
		receive(e, fromPeer(role, wire.Continuation, "", true))

		h := wire.Header{RSV: wire.RSV1, Opcode: wire.Binary, Masked: role == endpoint.Server, Length: 1 << 20}
		receive(e, append(wire.AppendHeader(nil, h), fromHex(t, "f248cdc9c90700 0000ffff")...))
		if in := e.ReadBuffer(1 << 20); in != nil || e.Err() != nil {
			t.Errorf("room for %d bytes (%v)", len(in), e.Err())
		}
	})
}
