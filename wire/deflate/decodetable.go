package deflate

import (
	"math/bits"
	"sync"
)

// A decode table is indexed by the next bits of the input, and its entry
// describes the symbol that they begin with:
//
//	bits 0 to 5    bits to skip: the code and its extra bits
//	bits 8 to 11   bits of the code alone; of a link, bits that index the second table
//	bit  13        end of the block
//	bit  14        link to a second table, for codes longer than the index
//	bit  15        entryOther: neither a literal nor a length nor a distance
//	bits 16 to 30  literal, least length or distance, or offset of the second table
//	bit  31        literal
//
// A code that stands for nothing has an entry with entryOther alone.
const (
	entryLiteral = 1 << 31
	entryOther   = 1 << 15
	entryLink    = 1<<14 | entryOther
	entryEnd     = 1<<13 | entryOther

	entrySkip   = 63      // mask of the bits to skip
	entryCode   = 8       // shift of the length of the code
	entryValue  = 16      // shift of the value
	entryOneBit = 1 | 256 // a code of one bit

	entryRepeat = 1 << 24 // code length 16: repeat the previous length
)

const (
	litBits  = 10 // index of a literal/length table
	distBits = 8  // index of a distance table
	codeBits = 7  // index of the table of the code for code lengths, and its longest code

	// The tables have room for the second tables of any complete code of up to
	// 15 bits: 1,334 and 402 entries are the most.
	litTableSize  = 2048
	distTableSize = 512

	longestCode   = 15
	decodeLits    = 288 // symbols with a fixed code; 286 and 287 mean nothing
	decodeDists   = 32  // 30 and 31 mean nothing
	decodeLengths = 19
)

type (
	litTable  [litTableSize]uint32
	distTable [distTableSize]uint32
)

// The entries of the symbols without their code, and the tables of the fixed
// code (RFC 1951, Sections 3.2.5 and 3.2.6). newInflateTables sets them.
var constant struct {
	once        sync.Once
	litEntries  [decodeLits]uint32
	distEntries [decodeDists]uint32
	codeEntries [decodeLengths]uint32
	lit         litTable
	dist        distTable
}

func initConstant() {
	c := &constant
	for i := range c.litEntries {
		c.litEntries[i] = entryOther
	}
	for i := range 256 {
		c.litEntries[i] = entryLiteral | uint32(i)<<entryValue
	}
	c.litEntries[256] = entryEnd
	for i, base := range lengthBase {
		c.litEntries[257+i] = uint32(base)<<entryValue | uint32(lengthExtra[i])
	}
	for i := range c.distEntries {
		c.distEntries[i] = entryOther
	}
	for i, base := range distBase {
		c.distEntries[i] = uint32(base)<<entryValue | uint32(distExtra[i])
	}
	for i := range 16 {
		c.codeEntries[i] = entryLiteral | uint32(i)<<entryValue
	}
	c.codeEntries[16] = 3<<entryValue | 2 | entryRepeat
	c.codeEntries[17] = 3<<entryValue | 3
	c.codeEntries[18] = 11<<entryValue | 7

	var lengths [decodeLits]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	var b tableBuilder
	b.add(lengths[:])
	b.build(c.lit[:], litBits, b.symbols[:b.used], 0, c.litEntries[:])
	for i := range decodeDists {
		lengths[i] = 5
	}
	b.begin()
	b.add(lengths[:decodeDists])
	b.build(c.dist[:], distBits, b.symbols[:b.used], 0, c.distEntries[:])
}

// completeness tells whether a code gives a symbol to each sequence of bits.
type completeness uint8

const (
	codeComplete   completeness = iota
	codeEmpty                   // no symbol has a code
	codeSingle                  // one symbol has a code, of one bit
	codeIncomplete              // some sequences have no symbol
	codeOverfull                // some sequences have two
)

func (c completeness) String() string {
	return [...]string{"complete", "empty", "single", "incomplete", "oversubscribed"}[c]
}

// A tableBuilder is the memory that builds decode tables.
type tableBuilder struct {
	// symbols[:used] are the symbols with a code, by number: the number in bits 4
	// to 15, the length of the code below. There is room for one more.
	symbols [decodeLits + decodeDists + 1]uint16
	used    uint
	sorted  [decodeLits]uint16 // numbers, by the length of the code and then by number
}

// begin removes all symbols.
func (b *tableBuilder) begin() { b.used = 0 }

