package deflate

import "math/bits"

// parsePacked splits text[start:end] into e.seqs. Matches reach back at most
// window bytes.
//
// Its index keeps two positions for each hash in one word, so that a lookup
// that also inserts costs one load and one store. Entries may be stale: text
// that has left the buffer, or another text. They are found by comparing bytes.
func (e *encoder) parsePacked(start, end, window int, mask uint32, p *effort) {
	e.beginBlock()
	anchor, i := start, start
	for i+minMatch <= end {
		v := e.load32(i)
		near, far := e.insert(v, i, mask)
		if e.load32(i-near) != v && e.load32(i-far) != v {
			i += 1 + (i-anchor)>>(p.skip&63)
			continue
		}
		length, dist := e.longest(i, near, far, end, window, minMatch-1)
		if length < minMatch {
			i += 1 + (i-anchor)>>(p.skip&63)
			continue
		}
		next := i + 1
		for length < p.hasty && next+minMatch <= end {
			near, far := e.insert(e.load32(next), next, mask)
			l, d := e.longest(next, near, far, end, window, length)
			next++
			if l <= length {
				break
			}
			i, length, dist = next-1, l, d
		}
		// The index holds only some positions, so the match may begin earlier.
		// Positions before next are inserted already: it ends after them.
		for least := max(anchor, next-maxMatch); i > least && i-dist > 0 && e.text[i-1] == e.text[i-1-dist]; {
			i--
			length = min(length+1, maxMatch)
		}
		e.addSequence(i-anchor, length, dist)
		i += length
		anchor = i
		last := min(i, end-minMatch+1)
		tail := max(next, last-insertedTail)
		for ; next < tail; next += p.stride {
			e.insert(e.load32(next), next, mask)
		}
		for next = tail; next < last; next++ {
			e.insert(e.load32(next), next, mask)
		}
	}
	if anchor < end {
		e.addSequence(end-anchor, 0, 1)
	}
}

// longest returns the longest of the matches at i and distances near and far
// that is longer than least, which is at least minMatch-1, or least and 0.
func (e *encoder) longest(i, near, far, end, window, least int) (length, dist int) {
	reach := uint(min(window, i))

	// A longer match includes the 4 bytes that end after least bytes.
	length = least
	at := i + length - (minMatch - 1)
	last := e.load32(at)
	if e.load32(at-near) == last && uint(near-1) < reach {
		if l := e.matchLength(i, near, end); l > length {
			length, dist = l, near
			at = i + length - (minMatch - 1)
			last = e.load32(at)
		}
	}
	if e.load32(at-far) == last && uint(far-1) < reach {
		if l := e.matchLength(i, far, end); l > length {
			length, dist = l, far
		}
	}
	return length, dist
}

// insert inserts position i, which has the bytes v, into the packed index. It
// returns the distances to the two positions before with the same hash.
func (e *encoder) insert(v uint32, i int, mask uint32) (near, far int) {
	bucket := &e.table[hash(v)&mask]
	here, found := uint16(i)+e.base, *bucket
	*bucket = found<<16 | uint32(here)
	return int(here - uint16(found)), int(here - uint16(found>>16))
}

// indexPacked inserts every step-th position of text[:end].
func (e *encoder) indexPacked(end, step int, mask uint32) {
	for i := 0; i+minMatch <= end; i += step {
		e.insert(e.load32(i), i, mask)
	}
}

// clearPacked empties the packed index for a text of n bytes and returns the
// mask of its hashes.
func (e *encoder) clearPacked(n int) (mask uint32) {
	mask = 1<<min(max(bits.Len(uint(n)), 8), tableBits) - 1
	clear(e.table[:mask+1])
	e.base = 0
	return mask
}

// hash returns the hash of 4 bytes, tableBits bits long.
func hash(v uint32) uint32 {
	return uint32(uint64(v) * 0x9e3779b97f4a7c15 >> (64 - tableBits))
}
