package deflate

import (
	"math/bits"
	"sync"
)

// minRing is the least size, in bytes, of a ring's memory.
const minRing = 1 << MinWindowBits

// A ring is the latest text of a connection or message. Its memory is a power
// of two and grows as text arrives.
type ring struct {
	buf []byte
	n   int // bytes of text
	at  int // index of the next byte; equals n until the ring is full
}

// copyBack copies text to dst, from back bytes before the end of the text, and
// returns the number of bytes. They are at least 1, at most back, and fewer than
// len(dst) if the ring wraps. back is 1 to r.n.
func (r *ring) copyBack(dst []byte, back int) int {
	from := (r.at - back) & (len(r.buf) - 1)
	return copy(dst[:min(len(dst), back)], r.buf[from:])
}

// copyText copies all text to dst, which is r.n bytes long.
func (r *ring) copyText(dst []byte) {
	for len(dst) > 0 {
		dst = dst[r.copyBack(dst, len(dst)):]
	}
}

// appendRing appends p to r, which keeps the last size bytes of its text, and
// returns the ring, as append does. A nil ring is empty. size is a power of two
// of minRing or more.
func appendRing(r *ring, p []byte, size int, pool *ringPool) *ring {
	if len(p) == 0 {
		return r
	}
	p = p[max(len(p)-size, 0):]
	if r == nil {
		r = pool.get(len(p))
	} else if n := min(r.n+len(p), size); n > len(r.buf) {
		grown := pool.get(n)
		grown.n = copy(grown.buf, r.buf[:r.n]) // not full, or full and never overwritten
		grown.at = grown.n
		pool.put(r)
		r = grown
	}
	k := copy(r.buf[r.at:], p)
	copy(r.buf, p[k:])
	r.at = (r.at + len(p)) & (len(r.buf) - 1)
	r.n = min(r.n+len(p), len(r.buf))
	return r
}

// A ringPool holds empty rings by size. A nil pool holds none: its rings are
// new, and left to the garbage collector.
type ringPool [MaxWindowBits - MinWindowBits + 1]sync.Pool

// messageRings are the rings of messages that depend on no other message.
var messageRings ringPool

// get returns an empty ring for n bytes or more.
func (p *ringPool) get(n int) *ring {
	class := max(bits.Len(uint(n-1)), MinWindowBits) - MinWindowBits
	if p != nil {
		if r, ok := p[class].Get().(*ring); ok {
			return r
		}
	}
	return &ring{buf: make([]byte, minRing<<class)}
}

// put empties r and adds it to p. The caller must not use r any more.
func (p *ringPool) put(r *ring) {
	if p == nil || r == nil {
		return
	}
	r.n, r.at = 0, 0
	p[bits.Len(uint(len(r.buf)))-1-MinWindowBits].Put(r)
}
