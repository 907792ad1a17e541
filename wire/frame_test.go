package wire_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// key1 is the key of the examples of Section 5.7: 37 fa 21 3d on the wire.
const key1 wire.MaskingKey = 0x3d21fa37

// TestFrameOnTheWire compares both directions with one literal: the examples of
// Section 5.7, and frames that are invalid only at their position in a stream,
// which this package accepts.
func TestFrameOnTheWire(t *testing.T) {
	long, longer := strings.Repeat("0123456789abcdef", 16), strings.Repeat("0123456789abcdef", 4096)
	tests := []struct {
		name    string
		wire    string
		behind  string // the rest of the frame, where hex would be long
		header  wire.Header
		payload string
	}{
		{"5.7 text", "81 05 48656c6c6f", "",
			wire.Header{Fin: true, Opcode: wire.Text}, "Hello"},
		{"5.7 masked text", "81 85 37fa213d 7f9f4d5158", "",
			wire.Header{Fin: true, Opcode: wire.Text, Masked: true, Key: key1}, "Hello"},
		{"5.7 first fragment", "01 03 48656c", "",
			wire.Header{Opcode: wire.Text}, "Hel"},
		{"5.7 last fragment", "80 02 6c6f", "",
			wire.Header{Fin: true, Opcode: wire.Continuation}, "lo"},
		{"5.7 ping", "89 05 48656c6c6f", "",
			wire.Header{Fin: true, Opcode: wire.Ping}, "Hello"},
		{"5.7 masked pong", "8a 85 37fa213d 7f9f4d5158", "",
			wire.Header{Fin: true, Opcode: wire.Pong, Masked: true, Key: key1}, "Hello"},
		{"5.7 binary of 256 bytes", "82 7e 0100", long,
			wire.Header{Fin: true, Opcode: wire.Binary}, long},
		{"5.7 binary of 64 KiB", "82 7f 0000000000010000", longer,
			wire.Header{Fin: true, Opcode: wire.Binary}, longer},
		{"6455-5.2-j masked and empty", "81 80 00000000", "",
			wire.Header{Fin: true, Opcode: wire.Text, Masked: true}, ""},
		{"6455-5.2-k masked with the key 0, 126 bytes", "82 fe 007e 00000000", long[:126],
			wire.Header{Fin: true, Opcode: wire.Binary, Masked: true}, long[:126]},
		{"RSV1 without an extension", "c1 80 00000000", "",
			wire.Header{Fin: true, RSV: wire.RSV1, Opcode: wire.Text, Masked: true}, ""},
		{"nothing to continue", "80 80 00000000", "",
			wire.Header{Fin: true, Opcode: wire.Continuation, Masked: true}, ""},
		{"text that is no UTF-8", "81 02 c328", "",
			wire.Header{Fin: true, Opcode: wire.Text}, "\xc3\x28"},
		{"close of one byte", "88 81 00000000 03", "",
			wire.Header{Fin: true, Opcode: wire.Close, Masked: true}, "\x03"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := append(unhex(tt.wire), tt.behind...)
			if got := wire.AppendFrame([]byte("kept"), tt.header, []byte(tt.payload)); string(got) != "kept"+string(b) {
				t.Errorf("AppendFrame appends %.40x, want %.40x", got[4:], b)
			}
			tt.header.Length = int64(len(tt.payload))
			f, n, err := wire.DecodeFrame(append(slices.Clone(b), "next"...))
			if f.Header != tt.header || string(f.Payload) != tt.payload || n != len(b) || err != nil {
				t.Errorf("DecodeFrame(%.40x) = %+v %.40q, n %d, error %v; want %+v %.40q, n %d",
					b, f.Header, f.Payload, n, err, tt.header, tt.payload, len(b))
			}
		})
	}
}

