package deflate

import "math/bits"

// parsePacked splits text[start:end] into e.seqs. Matches reach back at most
// window bytes.
//
// Its index keeps two positions for each hash in one word, so that a lookup
// that also inserts costs one load and one store. Entries may be stale: text
// that has left the buffer, or another text. They are found by comparing bytes.
func (e *encoder) parsePacked(start, end, window int, mask uint32, p *effort) {
	e.nseqs = 0
	anchor, i := start, start
	for i+minMatch <= end {
		length, dist := e.lookup(i, end, window, minMatch-1, mask)
		if length < minMatch {
			i += 1 + (i-anchor)>>p.skip
			continue
		}
		next := i + 1
		for length < p.hasty && next+minMatch <= end {
			l, d := e.lookup(next, end, window, length, mask)
			next++
			if l <= length {
				break
			}
			i, length, dist = next-1, l, d
		}
		for i > anchor && i-dist > 0 && length < maxMatch && e.text[i-1] == e.text[i-1-dist] {
			i--
			length++
		}
		e.addSequence(i-anchor, length, dist)
		i += length
		anchor = i
		for last := min(i, end-minMatch+1); next < last; next++ {
			e.insert(next, mask)
		}
	}
	if anchor < end {
		e.addSequence(end-anchor, 0, 1)
	}
}

// lookup inserts position i into the packed index. It returns the longest match
// there that is longer than least, which is at least minMatch-1, or least and 0.
func (e *encoder) lookup(i, end, window, least int, mask uint32) (length, dist int) {
	bucket := &e.table[hash(e.load32(i))&mask]
	here, found := uint16(i)+e.base, *bucket
	*bucket = found<<16 | uint32(here)
	reach := uint(min(window, i))

	// A longer match includes the 4 bytes that end after least bytes.
	length = least
	at := i + length - (minMatch - 1)
	last := e.load32(at)
	d := int(here - uint16(found))
	if e.load32(at-d) == last && uint(d-1) < reach {
		if l := e.matchLength(i, d, end); l > length {
			length, dist = l, d
			at = i + length - (minMatch - 1)
			last = e.load32(at)
		}
	}
	d = int(here - uint16(found>>16))
	if e.load32(at-d) == last && uint(d-1) < reach {
		if l := e.matchLength(i, d, end); l > length {
			length, dist = l, d
		}
	}
	return length, dist
}

// insert inserts position i into the packed index.
func (e *encoder) insert(i int, mask uint32) {
	bucket := &e.table[hash(e.load32(i))&mask]
	*bucket = *bucket<<16 | uint32(uint16(i)+e.base)
}

// indexPacked inserts every step-th position of text[:end].
func (e *encoder) indexPacked(end, step int, mask uint32) {
	for i := 0; i+minMatch <= end; i += step {
		e.insert(i, mask)
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
