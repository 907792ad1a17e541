package wire_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// naiveHeader follows the text of Section 5.2 for a complete header: b has at
// least MaxHeaderSize bytes. It returns the broken rule whose bytes are first
// on the wire.
func naiveHeader(b []byte) (h wire.Header, n int, err error) {
	h.Fin = b[0] >= 128
	h.RSV = wire.RSV(b[0] / 16 % 8 * 16)
	h.Opcode = wire.Opcode(b[0] % 16)
	h.Masked = b[1] >= 128

	length, least := uint64(b[1]%128), uint64(0)
	n = 2
	switch b[1] % 128 {
	case 126:
		n, least = 4, 126
	case 127:
		n, least = 10, 65536
	}
	if n > 2 {
		length = 0
		for _, c := range b[2:n] {
			length = length*256 + uint64(c)
		}
	}
	h.Length = int64(length)
	if h.Masked {
		h.Key = wire.NewMaskingKey([4]byte(b[n:]))
		n += 4
	}

	control := h.Opcode >= 8
	switch {
	case !slices.Contains([]wire.Opcode{0, 1, 2, 8, 9, 10}, h.Opcode):
		err = wire.ErrReservedOpcode
	case control && !h.Fin:
		err = wire.ErrFragmentedControl
	case control && b[1]%128 > 125:
		err = wire.ErrControlTooLong
	case length > math.MaxInt64:
		err = wire.ErrLengthTopBit
	case length < least:
		err = wire.ErrNonMinimalLength
	}
	return h, n, err
}

// arrived returns the fields of h that the first k bytes of its n bytes
// contain.
func arrived(h wire.Header, n, k int) wire.Header {
	lengthEnd := n
	if h.Masked {
		lengthEnd -= 4
	}
	if k < n {
		h.Key = 0
	}
	if k < lengthEnd {
		h.Length = 0
	}
	if k < 2 {
		h.Masked = false
	}
	if k < 1 {
		h = wire.Header{}
	}
	return h
}

// doomed reports whether no bytes after prefix complete a valid header. Two
// continuations suffice: zeros complete every control header, and 7f is a valid
// long length at any of its bytes.
func doomed(prefix []byte) bool {
	for _, fill := range []byte{0x00, 0x7f} {
		whole := append(slices.Clone(prefix), bytes.Repeat([]byte{fill}, wire.MaxHeaderSize)...)
		if _, _, err := naiveHeader(whole); err == nil {
			return false
		}
	}
	return true
}

// checkEveryPrefix compares ParseHeader with naiveHeader on every prefix of b,
// which has at least MaxHeaderSize bytes.
func checkEveryPrefix(t *testing.T, b []byte) {
	t.Helper()
	whole, size, broken := naiveHeader(b)
	dead := false
	for k := range len(b) + 1 {
		got, n, err := wire.ParseHeader(b[:k])
		dead = dead || broken != nil && doomed(b[:k])
		switch {
		case dead:
			if err != broken || n != 0 {
				t.Fatalf("ParseHeader(%x) = n %d, error %v; want n 0, error %v at this byte", b[:k], n, err, broken)
			}
		case k < size:
			if want := arrived(whole, size, k); err != nil || n != 0 || got != want {
				t.Fatalf("ParseHeader(%x) = %+v, n %d, error %v; want need more, with %+v", b[:k], got, n, err, want)
			}
		default:
			if err != nil || n != size || got != whole {
				t.Fatalf("ParseHeader(%x) = %+v, n %d, error %v; want %+v, n %d", b[:k], got, n, err, whole, size)
			}
		}
	}
}