// TestBadHeaderFailsTheFrame checks that DecodeFrame returns the errors of
// ParseHeader and leaves b unchanged.
func TestBadHeaderFailsTheFrame(t *testing.T) {
	tests := []struct {
		name string
		wire string
		want error
	}{
		{"6455-5.2-c", "83 85 37fa213d 7f9f4d5158", wire.ErrReservedOpcode},
		{"6455-5.4-c", "09 85 37fa213d 7f9f4d5158", wire.ErrFragmentedControl},
		{"6455-5.5-a", "89 fe 007e 37fa213d 7f9f4d5158", wire.ErrControlTooLong},
		{"6455-5.2-g in 16 bits", "82 fe 0005 37fa213d 7f9f4d5158", wire.ErrNonMinimalLength},
		{"6455-5.2-g in 64 bits", "82 ff 0000000000000005 37fa213d 7f9f4d5158", wire.ErrNonMinimalLength},
		{"6455-5.2-h T-A02", "82 ff 8000000000000005 37fa213d 7f9f4d5158", wire.ErrLengthTopBit},
		{"6455-5.2-h T-A01", "82 ff ffffffffffffffff 37fa213d 7f9f4d5158", wire.ErrLengthTopBit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(tt.wire)
			f, n, err := wire.DecodeFrame(b)
			if !errors.Is(err, tt.want) || n != 0 || f.Payload != nil {
				t.Errorf("DecodeFrame = payload %x, n %d, error %v; want error %v", f.Payload, n, err, tt.want)
			}
			if !bytes.Equal(b, unhex(tt.wire)) {
				t.Errorf("b became %x", b)
			}
		})
	}
}

// TestIncompleteFrameIsLeftAlone checks that nothing is unmasked before the
// frame is complete, so that the next call unmasks it once (6455-5.2-l, T-A14).
func TestIncompleteFrameIsLeftAlone(t *testing.T) {
	frames := [][]byte{
		unhex("81 85 37fa213d 7f9f4d5158"),
		unhex("89 80 37fa213d"),
		wire.AppendFrame(nil, wire.Header{Opcode: wire.Binary, Masked: true, Key: key1}, make([]byte, 300)),
		wire.AppendFrame(nil, wire.Header{Opcode: wire.Binary, Masked: true, Key: key1}, make([]byte, 66000))[:3000],
	}
	for _, frame := range frames {
		h, size, _ := wire.ParseHeader(frame)
		b := bytes.Clone(frame)
		for k := range len(b) {
			f, n, err := wire.DecodeFrame(b[:k])
			if n != 0 || err != nil || f.Payload != nil {
				t.Fatalf("DecodeFrame(%d bytes of %x) = payload %x, n %d, error %v; want need more", k, frame, f.Payload, n, err)
			}
			if k >= size && f.Header != h {
				t.Fatalf("DecodeFrame(%d bytes of %x) tells the header %+v, want %+v", k, frame, f.Header, h)
			}
		}
		check.Slices(t, b, frame, "incomplete")
	}
}

// TestHugeLengthIsNotTruncated checks lengths that exceed an int of 32 bits or
// overflow a sum (6455-5.2-i, T-A01, T-A04, T-A13).
func TestHugeLengthIsNotTruncated(t *testing.T) {
	tests := []struct {
		wire string
		want int64
	}{
		{"82 ff 000000007fffffff 37fa213d", math.MaxInt32},
		{"82 ff 0000000080000000 37fa213d", 1 << 31},
		{"82 ff 00000000ffffffff 37fa213d", 1<<32 - 1},
		{"82 ff 0000000100000000 37fa213d", 1 << 32},
		{"82 ff 0000000100000005 37fa213d", 1<<32 + 5},
		{"82 ff 0020000000000001 37fa213d", 1<<53 + 1},
		{"82 ff 7ffffffffffffff1 37fa213d", math.MaxInt64 - 14},
		{"82 ff 7fffffffffffffff 37fa213d", math.MaxInt64},
		{"82 7f 0000000100000005", 1<<32 + 5},
		{"82 7f 7fffffffffffffff", math.MaxInt64},
	}
	for _, tt := range tests {
		header := unhex(tt.wire)
		b := append(bytes.Clone(header), "Hello, and more"...)
		f, n, err := wire.DecodeFrame(b)
		if n != 0 || err != nil || f.Payload != nil || f.Length != tt.want {
			t.Errorf("DecodeFrame(%s) = length %#x, payload %q, n %d, error %v; want need more of %#x", tt.wire, f.Length, f.Payload, n, err, tt.want)
		}
		if string(b[len(header):]) != "Hello, and more" {
			t.Errorf("DecodeFrame(%s) touched the payload: %q", tt.wire, b[len(header):])
		}
	}
}

