package conform

import "math/bits"

// dynamicFrom is how many literals and copies a block must have for its own Huffman codes to be tried.
const dynamicFrom = 64

// tokenCopy marks a token that is a copy: its length less minMatch is in bits 16 to 23, its distance less 1 in bits 0 to 15.
// Other tokens are literals.
const tokenCopy = 1 << 31

// blockWriter writes one block at a time in the shortest of the three ways (RFC 1951, Section 3.2).
type blockWriter struct {
	tokens    []uint32
	litCount  [litSymbols]uint32 // how often each symbol is in tokens
	distCount [distSymbols]uint32

	lit, dist code
	header    codeHeader
}

// reset begins a new block.
func (b *blockWriter) reset() {
	b.tokens = b.tokens[:0]
	clear(b.litCount[:])
	clear(b.distCount[:])
	b.litCount[endOfBlock] = 1
}

func (b *blockWriter) literal(c byte) {
	b.tokens = append(b.tokens, uint32(c))
	b.litCount[c]++
}

// copy is a match of n bytes, distance bytes back.
func (b *blockWriter) copy(n, distance int) {
	b.tokens = append(b.tokens, tokenCopy|uint32(n-minMatch)<<16|uint32(distance-1))
	b.litCount[lengthSymbol[n-minMatch]]++
	b.distCount[distSymbol(uint32(distance-1))]++
}

// lengthSymbol is the symbol of a length, by the length less minMatch.
var lengthSymbol = makeLengthSymbol()

func makeLengthSymbol() (s [maxMatch - minMatch + 1]uint16) {
	for sym := endOfBlock + 1; sym < litSymbols; sym++ {
		e := litEntries[sym]
		for i := range 1 << (e >> 8 & 15) {
			s[int(e>>16)-minMatch+i] = uint16(sym)
		}
	}
	return s
}

// distSymbol returns the symbol of the distance d+1. There are two symbols to each number of bits that d has, for its second bit is in them.
func distSymbol(d uint32) uint32 {
	if d < 2 {
		return d
	}
	n := uint32(bits.Len32(d)) - 1
	return 2*n + d>>(n-1)&1
}

// write writes the block, which stands for data.
func (b *blockWriter) write(w *bitWriter, data []byte) {
	lit, dist := &fixedCodes.lit, &fixedCodes.dist
	best := b.size(lit, dist)
	dynamic := false
	if len(b.tokens) >= dynamicFrom {
		b.lit.fit(b.litCount[:], maxCodeBits)
		b.dist.fit(b.distCount[:], maxCodeBits)
		if size := b.header.prepare(&b.lit, &b.dist) + b.size(&b.lit, &b.dist); size < best {
			lit, dist, best = &b.lit, &b.dist, size
			dynamic = true
		}
	}
	switch {
	case 8*(len(data)+5) < best:
		b.stored(w, data)
		return
	case dynamic:
		w.put(2<<1, 3)
		b.header.write(w)
	default:
		w.put(1<<1, 3)
	}
	b.symbols(w, lit, dist)
}

// size returns the length of the block's symbols in bits.
func (b *blockWriter) size(lit, dist *code) int {
	n := 0
	for sym, count := range b.litCount {
		n += int(count) * int(uint32(lit.length[sym])+litEntries[sym]>>8&15)
	}
	for sym, count := range b.distCount {
		n += int(count) * int(uint32(dist.length[sym])+distEntries[sym]>>8&15)
	}
	return n
}

// stored writes data, at most 65535 bytes, without compression.
func (b *blockWriter) stored(w *bitWriter, data []byte) {
	w.put(0, 3)
	w.out, w.bits, w.n = w.flush(), 0, 0
	w.put(uint64(len(data)), 16)
	w.put(uint64(^uint16(len(data))), 16)
	w.out = append(w.out, data...)
}

// symbols writes the block's tokens and its end.
func (b *blockWriter) symbols(w *bitWriter, lit, dist *code) {
	for _, t := range b.tokens {
		if t&tokenCopy == 0 {
			w.put(uint64(lit.bits[t]), uint(lit.length[t]))
			continue
		}
		n := t >> 16 & 0xff
		sym := lengthSymbol[n]
		e := litEntries[sym]
		w.put(uint64(lit.bits[sym])|uint64(n+minMatch-e>>16)<<lit.length[sym], uint(lit.length[sym])+uint(e>>8&15))
		d := t & 0xffff
		ds := distSymbol(d)
		e = distEntries[ds]
		w.put(uint64(dist.bits[ds])|uint64(d+1-e>>16)<<dist.length[ds], uint(dist.length[ds])+uint(e>>8&15))
	}
	w.put(uint64(lit.bits[endOfBlock]), uint(lit.length[endOfBlock]))
}