// TestHeaderOnTheWire compares both directions with one literal.
func TestHeaderOnTheWire(t *testing.T) {
	const key = 0x3d21fa37 // 37 fa 21 3d on the wire
	tests := []struct {
		name string
		wire string
		want wire.Header
	}{
		{"6455-5.2-a FIN set", "81 05", wire.Header{Fin: true, Opcode: wire.Text, Length: 5}},
		{"6455-5.2-a FIN clear", "01 03", wire.Header{Opcode: wire.Text, Length: 3}},
		{"6455-5.2-d continuation", "80 02", wire.Header{Fin: true, Opcode: wire.Continuation, Length: 2}},
		{"6455-5.2-d binary", "82 01", wire.Header{Fin: true, Opcode: wire.Binary, Length: 1}},
		{"6455-5.2-d close", "88 02", wire.Header{Fin: true, Opcode: wire.Close, Length: 2}},
		{"6455-5.2-d ping", "89 00", wire.Header{Fin: true, Opcode: wire.Ping}},
		{"6455-5.2-d pong", "8a 7d", wire.Header{Fin: true, Opcode: wire.Pong, Length: 125}},
		{"RSV1 is left to the caller", "c1 00", wire.Header{Fin: true, RSV: wire.RSV1, Opcode: wire.Text}},
		{"RSV2 is left to the caller", "a1 00", wire.Header{Fin: true, RSV: wire.RSV2, Opcode: wire.Text}},
		{"RSV3 is left to the caller", "91 00", wire.Header{Fin: true, RSV: wire.RSV3, Opcode: wire.Text}},
		{"all reserved bits on a control frame", "f9 00", wire.Header{Fin: true, RSV: wire.RSV1 | wire.RSV2 | wire.RSV3, Opcode: wire.Ping}},
		{"6455-5.2-f length 0", "82 00", wire.Header{Fin: true, Opcode: wire.Binary}},
		{"6455-5.2-f length 1", "82 01", wire.Header{Fin: true, Opcode: wire.Binary, Length: 1}},
		{"6455-5.2-f length 125", "82 7d", wire.Header{Fin: true, Opcode: wire.Binary, Length: 125}},
		{"6455-5.2-f length 126", "82 7e 007e", wire.Header{Fin: true, Opcode: wire.Binary, Length: 126}},
		{"6455-5.2-f length 127", "82 7e 007f", wire.Header{Fin: true, Opcode: wire.Binary, Length: 127}},
		{"6455-5.2-e length 256 is big-endian", "82 7e 0100", wire.Header{Fin: true, Opcode: wire.Binary, Length: 256}},
		{"6455-5.2-f length 65535", "82 7e ffff", wire.Header{Fin: true, Opcode: wire.Binary, Length: 65535}},
		{"6455-5.2-f length 65536", "82 7f 0000000000010000", wire.Header{Fin: true, Opcode: wire.Binary, Length: 65536}},
		{"T-A13 length 2^32+5", "82 7f 0000000100000005", wire.Header{Fin: true, Opcode: wire.Binary, Length: 1<<32 + 5}},
		{"T-A04 length 2^53+1", "82 7f 0020000000000001", wire.Header{Fin: true, Opcode: wire.Binary, Length: 1<<53 + 1}},
		{"6455-5.2-i T-A01 length 2^63-1", "82 7f 7fffffffffffffff", wire.Header{Fin: true, Opcode: wire.Binary, Length: math.MaxInt64}},
		{"6455-5.2-j masked", "81 85 37fa213d", wire.Header{Fin: true, Opcode: wire.Text, Masked: true, Key: key, Length: 5}},
		{"6455-5.2-j masked and empty", "89 80 37fa213d", wire.Header{Fin: true, Opcode: wire.Ping, Masked: true, Key: key}},
		{"6455-5.2-k masked, 16 bits", "82 fe 007e 37fa213d", wire.Header{Fin: true, Opcode: wire.Binary, Masked: true, Key: key, Length: 126}},
		{"6455-5.2-k masked, 64 bits", "82 ff 0000000000010000 37fa213d", wire.Header{Fin: true, Opcode: wire.Binary, Masked: true, Key: key, Length: 65536}},
		{"6455-5.3-d masked with the key 0", "81 80 00000000", wire.Header{Fin: true, Opcode: wire.Text, Masked: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(tt.wire)
			if got := wire.AppendHeader([]byte("kept"), tt.want); string(got) != "kept"+string(b) {
				t.Errorf("AppendHeader(%+v) appends %x, want %x", tt.want, got[4:], b)
			}
			check.OKf(t, tt.want.Check(), "Check")
			for k := range b {
				got, n, err := wire.ParseHeader(b[:k])
				if want := arrived(tt.want, len(b), k); got != want || n != 0 || err != nil {
					t.Errorf("ParseHeader(%x) = %+v, n %d, error %v; want need more, with %+v", b[:k], got, n, err, want)
				}
			}
			for _, more := range []string{"", "\x00", "payload and the next frame"} {
				got, n, err := wire.ParseHeader(append(slices.Clone(b), more...))
				if got != tt.want || n != len(b) || err != nil {
					t.Errorf("ParseHeader(%x and %d bytes) = %+v, n %d, error %v; want %+v, n %d", b, len(more), got, n, err, tt.want, len(b))
				}
			}
		})
	}
}