// TestPayloadIsPartOfTheInput checks that the payload aliases the input and
// that an append to it does not overwrite the next frame (T-A14).
func TestPayloadIsPartOfTheInput(t *testing.T) {
	first := unhex("81 85 37fa213d 7f9f4d5158")
	b := slices.Concat([]byte("before"), first, []byte("behind"))
	f, n, err := wire.DecodeFrame(b[6 : 6+len(first)])
	if n != len(first) || err != nil {
		t.Fatalf("n %d, error %v", n, err)
	}
	if &f.Payload[0] != &b[12] {
		t.Error("the payload is a copy")
	}
	if cap(f.Payload) != 5 {
		t.Errorf("the payload of 5 bytes has room for %d", cap(f.Payload))
	}
	if want := "before\x81\x85\x37\xfa\x21\x3dHellobehind"; string(b) != want {
		t.Errorf("b became %q, want %q", b, want)
	}
	if p := append(f.Payload, "!!!!!!"...); string(b[17:]) != "behind" || string(p) != "Hello!!!!!!" {
		t.Errorf("appending to the payload gave %q and left %q behind it", p, b[17:])
	}
}

// TestCallersPayloadIsNotMasked: 6455-5.3-f.
func TestCallersPayloadIsNotMasked(t *testing.T) {
	payload := []byte("Hello")
	h := wire.Header{Fin: true, Opcode: wire.Text, Masked: true, Key: key1, Length: 99}
	for _, dst := range [][]byte{nil, make([]byte, 0, 100)} {
		if got := wire.AppendFrame(dst, h, payload); !bytes.Equal(got, unhex("81 85 37fa213d 7f9f4d5158")) {
			t.Errorf("AppendFrame = %x", got)
		}
	}
	if string(payload) != "Hello" {
		t.Errorf("the caller's payload became %q", payload)
	}
}

// TestMaskingBeginsAtThePayload checks each offset of the payload in dst
// (6455-5.3-c).
func TestMaskingBeginsAtThePayload(t *testing.T) {
	h := wire.Header{Fin: true, Opcode: wire.Binary, Masked: true, Key: key1}
	payload := []byte("0123456789")
	masked := bytes.Clone(payload)
	naiveMask(masked, key1.Bytes())
	for before := range 9 {
		prefix := bytes.Repeat([]byte{0xee}, before)
		want := slices.Concat(prefix, unhex("82 8a 37fa213d"), masked)
		check.Slices(t, wire.AppendFrame(bytes.Clone(prefix), h, payload), want, "behind %d bytes", before)
	}
}

// randomStream returns consecutive frames, as a peer with an unknown extension
// sends them.
func randomStream(rng *rand.Rand, frames int) []byte {
	var b []byte
	for range frames {
		h := randomHeader(rng)
		size := int(h.Length % (wire.MaxControlPayload + 1))
		if !h.Opcode.IsControl() && rng.IntN(8) == 0 {
			size = rng.IntN(70000)
		}
		b = wire.AppendFrame(b, h, randomBytes(rng, size))
	}
	return b
}

// TestProxyCopiesFramesRaw checks that DecodeFrame and AppendFrame suffice for
// an intermediary that knows no extension and must not change a frame
// (6455-5.4-j), with any pieces of input (6455-5.2-l).
func TestProxyCopiesFramesRaw(t *testing.T) {
	rng := rand.New(rand.NewPCG(6455, 54))
	for range 20 {
		stream := randomStream(rng, 40)
		var buffered, out []byte
		for rest := stream; len(rest) > 0; {
			k := min(1+rng.IntN(1<<rng.IntN(17)), len(rest))
			buffered, rest = append(buffered, rest[:k]...), rest[k:]
			for {
				f, n, err := wire.DecodeFrame(buffered)
				check.Must(t, err)
				if n == 0 {
					break
				}
				out = wire.AppendFrame(out, f.Header, f.Payload)
				buffered = buffered[n:]
			}
		}
		if !bytes.Equal(out, stream) || len(buffered) != 0 {
			t.Fatalf("%d bytes in, %d out, %d kept; equal is %v", len(stream), len(out), len(buffered), bytes.Equal(out, stream))
		}
	}
}
