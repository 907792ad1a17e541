package wire_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fibersock/fibersock/wire"
)

// naiveMask is the definition of Section 5.3.
func naiveMask(p []byte, key [4]byte) {
	for i := range p {
		p[i] ^= key[i%4]
	}
}

// rotated is the key for a piece that starts n bytes into the payload.
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

// maskTest masks pieces of one text and compares all of the memory with the
// definition.
type maskTest struct {
	keys     [4]wire.MaskingKey // one key, rotated by the index
	plain    []byte
	masked   [4][]byte // plain, masked with each of keys
	blank    []byte    // initial content of dst
	src, dst []byte
	into     func(dst, src []byte, key uint32)
}

func newMaskTest(size int) *maskTest {
	rng := rand.New(rand.NewPCG(6455, 53))
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	m := &maskTest{plain: randomBytes(rng, size), blank: randomBytes(rng, size), src: make([]byte, size), dst: make([]byte, size)}
	for r := range m.keys {
		m.keys[r] = rotated(key, r)
		m.masked[r] = bytes.Clone(m.plain)
		naiveMask(m.masked[r], m.keys[r].Bytes())
	}
	return m
}

// inPlace masks src[start:end] in pieces, with the key rotated by r, and
// reports whether the result is correct.
func (m *maskTest) inPlace(start, end, r int, cuts ...int) bool {
	copy(m.src, m.plain)
	from := start
	for _, to := range append(cuts, end) {
		m.into(m.src[from:to:to], m.src[from:to:to], uint32(m.keys[(from-start+r)%4]))
		from = to
	}
	want := m.masked[(r-start%4+4)%4]
	return bytes.Equal(m.src[:start], m.plain[:start]) &&
		bytes.Equal(m.src[start:end], want[start:end]) &&
		bytes.Equal(m.src[end:], m.plain[end:])
}

// apart masks src[start:end] into dst at another offset.
func (m *maskTest) apart(start, end, place, r int) bool {
	n := end - start
	copy(m.src, m.plain)
	copy(m.dst, m.blank)
	m.into(m.dst[place:place+n:place+n], m.src[start:end:end], uint32(m.keys[r]))
	want := m.masked[(r-start%4+4)%4]
	return bytes.Equal(m.dst[place:place+n], want[start:end]) &&
		bytes.Equal(m.src, m.plain) &&
		bytes.Equal(m.dst[:place], m.blank[:place]) &&
		bytes.Equal(m.dst[place+n:], m.blank[place+n:])
}

// TestMaskIsTheDefinition checks lengths, addresses, rotations of the key and
// pieces, and the bytes around the payload (6455-5.3-c, T-A13, T-A14). 64
// addresses suffice, because no vector is longer.
func TestMaskIsTheDefinition(t *testing.T) {
	for _, v := range wire.MaskVariants {
		t.Run(v.Name, func(t *testing.T) {
			masksAsDefined(t, v.Into, 0, 1100)
		})
	}
	// Standard output is visible without -v when the test runs alone.
	for _, name := range wire.AbsentMaskVariants {
		fmt.Println("not tested, for this machine has none:", name)
	}
}

// TestMaskIsTheDefinitionWhereTheWayChanges checks the lengths around 8 KiB,
// where amd64 switches to AVX-512.
func TestMaskIsTheDefinitionWhereTheWayChanges(t *testing.T) {
	masksAsDefined(t, func(dst, src []byte, key uint32) {
		wire.AppendMasked(dst[:0], src, wire.MaskingKey(key))
	}, 8<<10-3, 8<<10+67)
}

// masksAsDefined checks all lengths from shortest to longest.
func masksAsDefined(t *testing.T, into func(dst, src []byte, key uint32), shortest, longest int) {
	t.Helper()
	const places, margin = 64, 64
	m := newMaskTest(margin + places + longest + margin)
	m.into = into
	for n := shortest; n <= longest; n++ {
		for start := margin; start < margin+places; start++ {
			end := start + n
			cut := start + (7*n+start)%(n+1)
			for r := range 4 {
				if !m.inPlace(start, end, r) {
					t.Fatalf("%d bytes at %d, key rotated by %d: not as defined", n, start, r)
				}
				if !m.inPlace(start, end, r, cut, cut+(end-cut)/3) {
					t.Fatalf("%d bytes at %d, key rotated by %d, in pieces at %d: not as defined", n, start, r, cut)
				}
			}
			if place := margin + (5*n+3*start)%places; !m.apart(start, end, place, n%4) {
				t.Fatalf("%d bytes from %d to %d: not as defined", n, start, place)
			}
		}
	}
}