// TestViolationLeavesWhatHasArrived checks that a header with an error has the
// fields up to the one that breaks the rule, including a length that is not
// minimal.
func TestViolationLeavesWhatHasArrived(t *testing.T) {
	tests := []struct {
		name string
		wire string
		want wire.Header
	}{
		{"6455-5.2-c reserved opcode", "d3 85", wire.Header{Fin: true, RSV: wire.RSV1 | wire.RSV3, Opcode: 3}},
		{"6455-5.4-c fragmented ping", "29 85", wire.Header{RSV: wire.RSV2, Opcode: wire.Ping}},
		{"6455-5.5-a control frame too long", "f9 fe 007e", wire.Header{Fin: true, RSV: 0x70, Opcode: wire.Ping, Masked: true}},
		{"6455-5.2-g 5 in 16 bits", "02 fe 0005", wire.Header{Opcode: wire.Binary, Masked: true, Length: 5}},
		{"6455-5.2-g 5 in 64 bits", "c2 ff 0000000000000005", wire.Header{Fin: true, RSV: wire.RSV1, Opcode: wire.Binary, Masked: true}},
		{"6455-5.2-h top bit", "81 ff 80", wire.Header{Fin: true, Opcode: wire.Text, Masked: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, n, err := wire.ParseHeader(unhex(tt.wire)); got != tt.want || n != 0 || err == nil {
				t.Errorf("ParseHeader(%s) = %+v, n %d, error %v; want %+v and an error", tt.wire, got, n, err, tt.want)
			}
		})
	}
}

// TestLongestHeader has 2 bytes, a length of 8 and a key of 4 (6455-5.2-f, -j).
func TestLongestHeader(t *testing.T) {
	b := wire.AppendHeader(nil, wire.Header{Masked: true, Length: 1 << 16})
	if len(b) != 14 || wire.MaxHeaderSize != 14 {
		t.Errorf("%d bytes, MaxHeaderSize is %d; want 14", len(b), wire.MaxHeaderSize)
	}
}

// TestEveryFirstTwoBytes checks all 2^16 values, with the boundary values of
// the length, and every prefix of each (T-A03, T-H11). An error is returned with
// the byte that breaks the rule, neither later nor earlier (6455-5.2-c, -g, -h,
// -n, 6455-5.4-c, 6455-5.5-a, T-A01, T-A02).
func TestEveryFirstTwoBytes(t *testing.T) {
	lengths16 := []uint64{0, 1, 125, 126, 127, 128, 255, 256, 0x7fff, 0x8000, 0xff00, 0xffff}
	lengths64 := []uint64{0, 1, 125, 126, 127, 0xff00, 0xffff, 0x10000, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 5,
		1 << 48, 1<<53 + 1, 1<<56 - 1, 1 << 56, 1<<63 - 1, 1 << 63, 1<<63 + 5, 1<<64 - 1}
	for first := range 256 {
		for second := range 256 {
			shift, lengths := 48, lengths16
			switch second % 128 {
			case 127:
				shift, lengths = 0, lengths64
			case 126:
			default:
				lengths = lengths16[:1]
			}
			for _, length := range lengths {
				b := make([]byte, 0, wire.MaxHeaderSize)
				b = append(b, byte(first), byte(second))
				for at := 56; at >= 0; at -= 8 {
					b = append(b, byte(length<<shift>>at))
				}
				checkEveryPrefix(t, append(b, 0xde, 0xad, 0xbe, 0xef))
			}
		}
	}
}

