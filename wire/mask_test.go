package wire_test

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// naiveMask is the definition of Section 5.3.
func naiveMask(p []byte, key [4]byte) {
	for i := range p {
		p[i] ^= key[i%4]
	}
}

// rotated is the key as a piece sees it that begins n bytes into the payload.
func rotated(key [4]byte, n int) wire.MaskingKey {
	return wire.NewMaskingKey([4]byte{key[n%4], key[(n+1)%4], key[(n+2)%4], key[(n+3)%4]})
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// TestMaskIsTheDefinition goes through lengths, places in memory and cuts into
// two pieces, and looks at the bytes around the payload too (6455-5.3-c, T-A13,
// T-A14).
func TestMaskIsTheDefinition(t *testing.T) {
	const longest, offsets, margin = 300, 16, 16
	rng := rand.New(rand.NewPCG(6455, 53))
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	plain := randomBytes(rng, offsets+longest+margin)
	want, got := make([]byte, len(plain)), make([]byte, len(plain))

	for length := range longest + 1 {
		for offset := range offsets {
			copy(want, plain)
			naiveMask(want[offset:offset+length], key)
			// Every cut of a short payload; of a long one a few, that differ
			// from one length and offset to the next.
			step := 1
			if length > 67 {
				step = 37
			}
			for cut := (length + offset) % step; cut <= length; cut += step {
				copy(got, plain)
				middle, end := offset+cut, offset+length
				next := wire.Mask(got[offset:middle:middle], wire.NewMaskingKey(key))
				if next != rotated(key, cut) {
					t.Fatalf("the key after %d bytes is %x, want %x", cut, next.Bytes(), rotated(key, cut).Bytes())
				}
				if last := wire.Mask(got[middle:end:end], next); last != rotated(key, length) {
					t.Fatalf("the key after %d and %d bytes is %x, want %x", cut, length-cut, last.Bytes(), rotated(key, length).Bytes())
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("length %d at offset %d cut at %d:\n got %x\nwant %x", length, offset, cut, got, want)
				}
			}
		}
	}
}

// TestMaskingTwiceIsNothing: unmasking is masking (6455-5.3-c), and the key 0
// changes nothing (6455-5.3-d).
func TestMaskingTwiceIsNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 3))
	plain := randomBytes(rng, 1000)
	for _, key := range []wire.MaskingKey{0, 1, 0x80000000, 0xffffffff, 0x3d21fa37} {
		got := bytes.Clone(plain)
		wire.Mask(got, key)
		if bytes.Equal(got, plain) != (key == 0) {
			t.Errorf("masked with %x: changed is %v", key.Bytes(), !bytes.Equal(got, plain))
		}
		wire.Mask(got, key)
		if !bytes.Equal(got, plain) {
			t.Errorf("masked twice with %x, the payload is another", key.Bytes())
		}
	}
}

// TestMaskingOfNothing gives the key back as it is.
func TestMaskingOfNothing(t *testing.T) {
	for _, p := range [][]byte{nil, {}} {
		if next := wire.Mask(p, 0x3d21fa37); next != 0x3d21fa37 {
			t.Errorf("the key after no byte is %x", next.Bytes())
		}
	}
}

// TestMaskingKeyIsInWireOrder whatever the machine's byte order is.
func TestMaskingKeyIsInWireOrder(t *testing.T) {
	key := wire.NewMaskingKey([4]byte{0x01, 0x02, 0x03, 0x04})
	if key != 0x04030201 {
		t.Errorf("the key 01 02 03 04 is %#x, want the first byte in the low bits", uint32(key))
	}
	if b := key.Bytes(); b != [4]byte{0x01, 0x02, 0x03, 0x04} {
		t.Errorf("the key 01 02 03 04 comes back as % x", b)
	}
	h := wire.Header{Fin: true, Opcode: wire.Text, Masked: true, Key: key}
	if b := wire.AppendHeader(nil, h); !bytes.Equal(b, unhex("81 80 01020304")) {
		t.Errorf("the key 01 02 03 04 travels as % x", b[2:])
	}
	p := make([]byte, 6)
	wire.Mask(p, key)
	if !bytes.Equal(p, unhex("01 02 03 04 01 02")) {
		t.Errorf("zeros masked with 01 02 03 04 are % x", p)
	}
}

// FuzzMask takes any payload, place, key and two cuts (6455-5.3-c, T-A14).
func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x3d21fa37), uint8(0), uint16(0), uint16(2))
	f.Add(bytes.Repeat([]byte("0123456789"), 30), uint32(1), uint8(3), uint16(33), uint16(64))
	f.Add([]byte{}, uint32(0), uint8(15), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, payload []byte, k uint32, offset uint8, cut1, cut2 uint16) {
		start := int(offset % 16)
		end := start + len(payload)
		got := bytes.Repeat([]byte{0x5a}, end+16)
		copy(got[start:], payload)
		want := bytes.Clone(got)
		naiveMask(want[start:end], wire.MaskingKey(k).Bytes())

		a := start + min(int(cut1), len(payload))
		b := a + min(int(cut2), end-a)
		key := wire.Mask(got[start:a], wire.MaskingKey(k))
		key = wire.Mask(got[a:b], key)
		key = wire.Mask(got[b:end], key)
		if !bytes.Equal(got, want) {
			t.Errorf("at %d, cut at %d and %d, key %08x:\n got %x\nwant %x", start, a-start, b-start, k, got, want)
		}
		if want := rotated(wire.MaskingKey(k).Bytes(), len(payload)); key != want {
			t.Errorf("the key after %d bytes is %x, want %x", len(payload), key.Bytes(), want.Bytes())
		}
	})
}

// BenchmarkMask has copy beside it, which is as fast as memory goes.
func BenchmarkMask(b *testing.B) {
	for _, size := range []int{8, 32, 125, 1 << 10, 16 << 10, 1 << 20} {
		p, q := make([]byte, size), make([]byte, size)
		b.Run("mask/"+strconv.Itoa(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			key := wire.MaskingKey(0x3d21fa37)
			for b.Loop() {
				key = wire.Mask(p, key)
			}
		})
		b.Run("copy/"+strconv.Itoa(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				copy(q, p)
			}
		})
	}
}
