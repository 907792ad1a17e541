package deflate

import (
	"encoding/binary"
	"math/bits"
)

// chainStart is the index of encoder.text at which the text begins whose index
// are chains: position 0 ends a chain.
const chainStart = 1

// indexChains empties the index and inserts every step-th position of
// text[chainStart:end]. n is the length of the whole text. It returns the mask
// of the hashes.
func (e *encoder) indexChains(end, n, step int) (mask uint32) {
	mask = indexMask(n/step, headBits)
	clear(e.head[:mask+1])
	i := chainStart
	if step == 1 {
		for ; i+8 <= end; i += 4 {
			v := e.load64(i)
			e.link(i, hash(uint32(v))&mask)
			e.link(i+1, hash(uint32(v>>8))&mask)
			e.link(i+2, hash(uint32(v>>16))&mask)
			e.link(i+3, hash(uint32(v>>24))&mask)
		}
	}
	for ; i+minMatch <= end; i += step {
		e.insertChain(i, mask)
	}
	return mask
}

// insertChain inserts position i.
func (e *encoder) insertChain(i int, mask uint32) {
	e.link(i, hash(e.load32(i))&mask)
}

// link inserts position i into the chain of hash h and returns the position
// before it.
func (e *encoder) link(i int, h uint32) (before int) {
	head := &e.head[h&(1<<headBits-1)]
	c := *head
	e.prev[i&(prevSize-1)] = c
	*head = uint16(i)
	return int(c)
}

// parseChains splits text[start:end] into e.seqs. Matches reach back at most
// window bytes and not before text[chainStart].
func (e *encoder) parseChains(start, end, window int, mask uint32, p *effort) {
	e.nseqs = 0
	anchor, i := start, start
	for i+minMatch <= end {
		length, at := e.search(i, end, window, minMatch-1, mask, p)
		if length < minMatch {
			i += 1 + (i-anchor)>>p.skip
			continue
		}
		next := i + 1
		for length < p.lazy && next+minMatch <= end {
			l, a := e.search(next, end, window, length, mask, p)
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
			e.insertChain(next, mask)
		}
	}
	if anchor < end {
		e.addSequence(end-anchor, 0, 1)
	}
}

// search inserts position i into the chains. It returns the longest match there
// that is longer than least, which is at least minMatch-1, or least and 0.
func (e *encoder) search(i, end, window, least int, mask uint32, p *effort) (length, at int) {
	v := e.load32(i)
	c := e.link(i, hash(v)&mask)

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
		if e.text[c+length] == e.text[i+length] && e.load32(c) == v {
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
		x := e.load64(i+n) ^ e.load64(i-dist+n)
		if x != 0 {
			return min(n+bits.TrailingZeros64(x)>>3, room)
		}
		n += 8
	}
	return room
}

// indexMask returns the mask of the hashes of an index for n positions, at most
// most bits long.
func indexMask(n int, most int) uint32 {
	return 1<<min(max(bits.Len(uint(n)), 8), most) - 1
}

// hash returns the hash of 4 bytes, headBits bits long.
func hash(v uint32) uint32 {
	return uint32(uint64(v) * 0x9e3779b97f4a7c15 >> (64 - headBits))
}

// load32 and load64 load bytes of the text. The mask is for the compiler, which
// then needs no bounds check.
func (e *encoder) load32(i int) uint32 {
	return binary.LittleEndian.Uint32(e.text[i&(textSize-1):])
}

func (e *encoder) load64(i int) uint64 {
	return binary.LittleEndian.Uint64(e.text[i&(textSize-1):])
}

func put64(b []byte, i int, v uint64) {
	binary.LittleEndian.PutUint64(b[i:], v)
}