// randomHeader returns a valid header with a short or a long length.
func randomHeader(rng *rand.Rand) wire.Header {
	opcodes := []wire.Opcode{wire.Continuation, wire.Text, wire.Binary, wire.Close, wire.Ping, wire.Pong}
	h := wire.Header{
		Fin:    rng.IntN(2) == 0,
		RSV:    wire.RSV(rng.IntN(8) << 4),
		Opcode: opcodes[rng.IntN(len(opcodes))],
		Length: int64(rng.Uint64() >> (1 + rng.IntN(63))),
	}
	if h.Opcode.IsControl() {
		h.Fin = true
		h.Length %= wire.MaxControlPayload + 1
	}
	if rng.IntN(2) == 0 {
		h.Masked, h.Key = true, wire.MaskingKey(rng.Uint32())
	}
	return h
}

// TestHeaderComesBackAsItWent checks that parsing a written header returns it,
// and that the header has the fewest bytes (6455-5.2-a, -d, -e, -f, -j, -k).
func TestHeaderComesBackAsItWent(t *testing.T) {
	rng := rand.New(rand.NewPCG(6455, 52))
	for range 20000 {
		h := randomHeader(rng)
		b := wire.AppendHeader(nil, h)
		shortest := 2
		if h.Length > 125 {
			shortest = 4
		}
		if h.Length > 65535 {
			shortest = 10
		}
		if h.Masked {
			shortest += 4
		}
		if len(b) != shortest || len(b) > wire.MaxHeaderSize {
			t.Fatalf("AppendHeader(%+v) appends %d bytes, want %d", h, len(b), shortest)
		}
		if got, n, err := wire.ParseHeader(b); got != h || n != len(b) || err != nil {
			t.Fatalf("ParseHeader(%x) = %+v, n %d, error %v; want %+v", b, got, n, err, h)
		}
		checkEveryPrefix(t, append(b, make([]byte, wire.MaxHeaderSize)...))
	}
}

// TestHeaderIsWrittenAsTold checks that AppendHeader writes headers that Check
// rejects, for tests and proxies. A value that does not fit its field does not
// change the fields beside it.
func TestHeaderIsWrittenAsTold(t *testing.T) {
	tests := []struct {
		name   string
		header wire.Header
		want   string
	}{
		{"reserved opcode", wire.Header{Fin: true, Opcode: 0xb}, "8b 00"},
		{"fragmented ping", wire.Header{Opcode: wire.Ping, Length: 4}, "09 04"},
		{"ping of 126 bytes", wire.Header{Fin: true, Opcode: wire.Ping, Length: 126}, "89 7e 007e"},
		{"negative length", wire.Header{Fin: true, Opcode: wire.Binary, Length: -1}, "82 7f ffffffffffffffff"},
		{"least length", wire.Header{Fin: true, Opcode: wire.Binary, Length: math.MinInt64}, "82 7f 8000000000000000"},
		{"key of a frame that is not masked", wire.Header{Fin: true, Opcode: wire.Binary, Key: 0x04030201}, "82 00"},
		{"opcode over four bits", wire.Header{Opcode: 0xf1}, "01 00"},
		{"RSV outside its bits", wire.Header{RSV: 0x8f, Opcode: wire.Text}, "01 00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := wire.AppendHeader(nil, tt.header); !bytes.Equal(got, unhex(tt.want)) {
				t.Errorf("AppendHeader(%+v) = %x, want %s", tt.header, got, tt.want)
			}
		})
	}
}

