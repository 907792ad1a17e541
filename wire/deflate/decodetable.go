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
// An entry with entryOther, but neither entryEnd nor entryLink, is of a code that
// stands for nothing.
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
	distBits = 8  // index of a distance table; the code for code lengths has maxCodeLengthBits

	// The tables have room for the second tables of any complete code of up to
	// 15 bits: 1,334 and 402 entries are the most.
	litTableSize  = 2048
	distTableSize = 512

	decodeLits  = 288 // symbols with a fixed code; 286 and 287 mean nothing
	decodeDists = 32  // 30 and 31 mean nothing
)

type (
	litTable  [litTableSize]uint32
	distTable [distTableSize]uint32
)

// constant has the entries of the symbols without their code, and the tables of
// the fixed codes (RFC 1951, Sections 3.2.5 and 3.2.6). newInflateTables sets
// it, so that a program which never decompresses does not pay for it.
var constant struct {
	once        sync.Once
	litEntries  [decodeLits]uint32
	distEntries [decodeDists]uint32
	codeEntries [codeSymbols]uint32
	lit         litTable
	dist        distTable
	emptyLists  [2 * listKeys]uint16 // tableBuilder.last of empty lists
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

	for key := range c.emptyLists {
		c.emptyLists[key] = listHeads + uint16(key)
	}
	var b tableBuilder
	b.begin()
	for i := range uint(decodeLits) {
		n := uint(8)
		switch {
		case i >= 144 && i < 256:
			n = 9
		case i >= 256 && i < 280:
			n = 7
		}
		b.add(i, n)
	}
	for i := range uint(decodeDists) {
		b.add(decodeLits+i, listKeys+5)
	}
	b.build(c.lit[:], litBits, 0, 0, c.litEntries[:])
	b.build(c.dist[:], distBits, listKeys, decodeLits, c.distEntries[:])
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
	return [...]string{"complete", "empty", "incomplete", "incomplete", "oversubscribed"}[c]
}

// A tableBuilder is the memory that builds decode tables: a list for each code
// length of each of two codes, of the symbols with that length in ascending
// order. A list key is the code length, plus listKeys for the second code.
// Symbols of the second code follow those of the first.
type tableBuilder struct {
	next  [listHeads + 2*listKeys]uint16 // by symbol, or listHeads plus a key: the next symbol of the list
	last  [2 * listKeys]uint16           // by key: the last symbol, or listHeads plus the key
	count [2 * listKeys]uint16           // by key: the number of symbols
}

const (
	listHeads = decodeLits + decodeDists
	listKeys  = maxCodeBits + 1
)

// begin empties the lists.
func (b *tableBuilder) begin() {
	b.last = constant.emptyLists
	b.count = [2 * listKeys]uint16{}
}

// add appends a symbol to a list. A code length of 0 is as good as another: its
// lists are not read.
func (b *tableBuilder) add(symbol, key uint) {
	key %= 2 * listKeys
	b.next[b.last[key]] = uint16(symbol)
	b.last[key] = uint16(symbol)
	b.count[key]++
}

// build makes table the decode table of the canonical code (RFC 1951, Section
// 3.2.2) in the lists with the keys from key. entries are the entries of its
// symbols without their code; the first one has the number first. build sets no
// table for an incomplete or overfull code.
func (b *tableBuilder) build(table []uint32, rootBits uint, key, first uint, entries []uint32) completeness {
	count := (*[listKeys]uint16)(b.count[key:])
	heads := (*[listKeys]uint16)(b.next[listHeads+key:])
	left, longest := 1, 0
	for n := 1; n <= maxCodeBits; n++ {
		left = left<<1 - int(count[n])
		if left < 0 {
			return codeOverfull
		}
		if count[n] > 0 {
			longest = n
		}
	}
	switch {
	case left == 0:
		b.fill(table, rootBits, count, heads, first, entries)
		return codeComplete
	case longest > 1:
		return codeIncomplete
	}
	// A single code of one bit, or none.
	table[0], table[1] = entryOther+entryOneBit, entryOther+entryOneBit
	if longest == 1 {
		table[0] = entries[uint(heads[1])-first] + entryOneBit
	}
	double(table, 2, 1<<rootBits)
	if longest == 0 {
		return codeEmpty
	}
	return codeSingle
}

// fill sets table for a complete code, with count codes of each length and the
// lists of their symbols.
//
// The first bit of a code is the lowest bit of an index. So the table for codes
// of up to n bits, twice, is the table for n+1 bits, in which the codes of n+1
// bits replace entries of no code yet.
func (b *tableBuilder) fill(table []uint32, rootBits uint, count, heads *[listKeys]uint16, first uint, entries []uint32) {
	n := uint(1)
	for count[n] == 0 {
		n++
	}
	code, size := uint(0), uint(1)<<n
	for n <= rootBits {
		symbol := uint(heads[n])
		for range count[n] {
			table[code] = entries[symbol-first] + uint32(n)*entryOneBit
			symbol = uint(b.next[symbol])
			if code == size-1 {
				double(table, size, 1<<rootBits)
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
		symbol := uint(heads[n])
		for left := uint(count[n]); left > 0; left-- {
			if p := code & (root - 1); p != prefix {
				// The next second table. Codes with the same prefix follow
				// each other, so it is as long as it takes to fill it.
				prefix = p
				second = n - rootBits
				for space := left; space < 1<<second; {
					second++
					space = space<<1 + uint(count[rootBits+second])
				}
				start, end = end, end+1<<second
				table[prefix] = uint32(start)<<entryValue | entryLink | uint32(second)<<entryCode | uint32(rootBits)
			}
			entry := entries[symbol-first] + uint32(n-rootBits)*entryOneBit
			symbol = uint(b.next[symbol])
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

// double repeats table[:size] up to table[:end].
func double(table []uint32, size, end uint) {
	for ; size < end; size *= 2 {
		copy(table[size:2*size], table[:size])
	}
}
