package wire

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// MaskingKey is the key of a masked frame (RFC 6455, Section 5.3). Its low 8
// bits hold the first byte on the wire, its high 8 bits the last.
type MaskingKey uint32

// NewMaskingKey returns the key with the given bytes on the wire.
func NewMaskingKey(b [4]byte) MaskingKey {
	return MaskingKey(binary.LittleEndian.Uint32(b[:]))
}

// Bytes returns the bytes of the key on the wire.
func (k MaskingKey) Bytes() (b [4]byte) {
	binary.LittleEndian.PutUint32(b[:], uint32(k))
	return b
}

// Mask masks or unmasks b in place: it XORs byte i with byte i mod 4 of the
// key. It returns the key rotated by len(b) bytes, for the next piece of the
// same payload.
func Mask(b []byte, key MaskingKey) MaskingKey {
	maskInto(b, b, uint32(key))
	return key.after(len(b))
}

// AppendMasked appends p, masked with key, to dst. It returns the extended
// slice and the rotated key, as [Mask] does. One pass copies and masks.
//
// p is unchanged and not retained. p may lie in the spare capacity of dst,
// where it is overwritten; it must not start in dst[:len(dst)] and end after
// it.
func AppendMasked(dst, p []byte, key MaskingKey) ([]byte, MaskingKey) {
	start := len(dst)
	dst = slices.Grow(dst, len(p))[:start+len(p)]
	maskInto(dst[start:], p, uint32(key))
	return dst, key.after(len(p))
}

// after returns the key for a piece that starts n bytes later.
func (k MaskingKey) after(n int) MaskingKey {
	return MaskingKey(bits.RotateLeft32(uint32(k), -8*(n&3)))
}

// maskInto masks src into dst, which has the same length. If dst and src
// overlap, dst must start at src or before it.
func maskInto(dst, src []byte, key uint32) {
	// The first words and the last may overlap. All are read before one is
	// written, so that no byte is masked twice in place.
	le := binary.LittleEndian
	n := len(src)
	dst = dst[:n]
	switch {
	case n < 4:
		if n > 0 {
			dst[0] = src[0] ^ byte(key)
		}
		if n > 1 {
			dst[1] = src[1] ^ byte(key>>8)
		}
		if n > 2 {
			dst[2] = src[2] ^ byte(key>>16)
		}
	case n < 8:
		end := bits.RotateLeft32(key, -8*(n&3))
		a, z := le.Uint32(src)^key, le.Uint32(src[n-4:])^end
		le.PutUint32(dst, a)
		le.PutUint32(dst[n-4:], z)
	case n <= 32:
		k := uint64(key)<<32 | uint64(key)
		end := bits.RotateLeft64(k, -8*(n&3))
		a, z := le.Uint64(src)^k, le.Uint64(src[n-8:])^end
		if n > 16 {
			b, y := le.Uint64(src[8:])^k, le.Uint64(src[n-16:])^end
			le.PutUint64(dst[8:], b)
			le.PutUint64(dst[n-16:], y)
		}
		le.PutUint64(dst, a)
		le.PutUint64(dst[n-8:], z)
	default:
		maskLong(dst, src, key)
	}
}

// maskWords masks src, of at least 32 bytes, into dst like maskInto, in words
// of 64 bits. It is the reference implementation of maskVectors.
func maskWords(dst, src []byte, key uint32) {
	if &dst[0] != &src[0] {
		copy(dst, src)
	}

	// The last four words are read before the loop writes, because its last
	// write may overlap them.
	le := binary.LittleEndian
	k := uint64(key)<<32 | uint64(key)
	n := len(dst)
	end := bits.RotateLeft64(k, -8*(n&3))
	last := dst[n-32:]
	w, x, y, z := le.Uint64(last)^end, le.Uint64(last[8:])^end, le.Uint64(last[16:])^end, le.Uint64(last[24:])^end
	for len(dst) > 32 {
		// A window of four words needs only one bounds check.
		d := dst[:32]
		le.PutUint64(d, le.Uint64(d)^k)
		le.PutUint64(d[8:], le.Uint64(d[8:])^k)
		le.PutUint64(d[16:], le.Uint64(d[16:])^k)
		le.PutUint64(d[24:], le.Uint64(d[24:])^k)
		dst = dst[32:]
	}
	le.PutUint64(last, w)
	le.PutUint64(last[8:], x)
	le.PutUint64(last[16:], y)
	le.PutUint64(last[24:], z)
}
