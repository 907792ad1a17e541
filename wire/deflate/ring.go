package deflate

import (
	"math/bits"
	"sync"
)

// minRing is the least size, in bytes, of a ring's memory.
const minRing = 1 << MinWindowBits

// A ring is the window of a Compressor or Decompressor: the latest text of the
// connection or message. Its memory is a power of two and grows as text arrives.
//
// It also has the options of its owner, in bytes that would be padding: each
// connection has two of these structs.
type ring struct {
	buf []byte // nil if there is no text
	n   uint16 // bytes of text
	at  uint16 // index of the next byte; equals n until the ring is full

	windowBits uint8
	level      uint8 // of a Compressor: index of efforts
	takeover   bool  // the text is kept between messages
}

// size returns the size of the window: the most bytes of text.
func (r *ring) size() int { return 1 << r.windowBits }

// copyBack copies text to dst, from back bytes before the end of the text, and
// returns the number of bytes. They are at least 1, at most back, and fewer than
// len(dst) if the ring wraps. back is 1 to r.n.
func (r *ring) copyBack(dst []byte, back int) int {
	from := (int(r.at) - back) & (len(r.buf) - 1)
	return copy(dst[:min(len(dst), back)], r.buf[from:])
}

// copyText copies all text to dst, which is r.n bytes long.
func (r *ring) copyText(dst []byte) {
	for len(dst) > 0 {
		dst = dst[r.copyBack(dst, len(dst)):]
	}
}

// append appends p to the text, of which the last r.size() bytes are kept.
func (r *ring) append(p []byte) {
	if len(p) == 0 {
		return
	}
	p = p[max(len(p)-r.size(), 0):]
	if n := min(int(r.n)+len(p), r.size()); n > len(r.buf) {
		r.grow(n)
	}
	k := copy(r.buf[r.at:], p)
	copy(r.buf, p[k:])
	r.at = uint16((int(r.at) + len(p)) & (len(r.buf) - 1))
	r.n = uint16(min(int(r.n)+len(p), len(r.buf)))
}

// grow provides memory for n bytes of text, which is more than r has.
func (r *ring) grow(n int) {
	var buf []byte
	switch size := minRing << ringClass(n); {
	case !r.takeover:
		buf = messageRings.get(n)
	case size == halfSize:
		buf = getHalf()
	default:
		buf = make([]byte, size)
	}
	copy(buf, r.buf[:r.n]) // not full, or full and never overwritten
	text := r.n
	r.reset()
	r.buf, r.n, r.at = buf, text, text
}

// reset drops the text and releases the memory.
func (r *ring) reset() {
	switch {
	case r.buf == nil:
	case !r.takeover:
		messageRings.put(r.buf)
	case len(r.buf) == halfSize:
		halves.Put((*[halfSize]byte)(r.buf))
	}
	r.buf, r.n, r.at = nil, 0, 0
}

// ringClass returns the size class of memory for n bytes: it has minRing<<class
// bytes.
func ringClass(n int) int {
	return max(bits.Len(uint(n-1)), MinWindowBits) - MinWindowBits
}

// halfSize is the size of a window of 9 bits.
const halfSize = 512

// halves lends memory for a window of halfSize bytes, which is allocated for two
// windows at a time: most often those of one connection. The runtime takes 546
// bytes for one of 512, and 1,024 for two.
//
// The memory is reclaimed when both windows are garbage. One that is dropped
// earlier is lent to the next connection that needs it.
var halves sync.Pool // *[halfSize]byte

// getHalf returns memory of halves.
func getHalf() []byte {
	if half, ok := halves.Get().(*[halfSize]byte); ok {
		return half[:]
	}
	pair := new([2][halfSize]byte)
	halves.Put(&pair[1])
	return pair[0][:]
}

// messageRings is the memory of the rings of messages that depend on no other
// message. Memory that lasts as long as a connection is left to the garbage
// collector.
var messageRings ringPool

// A ringPool holds memory of rings.
type ringPool struct {
	free  [MaxWindowBits - MinWindowBits + 1]sync.Pool // *[]byte, by class
	boxes sync.Pool                                    // *[]byte, of nil
}

// get returns memory for n bytes or more.
func (p *ringPool) get(n int) []byte {
	class := ringClass(n)
	box, ok := p.free[class].Get().(*[]byte)
	if !ok {
		return make([]byte, minRing<<class)
	}
	buf := *box
	*box = nil
	p.boxes.Put(box)
	return buf
}

// put adds buf to p. The caller must not use it any more.
func (p *ringPool) put(buf []byte) {
	box, ok := p.boxes.Get().(*[]byte)
	if !ok {
		box = new([]byte)
	}
	*box = buf
	p.free[ringClass(len(buf))].Put(box)
}
