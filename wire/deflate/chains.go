package deflate

import (
	"encoding/binary"
	"math/bits"
)

// chainStart is the index of encoder.text at which the text begins whose index
// are chains: position 0 ends a chain.
const chainStart = 1

// indexChains empties the index and inserts every step-th position of
// text[chainStart:end], and all of the last recent bytes.
func (e *encoder) indexChains(end, step, recent int) {
	clear(e.head[:])
	i := chainStart
	if step > 1 {
		for ; i < end-recent && i+minMatch <= end; i += step {
			e.insertChain(i)
		}
	}
	for ; i%4 != 0 && i+minMatch <= end; i++ {
		e.insertChain(i)
	}
	for ; i+8 <= end; i += 4 {
		v := e.load64(i)
		prev := (*[4]uint16)(e.prev[i&(prevSize-4):])
		prev[0] = e.replaceHead(uint32(v), i)
		prev[1] = e.replaceHead(uint32(v>>8), i+1)
		prev[2] = e.replaceHead(uint32(v>>16), i+2)
		prev[3] = e.replaceHead(uint32(v>>24), i+3)
	}
	for ; i+minMatch <= end; i++ {
		e.insertChain(i)
	}
}

// replaceHead makes position i, which has the bytes v, the head of its chain. It
// returns the head before.
func (e *encoder) replaceHead(v uint32, i int) uint16 {
	head := &e.head[v*0x9e3779b1>>(32-headBits)]
	c := *head
	*head = uint16(i)
	return c
}

// insertChain inserts position i.
func (e *encoder) insertChain(i int) {
	e.prev[i&(prevSize-1)] = e.replaceHead(e.load32(i), i)
}

// parseChains splits text[start:end] into e.seqs. Matches reach back at most
// window bytes and not before text[chainStart].
func (e *encoder) parseChains(start, end, window int, p *effort) {
	e.beginBlock()
	anchor, i := start, start
	for i+minMatch <= end {
		length, at := e.search(i, end, window, minMatch-1, p)
		if length < minMatch {
			i += 1 + (i-anchor)>>p.skip
			continue
		}
		next := i + 1
		for length < p.lazy && next+minMatch <= end {
			l, a := e.search(next, end, window, length, p)
			next++
			if l <= length {
				break
			}
			i, length, at = next-1, l, a
		}
		// The index holds only some positions, so the match may begin earlier.
		// Positions before next are inserted already: it ends after them.
		for least := max(anchor, next-maxMatch); i > least && at > chainStart && e.text[i-1] == e.text[at-1]; {
			i--
			at--
			length = min(length+1, maxMatch)
		}
		e.addSequence(i-anchor, length, i-at)
		i += length
		anchor = i
		last := min(i, end-minMatch+1)
		tail := max(next, last-insertedTail)
		for ; next < tail; next += p.stride {
			e.insertChain(next)
		}
		for next = tail; next < last; next++ {
			e.insertChain(next)
		}
	}
	if anchor < end {
		e.addSequence(end-anchor, 0, 1)
	}
}

// search inserts position i into the chains. It returns the longest match there
// that is longer than least, which is at least minMatch-1, or least and 0.
func (e *encoder) search(i, end, window, least int, p *effort) (length, at int) {
	head := e.replaceHead(e.load32(i), i)
	e.prev[i&(prevSize-1)] = head
	c := int(head)

	length = least
	room := min(end-i, maxMatch)
	if length >= room {
		return length, 0
	}
	first := max(i-window, chainStart)
	// A longer match includes the 4 bytes that end after length bytes.
	offset := length - (minMatch - 1)
	last := e.load32(i + offset)
	for range p.depth {
		if c < first {
			break
		}
		if e.load32(c+offset) == last {
			if l := e.matchLength(i, i-c, end); l > length {
				length, at = l, c
				if l >= p.nice || l == room {
					break
				}
				offset = length - (minMatch - 1)
				last = e.load32(i + offset)
			}
		}
		c = int(e.prev[c&(prevSize-1)])
	}
	return length, at
}

// matchLength returns the number of equal bytes at i and dist before it, at most
// maxMatch and not past end.
func (e *encoder) matchLength(i, dist, end int) int {
	n := 0
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

// load32 and load64 load bytes of the text. The mask is for the compiler, which
// then needs no bounds check.
func (e *encoder) load32(i int) uint32 {
	return binary.LittleEndian.Uint32(e.text[i&(textSize-1):])
}

func (e *encoder) load64(i int) uint64 {
	return binary.LittleEndian.Uint64(e.text[i&(textSize-1):])
}
