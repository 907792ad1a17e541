//go:build notls

package handshake

import (
	"encoding/binary"
	"math/bits"
)

// sha1Sum returns the SHA-1 of p (RFC 3174). In builds with the tag notls it
// stands in for crypto/sha1, which links the FIPS 140 module. p has at most 119
// bytes, two blocks with the padding; a key and the GUID have 60.
func sha1Sum(p []byte) (sum [20]byte) {
	var padded [128]byte
	n := copy(padded[:119], p)
	padded[n] = 0x80
	message := padded[:(n+8)/64*64+64]
	binary.BigEndian.PutUint64(message[len(message)-8:], uint64(n)*8)

	h := [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
	for ; len(message) > 0; message = message[64:] {
		sha1Block(&h, message[:64])
	}
	for i, v := range h {
		binary.BigEndian.PutUint32(sum[4*i:], v)
	}
	return sum
}

// sha1Block adds a block of 64 bytes to h.
func sha1Block(h *[5]uint32, block []byte) {
	var w [80]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	for i := 16; i < len(w); i++ {
		w[i] = bits.RotateLeft32(w[i-3]^w[i-8]^w[i-14]^w[i-16], 1)
	}
	a, b, c, d, e := h[0], h[1], h[2], h[3], h[4]
	for i, word := range w {
		var f, k uint32
		switch i / 20 {
		case 0:
			f, k = b&c|^b&d, 0x5a827999
		case 1:
			f, k = b^c^d, 0x6ed9eba1
		case 2:
			f, k = b&c|b&d|c&d, 0x8f1bbcdc
		case 3:
			f, k = b^c^d, 0xca62c1d6
		}
		a, b, c, d, e = bits.RotateLeft32(a, 5)+f+e+k+word, a, bits.RotateLeft32(b, 30), c, d
	}
	h[0] += a
	h[1] += b
	h[2] += c
	h[3] += d
	h[4] += e
}