// add appends the symbols with these lengths, from 0.
func (b *tableBuilder) add(lengths []uint8) {
	for i, n := range lengths {
		b.symbols[b.used] = uint16(i<<4) | uint16(n)
		b.used += uint(n+15) >> 4
	}
}

// from returns the index in symbols of the first symbol that is not below n.
func (b *tableBuilder) from(n uint16) uint {
	i := b.used
	for i > 0 && b.symbols[i-1]>>4 >= n {
		i--
	}
	return i
}

// build makes table the decode table of the canonical code of symbols (RFC
// 1951, Section 3.2.2), with numbers from first. entries are the entries of
// the symbols without their code. It sets no table for an incomplete or
// overfull code.
func (b *tableBuilder) build(table []uint32, rootBits uint, symbols []uint16, first uint16, entries []uint32) completeness {
	var count, next [longestCode + 1]uint16
	for _, s := range symbols {
		count[s&15]++
	}
	used, left, longest := uint16(0), 1, 0
	for n := 1; n <= longestCode; n++ {
		next[n] = used
		used += count[n]
		left = left<<1 - int(count[n])
		if left < 0 {
			return codeOverfull
		}
		if count[n] > 0 {
			longest = n
		}
	}
	if left > 0 {
		return buildPartial(table[:1<<rootBits], longest, symbols, first, entries)
	}
	for _, s := range symbols {
		n := s & 15
		b.sorted[next[n]] = s>>4 - first
		next[n]++
	}
	fill(table, rootBits, b.sorted[:used], &count, entries)
	return codeComplete
}

// fill sets table for a complete code: count has the number of codes of each
// length, sorted their symbols.
//
// The first bit of a code is the lowest bit of an index. So the table for codes
// of up to n bits, twice, is the table for n+1 bits, in which the codes of n+1
// bits replace entries of no code yet.
func fill(table []uint32, rootBits uint, sorted []uint16, count *[longestCode + 1]uint16, entries []uint32) {
	n := uint(1)
	for count[n] == 0 {
		n++
	}
	code, size, i := uint(0), uint(1)<<n, 0
	for n <= rootBits {
		for end := i + int(count[n]); i < end; i++ {
			table[code] = entries[sorted[i]] + uint32(n)*entryOneBit
			if code == size-1 {
				for ; size < 1<<rootBits; size *= 2 {
					copy(table[size:2*size], table[:size])
				}
				return
			}
			code = nextCode(code, size)
		}
		if n++; n <= rootBits {
			copy(table[size:2*size], table[:size])
		}
		size *= 2
	}

	root, prefix := uint(1)<<rootBits, ^uint(0)
	start, end, second := uint(0), root, uint(0) // the last second table: table[start:end], with an index of second bits
	for ; ; n, size = n+1, size*2 {
		for left := uint(count[n]); left > 0; left-- {
			if p := code & (root - 1); p != prefix {
				// As long as the codes do not fill the second table there
				// are longer ones.
				prefix = p
				second = n - rootBits
				for space := left; space < 1<<second; {
					second++
					space = space<<1 + uint(count[rootBits+second])
				}
				start, end = end, end+1<<second
				table[prefix] = uint32(start)<<entryValue | entryLink | uint32(second)<<entryCode | uint32(rootBits)
			}
			entry := entries[sorted[i]] + uint32(n-rootBits)*entryOneBit
			i++
			for at := start + code>>rootBits; at < end; at += 1 << (n - rootBits) {
				table[at] = entry
			}
			if code == size-1 {
				return
			}
			code = nextCode(code, size)
		}
	}
}

// nextCode returns the code after code, which has bits.Len(size)-1 bits and is
// not the last one. Both are stored with the first bit lowest.
func nextCode(code, size uint) uint {
	bit := uint(1) << (bits.Len(code^(size-1)) - 1)
	return code&(bit-1) | bit
}

// buildPartial sets table, which has no second tables, for a code that is not
// complete: a single code of one bit, or none.
func buildPartial(table []uint32, longest int, symbols []uint16, first uint16, entries []uint32) completeness {
	if longest > 1 {
		return codeIncomplete
	}
	for i := range table {
		table[i] = entryOther + entryOneBit
	}
	if longest == 0 {
		return codeEmpty
	}
	for i := 0; i < len(table); i += 2 {
		table[i] = entries[symbols[0]>>4-first] + entryOneBit
	}
	return codeSingle
}
