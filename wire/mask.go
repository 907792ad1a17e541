package wire

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// MaskingKey is the key of a masked frame (RFC 6455, Section 5.3): the byte
// that comes first on the wire in the low 8 bits, the last in the high 8 bits.
type MaskingKey uint32

// NewMaskingKey returns the key that b is on the wire.
func NewMaskingKey(b [4]byte) MaskingKey {
	return MaskingKey(binary.LittleEndian.Uint32(b[:]))
}

// Bytes returns the key as it is on the wire.
func (k MaskingKey) Bytes() (b [4]byte) {
	binary.LittleEndian.PutUint32(b[:], uint32(k))
	return b
}

// Mask masks b in place, or unmasks it, which is the same: byte i is combined
// by exclusive or with byte i mod 4 of the key. It returns the key rotated by
// len(b), with which the next piece of the same payload goes on.
func Mask(b []byte, key MaskingKey) MaskingKey {
	maskInto(b, b, uint32(key))
	return key.after(len(b))
}

// AppendMasked appends p, masked with key, to dst and returns the extended
// slice and the rotated key, as [Mask] does. It is faster than to append and
// then to mask.
//
// p is not retained, and stays as it is unless it lies in the room behind dst,
// where it is overwritten. It must not begin in dst and end in that room.
func AppendMasked(dst, p []byte, key MaskingKey) ([]byte, MaskingKey) {
	start := len(dst)
	dst = slices.Grow(dst, len(p))[:start+len(p)]
	maskInto(dst[start:], p, uint32(key))
	return dst, key.after(len(p))
}

// after returns the key as a piece sees it that begins n bytes further on.
func (k MaskingKey) after(n int) MaskingKey {
	return MaskingKey(bits.RotateLeft32(uint32(k), -8*(n&3)))
}

// maskInto masks src into dst, which has the same length. dst begins where src
// does, or before, or nothing of it is in src.
func maskInto(dst, src []byte, key uint32) {
	// The first words and the last may overlap, so all are read before one is
	// written: in place nothing may be masked twice.
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

	// The last four words are read before anything is written, since the one
	// before them may overlap them.
	le := binary.LittleEndian
	k := uint64(key)<<32 | uint64(key)
	n := len(dst)
	end := bits.RotateLeft64(k, -8*(n&3))
	last := dst[n-32:]
	w, x, y, z := le.Uint64(last)^end, le.Uint64(last[8:])^end, le.Uint64(last[16:])^end, le.Uint64(last[24:])^end
	for len(dst) > 32 {
		// Four words a turn, in a fixed window: one bounds check for all.
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