// TestEveryCutOfAShortPayload checks two pieces, for each position of the cut.
func TestEveryCutOfAShortPayload(t *testing.T) {
	const longest = 300
	m := newMaskTest(longest + 32)
	for _, v := range wire.MaskVariants {
		m.into = v.Into
		for n := range longest + 1 {
			for cut := range n + 1 {
				if start := cut % 16; !m.inPlace(start, start+n, n%4, start+cut) {
					t.Fatalf("%s: %d bytes cut after %d: not as defined", v.Name, n, cut)
				}
			}
		}
	}
}

// TestALongPayload checks payloads that need several iterations of every vector
// loop.
func TestALongPayload(t *testing.T) {
	const margin = 64
	for _, n := range []int{4095, 4096, 8<<10 - 1, 8 << 10, 16<<10 + 1, 64<<10 - 3, 1 << 20} {
		m := newMaskTest(n + 2*margin)
		for _, v := range wire.MaskVariants {
			m.into = v.Into
			for _, start := range []int{0, 1, 31, 33, margin} {
				if !m.inPlace(start, start+n, 1) || !m.apart(start, start+n, 7, 2) {
					t.Errorf("%s: %d bytes at %d: not as defined", v.Name, n, start)
				}
			}
		}
	}
}

// TestPayloadMayLieInTheRoomItIsMaskedInto checks a frame that was decoded in
// place and is sent with a shorter header.
func TestPayloadMayLieInTheRoomItIsMaskedInto(t *testing.T) {
	m := newMaskTest(700)
	for _, v := range wire.MaskVariants {
		for n := range 600 {
			for back := range 70 {
				copy(m.src, m.plain)
				v.Into(m.src[3:3+n], m.src[3+back:3+back+n], uint32(m.keys[0]))
				want := m.masked[(4-(3+back)%4)%4][3+back:][:n]
				if !bytes.Equal(m.src[3:3+n], want) {
					t.Fatalf("%s: %d bytes, %d back: not as defined", v.Name, n, back)
				}
			}
		}
	}
}

// TestKeyGoesOnWhereThePieceEnded checks that Mask and AppendMasked return the
// same rotated key.
func TestKeyGoesOnWhereThePieceEnded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 53))
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	prefix := []byte("header")
	for n := range 150 {
		p := randomBytes(rng, n)
		want := bytes.Clone(p)
		naiveMask(want, key)

		for _, room := range []int{0, len(prefix) + n} {
			kept := bytes.Clone(p)
			got, next := wire.AppendMasked(append(make([]byte, 0, room), prefix...), p, wire.NewMaskingKey(key))
			if !bytes.HasPrefix(got, prefix) || !bytes.Equal(got[len(prefix):], want) || next != rotated(key, n) {
				t.Errorf("%d bytes appended to %q: %x and the key %x, want %x and %x", n, prefix, got, next.Bytes(), want, rotated(key, n).Bytes())
			}
			if !bytes.Equal(p, kept) {
				t.Errorf("%d bytes: appending changed the payload itself", n)
			}
		}
		if next := wire.Mask(p, wire.NewMaskingKey(key)); !bytes.Equal(p, want) || next != rotated(key, n) {
			t.Errorf("%d bytes in place: %x and the key %x, want %x and %x", n, p, next.Bytes(), want, rotated(key, n).Bytes())
		}
	}
}

// TestAppendingMaskedAllocatesNothing checks a dst with spare capacity.
func TestAppendingMaskedAllocatesNothing(t *testing.T) {
	p, room := make([]byte, 1000), make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() { wire.AppendMasked(room, p, 0x3d21fa37) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestMaskingKeyIsInWireOrder checks the bytes of a key on any byte order of
// the machine.
func TestMaskingKeyIsInWireOrder(t *testing.T) {
	key := wire.NewMaskingKey([4]byte{0x01, 0x02, 0x03, 0x04})
	if key != 0x04030201 {
		t.Errorf("the key 01 02 03 04 is %#x, want the first byte in the low bits", uint32(key))
	}
	if b := key.Bytes(); b != [4]byte{0x01, 0x02, 0x03, 0x04} {
		t.Errorf("the key 01 02 03 04 is returned as % x", b)
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