// TestCheckNamesTheFirstBrokenRule checks headers that were not parsed.
func TestCheckNamesTheFirstBrokenRule(t *testing.T) {
	tests := []struct {
		name   string
		header wire.Header
		want   error
	}{
		{"zero header", wire.Header{}, nil},
		{"6455-5.5-a longest ping", wire.Header{Fin: true, Opcode: wire.Ping, Length: 125}, nil},
		{"6455-5.2-i longest binary", wire.Header{Opcode: wire.Binary, Length: math.MaxInt64}, nil},
		{"RSV is not judged", wire.Header{Fin: true, RSV: wire.RSV2, Opcode: wire.Close}, nil},
		{"6455-5.2-c opcode 3", wire.Header{Fin: true, Opcode: 3}, wire.ErrReservedOpcode},
		{"6455-5.2-c opcode b, fragmented, long", wire.Header{Opcode: 0xb, Length: 126}, wire.ErrReservedOpcode},
		{"6455-5.2-c opcode over four bits", wire.Header{Fin: true, Opcode: 0x11}, wire.ErrReservedOpcode},
		{"6455-5.4-c fragmented pong, long", wire.Header{Opcode: wire.Pong, Length: 126}, wire.ErrFragmentedControl},
		{"6455-5.5-b ping of 126 bytes", wire.Header{Fin: true, Opcode: wire.Ping, Length: 126}, wire.ErrControlTooLong},
		{"6455-5.5-b close of 2^32 bytes", wire.Header{Fin: true, Opcode: wire.Close, Length: 1 << 32}, wire.ErrControlTooLong},
		{"6455-5.2-h negative length", wire.Header{Fin: true, Opcode: wire.Text, Length: -1}, wire.ErrLengthTopBit},
		{"6455-5.2-h negative length on a ping", wire.Header{Fin: true, Opcode: wire.Ping, Length: math.MinInt64}, wire.ErrLengthTopBit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.header.Check(); !errors.Is(err, tt.want) {
				t.Errorf("%+v.Check() = %v, want %v", tt.header, err, tt.want)
			}
		})
	}
}

var benchmarkHeaders = []wire.Header{
	{Fin: true, Opcode: wire.Text, Length: 125},
	{Fin: true, Opcode: wire.Text, Length: 125, Masked: true, Key: 0x3d21fa37},
	{Fin: true, Opcode: wire.Binary, Length: 16 << 10},
	{Fin: true, Opcode: wire.Binary, Length: 16 << 10, Masked: true, Key: 0x3d21fa37},
	{Fin: true, Opcode: wire.Binary, Length: 1 << 20},
	{Fin: true, Opcode: wire.Binary, Length: 1 << 20, Masked: true, Key: 0x3d21fa37},
}

func benchmarkHeaderName(h wire.Header) string {
	name := "plain/"
	if h.Masked {
		name = "masked/"
	}
	return name + strconv.FormatInt(h.Length, 10)
}

func BenchmarkParseHeader(b *testing.B) {
	for _, h := range benchmarkHeaders {
		b.Run(benchmarkHeaderName(h), func(b *testing.B) {
			p := wire.AppendHeader(nil, h)
			b.ReportAllocs()
			for b.Loop() {
				if _, n, err := wire.ParseHeader(p); n != len(p) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	for _, h := range benchmarkHeaders {
		b.Run(benchmarkHeaderName(h), func(b *testing.B) {
			buf := make([]byte, 0, wire.MaxHeaderSize)
			b.ReportAllocs()
			for b.Loop() {
				buf = wire.AppendHeader(buf[:0], h)
			}
		})
	}
}
