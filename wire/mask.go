package wire

import (
	"encoding/binary"
	"math/bits"
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
	next := bits.RotateLeft32(uint32(key), -8*(len(b)&3))

	k := uint64(key)<<32 | uint64(key)
	for len(b) >= 32 {
		// Four words a turn, in a fixed window: one bounds check for all.
		w := b[:32]
		binary.LittleEndian.PutUint64(w, binary.LittleEndian.Uint64(w)^k)
		binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(w[8:])^k)
		binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(w[16:])^k)
		binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(w[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k)
		k >>= 8
	}
	return MaskingKey(next)
}
