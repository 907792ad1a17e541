package conform

import (
	"encoding/binary"
	"math/bits"
)

const (
	// blockInput is how many bytes of a message one block holds.
	blockInput = 1 << 15
	// hashBits is the size of the table of what was seen where.
	hashBits = 14
	// hashedBytes is the least length of what is found again.
	hashedBytes = 4
)

// deflater is an encoder for the messages that one endpoint sends on a connection with permessage-deflate
// (RFC 7692, Section 7.2.1; RFC 1951). Not safe for concurrent use.
//
// It remembers of each hash of four bytes the last place only, and takes the first match it finds.
type deflater struct {
	window   int // how far back a distance may reach, in bytes
	takeover bool

	// What came before, at least as far as the window reaches, and the block.
	buf []byte
	// The offset of buf[0] since the beginning, which may wrap around: what the table says is looked at before it is believed.
	base uint32
	seen [1 << hashBits]uint32 // offset of the last place by hash

	block blockWriter
}

// newDeflater returns a deflater for a window of 1<<windowBits bytes, which is kept from one message to the next if takeover is set.
func newDeflater(windowBits int, takeover bool) *deflater {
	return &deflater{window: 1 << windowBits, takeover: takeover}
}

// message appends to dst the payload of the compressed message p, without the last four bytes 00 00 ff ff, and returns it.
// p is not retained.
func (d *deflater) message(dst, p []byte) []byte {
	if !d.takeover {
		d.forget(0)
	}
	w := bitWriter{out: dst}
	for len(p) > 0 {
		part := p[:min(len(p), blockInput)]
		p = p[len(part):]
		if len(d.buf) >= 2*d.window && len(d.buf)+len(part) > cap(d.buf) {
			d.forget(d.window)
		}
		begin := len(d.buf)
		d.buf = append(d.buf, part...)
		d.match(begin)
		d.block.write(&w, part)
	}
	// An empty block without compression, of which the four bytes of its length are not sent.
	w.put(0, 3)
	return w.flush()
}

// forget drops all but the last keep bytes of what came before.
func (d *deflater) forget(keep int) {
	drop := len(d.buf) - keep
	d.base += uint32(drop)
	d.buf = d.buf[:copy(d.buf, d.buf[drop:])]
}

// match finds in buf[i:] what was in buf before, and gives the block its literals and copies.
func (d *deflater) match(i int) {
	d.block.reset()
	buf := d.buf
	literals := 0 // in a row
	for i+hashedBytes <= len(buf) {
		v := binary.LittleEndian.Uint32(buf[i:])
		slot := &d.seen[hash(v)]
		at := d.base + uint32(i)
		distance := int(at - *slot)
		*slot = at
		if distance <= 0 || distance > d.window || distance > i || binary.LittleEndian.Uint32(buf[i-distance:]) != v {
			// Where nothing is found for long, look at fewer places.
			for end := min(i+1+literals>>6, len(buf)); i < end; i++ {
				d.block.literal(buf[i])
				literals++
			}
			continue
		}
		literals = 0
		n := hashedBytes + common(buf[i+hashedBytes:min(i+maxMatch, len(buf))], buf[i-distance+hashedBytes:])
		d.block.copy(n, distance)
		i += n
		if i+hashedBytes-1 <= len(buf) {
			d.seen[hash(binary.LittleEndian.Uint32(buf[i-1:]))] = d.base + uint32(i-1)
		}
	}
	for ; i < len(buf); i++ {
		d.block.literal(buf[i])
	}
}

func hash(v uint32) uint32 { return v * 2654435761 >> (32 - hashBits) }

// common returns how many bytes a and b, which is not shorter, have in common from the beginning.
func common(a, b []byte) int {
	n := 0
	for ; len(a)-n >= 8; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for ; n < len(a) && a[n] == b[n]; n++ {
	}
	return n
}

// bitWriter appends values of some bits each to out, the lowest bit first.
type bitWriter struct {
	out  []byte
	bits uint64
	n    uint // of bits; less than 32 between calls
}

// put appends the n low bits of v, 32 at most. The others are zero.
func (w *bitWriter) put(v uint64, n uint) {
	w.bits |= v << (w.n & 63)
	w.n += n
	if w.n >= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.bits))
		w.bits >>= 32
		w.n -= 32
	}
}

// flush appends zeros up to the next byte and returns out.
func (w *bitWriter) flush() []byte {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.out = append(w.out, byte(w.bits))
		w.bits >>= 8
	}
	return w.out
}
