package fuzz

import (
	"bytes"

	"github.com/fibersock/fibersock/wire"
)

// Mask reads a masking key, an alignment and two cuts from data; the rest is
// the payload. wire.Mask must follow RFC 6455, Section 5.3 for all cuts, change
// no other byte, and be its own inverse. wire.AppendMasked must return the same
// bytes.
func Mask(data []byte) int {
	p := &program{data}
	key := [4]byte{p.byte(), p.byte(), p.byte(), p.byte()}
	start := int(p.byte() % 64)
	cut1, cut2 := p.uint16(), p.uint16()
	payload := p.all()

	const guard, room = 0x5a, 64
	memory := bytes.Repeat([]byte{guard}, start+len(payload)+room)
	in := memory[start : start+len(payload)]
	copy(in, payload)
	want := bytes.Clone(payload)
	maskByRFC(want, key)

	a := min(cut1, len(in))
	b := a + min(cut2, len(in)-a)
	k := wire.NewMaskingKey(key)
	for _, piece := range [][]byte{in[:a], in[a:b], in[b:]} {
		k = wire.Mask(piece, k)
	}
	describe := func(got []byte) {
		violated("transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)",
			"key % x, %d bytes at %d, cut at %d and %d:\n got % x\nwant % x", key, len(payload), start, a, b, got, want)
	}
	if !bytes.Equal(in, want) {
		describe(in)
	}
	if bytes.Count(memory[:start], []byte{guard}) != start || bytes.Count(memory[start+len(payload):], []byte{guard}) != room {
		violated("bytes around the payload are not touched", "key % x, %d bytes at %d: % x", key, len(payload), start, memory)
	}
	if k != wire.NewMaskingKey(rotate(key, len(payload))) {
		violated("the key that comes back goes on where the payload ended", "key % x after %d bytes: % x", key, len(payload), k.Bytes())
	}

	appended, after := wire.AppendMasked([]byte("before"), payload, wire.NewMaskingKey(key))
	if !bytes.HasPrefix(appended, []byte("before")) || !bytes.Equal(appended[len("before"):], want) {
		describe(appended)
	}
	if after != k {
		violated("AppendMasked returns the key that Mask returns", "key % x after %d bytes: % x and % x", key, len(payload), after.Bytes(), k.Bytes())
	}
	if wire.Mask(in, wire.NewMaskingKey(key)); !bytes.Equal(in, payload) {
		violated("masking twice is nothing", "key % x: % x became % x", key, payload, in)
	}
	return worth(len(payload) > 0)
}

// maskByRFC is the definition of Section 5.3.
func maskByRFC(octets []byte, key [4]byte) {
	for i := range octets {
		octets[i] ^= key[i%4]
	}
}

// rotate returns the key as a piece sees it that begins n bytes further on.
func rotate(key [4]byte, n int) (r [4]byte) {
	for i := range r {
		r[i] = key[(i+n)%4]
	}
	return r
}
