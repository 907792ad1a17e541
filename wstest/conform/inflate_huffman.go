package conform

import "math/bits"

// A Huffman decoder looks up a code by the next bits of the input: codes of up
// to firstBits bits in one step, longer ones in two. An entry of its tables
// describes a symbol:
//
//	bits 0 to 4    the length of the code, in bits
//	bits 5 to 7    the kind of entry
//	bits 8 to 11   the number of extra bits after the code, or of bits that index the second table
//	bits 16 to 31  the literal, the least length or distance, or the offset of the second table
//
// The zero entry stands for a code that the block does not define.
const (
	firstBits = 10

	entryLiteral = 1 << 5 // or a code length
	entryCopy    = 2 << 5 // a length or a distance
	entryEnd     = 3 << 5 // of the block
	entrySecond  = 4 << 5 // the code is longer
	entryKinds   = 7 << 5
)

const (
	endOfBlock  = 256
	litSymbols  = 286 // literals, end of block and lengths (RFC 1951, Section 3.2.5); 286 and 287 never occur
	distSymbols = 30
	maxCodeBits = 15
	minMatch    = 3
	maxMatch    = 258
	clSymbols   = 19
)

// clOrder is the order in which the lengths of the codes for code lengths are
// sent (RFC 1951, Section 3.2.7).
var clOrder = [clSymbols]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// The symbols of the three alphabets (RFC 1951, Section 3.2.5), as entries of
// codes without bits.
var (
	litEntries  = makeLitEntries()
	distEntries = makeDistEntries()
	clEntries   = makeClEntries()
)

func makeLitEntries() (e [litSymbols + 2]uint32) {
	for i := range endOfBlock {
		e[i] = uint32(i)<<16 | entryLiteral
	}
	e[endOfBlock] = entryEnd
	base := uint32(minMatch)
	for i := range uint32(28) {
		extra := max(i/4, 1) - 1
		e[endOfBlock+1+i] = base<<16 | extra<<8 | entryCopy
		base += 1 << extra
	}
	e[litSymbols-1] = maxMatch<<16 | entryCopy
	return e
}

func makeDistEntries() (e [distSymbols + 2]uint32) {
	base := uint32(1)
	for i := range uint32(distSymbols) {
		extra := max(i/2, 1) - 1
		e[i] = base<<16 | extra<<8 | entryCopy
		base += 1 << extra
	}
	return e
}

func makeClEntries() (e [clSymbols]uint32) {
	for i := range e {
		e[i] = uint32(i)<<16 | entryLiteral
	}
	return e
}

// huffman is the decoder of one Huffman code. The zero value knows no code.
type huffman struct {
	first  [1 << firstBits]uint32
	second []uint32
}

// The codes of blocks with fixed Huffman codes (RFC 1951, Section 3.2.6).
var fixedLit, fixedDist = makeFixed()

func makeFixed() (lit, dist *huffman) {
	lit, dist = new(huffman), new(huffman)
	l, d := fixedLengths()
	lit.build(l[:], litEntries[:])
	dist.build(d[:], distEntries[:])
	return lit, dist
}

// fixedLengths returns the lengths of the fixed codes, with those of symbols
// that never occur.
func fixedLengths() (lit [litSymbols + 2]uint8, dist [distSymbols + 2]uint8) {
	for i := range lit {
		switch {
		case i < 144:
			lit[i] = 8
		case i < 256:
			lit[i] = 9
		case i < 280:
			lit[i] = 7
		default:
			lit[i] = 8
		}
	}
	for i := range dist {
		dist[i] = 5
	}
	return lit, dist
}

// completeness tells whether the codes of an alphabet fill the space of codes.
type completeness int

const (
	completeCode   completeness = iota
	emptyCode                   // no symbol has a code
	singleCode                  // one symbol has a code, of one bit
	incompleteCode              // some codes have no symbol
	overfullCode                // more codes than the space has room for
)

// build makes h the decoder of the canonical code with these lengths, for the
// symbols in entries. It reports the completeness of the code. h must not be
// used with an overfull code.
func (h *huffman) build(lengths []uint8, entries []uint32) completeness {
	var count [maxCodeBits + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	longest, left := 0, 1
	var next [maxCodeBits + 1]uint16
	code := uint16(0)
	for n := 1; n <= maxCodeBits; n++ {
		code = (code + uint16(count[n-1])) << 1
		next[n] = code
		left = left<<1 - count[n]
		if left < 0 {
			return overfullCode
		}
		if count[n] > 0 {
			longest = n
		}
	}

	clear(h.first[:])
	h.second = h.second[:0]
	for sym, n := range lengths {
		if n == 0 {
			continue
		}
		h.add(next[n], n, longest, entries[sym])
		next[n]++
	}
	switch {
	case left == 0:
		return completeCode
	case longest == 0:
		return emptyCode
	case longest == 1:
		return singleCode
	}
	return incompleteCode
}

// add enters the code of n bits at each index that begins with it. The first
// bit of a code is the lowest of an index.
func (h *huffman) add(code uint16, n uint8, longest int, entry uint32) {
	index := int(bits.Reverse16(code) >> (16 - n))
	entry |= uint32(n)
	if entry&entryKinds == 0 {
		entry = 0
	}
	if n <= firstBits {
		for i := index; i < len(h.first); i += 1 << n {
			h.first[i] = entry
		}
		return
	}
	size := 1 << (longest - firstBits)
	at := index % len(h.first)
	if h.first[at] == 0 {
		h.first[at] = uint32(len(h.second))<<16 | uint32(longest-firstBits)<<8 | entrySecond
		for range size {
			h.second = append(h.second, 0)
		}
	}
	second := h.second[h.first[at]>>16:][:size]
	for i := index >> firstBits; i < size; i += 1 << (n - firstBits) {
		second[i] = entry
	}
}

// lookup returns the entry of the code that b begins with.
func (h *huffman) lookup(b uint64) uint32 {
	e := h.first[b%(1<<firstBits)]
	if e&entryKinds == entrySecond {
		return h.second[uint64(e>>16)+b>>firstBits&(1<<(e>>8&15)-1)]
	}
	return e
}
