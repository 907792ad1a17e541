package deflate

import "encoding/binary"

// A bitWriter appends bits to a byte slice, least significant bit first (RFC
// 1951, Section 3.1.1). The caller reserves the space: each method writes at
// most 8 bytes past the bits that it was given.
type bitWriter struct {
	out []byte // complete bytes are out[:pos]; len(out) is the space
	pos int
	acc uint64 // bits that follow out[:pos]
	n   uint   // their number, < 8 between calls
}

// put appends the low n bits of v, at most 56. Higher bits of v are 0.
func (w *bitWriter) put(v uint64, n uint) {
	w.acc |= v << (w.n & 63)
	w.n += n
	put64(w.out, w.pos, w.acc)
	w.pos += int(w.n >> 3)
	w.acc >>= w.n &^ 7 & 63
	w.n &= 7
}

// align appends zero bits up to the next byte boundary.
func (w *bitWriter) align() {
	if w.n > 0 {
		w.out[w.pos] = byte(w.acc)
		w.pos++
		w.acc, w.n = 0, 0
	}
}

// put64 stores v at b[i:], least significant byte first.
func put64(b []byte, i int, v uint64) {
	binary.LittleEndian.PutUint64(b[i:], v)
}
