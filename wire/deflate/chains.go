package deflate

import (
	"encoding/binary"
	"math/bits"
)

// chainStart is the index of encoder.text at which the text begins whose index
// are chains: position 0 ends a chain.
const chainStart = 1

// indexChains empties the index and inserts every step-th position of
// text[chainStart:end]. n is the length of the whole text. It returns the shift
// of the hashes.
func (e *encoder) indexChains(end, n, step int) (shift uint) {
	size := indexBits(n/step, headBits)
	clear(e.head[:1<<size])
	shift = 32 - size
	for i := chainStart; i+minMatch <= end; i += step {
		e.insertChain(i, shift)
	}
	return shift
}

// insertChain inserts position i.
func (e *encoder) insertChain(i int, shift uint) {
	head := &e.head[hash(load32(e.text[:], i), shift)&(1<<headBits-1)]
	e.prev[i&(prevSize-1)] = *head
	*head = uint16(i)
}

// parseChains splits text[start:end] into e.seqs. Matches reach back at most
// window bytes and not before text[chainStart].
func (e *encoder) parseChains(start, end, window int, shift uint, p *effort) {
	e.nseqs = 0
	anchor, i := start, start
	for i+minMatch <= end {
		length, at := e.search(i, end, window, minMatch-1, shift, p)
		if length < minMatch {
			i += 1 + (i-anchor)>>p.skip
			continue
		}
		next := i + 1
		for length < p.lazy && next+minMatch <= end {
			l, a := e.search(next, end, window, length, shift, p)
			next++
			if l <= length {
				break
			}
			i, length, at = next-1, l, a
		}
		// The index may hold only some positions of the window, so the match may
		// begin earlier.
		for i > anchor && at > chainStart && length < maxMatch && e.text[i-1] == e.text[at-1] {
			i--
			at--
			length++
		}
		e.addSequence(i-anchor, length, i-at)
		i += length
		anchor = i
		for last := min(i, end-minMatch+1); next < last; next++ {
			e.insertChain(next, shift)
		}
	}
	if anchor < end {
		e.addSequence(end-anchor, 0, 1)
	}
}

// search inserts position i into the chains. It returns the longest match there
// that is longer than least, which is at least minMatch-1, or least and 0.
func (e *encoder) search(i, end, window, least int, shift uint, p *effort) (length, at int) {
	v := load32(e.text[:], i)
	head := &e.head[hash(v, shift)&(1<<headBits-1)]
	c := int(*head)
	e.prev[i&(prevSize-1)] = *head
	*head = uint16(i)

	length = least
	room := min(end-i, maxMatch)
	if length >= room {
		return length, 0
	}
	first := max(i-window, chainStart)
	for range p.depth {
		if c < first {
			break
		}
		if e.text[c+length] == e.text[i+length] && load32(e.text[:], c) == v {
			if l := e.matchLength(i, i-c, end); l > length {
				length, at = l, c
				if l >= p.nice || l == room {
					break
				}
			}
		}
		c = int(e.prev[c&(prevSize-1)])
	}
	return length, at
}

// matchLength returns the length of the match at i of distance dist, whose first
// minMatch bytes are known to match. It does not reach past end.
func (e *encoder) matchLength(i, dist, end int) int {
	n := minMatch
	room := min(end-i, maxMatch)
	for n < room {
		x := load64(e.text[:], i+n) ^ load64(e.text[:], i-dist+n)
		if x != 0 {
			return min(n+bits.TrailingZeros64(x)>>3, room)
		}
		n += 8
	}
	return room
}

// indexBits returns the number of bits of the hashes for n positions, at most
// most.
func indexBits(n int, most uint) uint {
	return min(max(uint(bits.Len(uint(n))), 8), most)
}

// hash returns the hash of 4 bytes, 32-shift bits long.
func hash(v uint32, shift uint) uint32 {
	return v * 0x9e3779b1 >> (shift & 31)
}

func load32(b []byte, i int) uint32 {
	return binary.LittleEndian.Uint32(b[i:])
}

func load64(b []byte, i int) uint64 {
	return binary.LittleEndian.Uint64(b[i:])
}

func put64(b []byte, i int, v uint64) {
	binary.LittleEndian.PutUint64(b[i:], v)
}
