package conform

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// inflateError is the fault of a compressed payload by RFC 7692 or RFC 1951.
type inflateError struct {
	At   int // the number of whole bytes before the fault
	What string
}

func (e *inflateError) Error() string {
	return fmt.Sprintf("websocket: compressed payload: %s, after %d bytes", e.What, e.At)
}

// outputKept is the largest output buffer, in bytes, that the next message
// reuses.
const outputKept = 1 << 20

// inflater is a decoder for the messages that one endpoint sends on a
// connection with permessage-deflate (RFC 7692, Section 7.2.2; RFC 1951). Not
// safe for concurrent use.
//
// The bytes 00 00 ff ff that a receiver appends are the length of an empty
// stored block, the last block of the message. The inflater does not append
// them: a message ends with the type of a stored block. So no other block can
// consume these bytes, and truncation is noticed.
type inflater struct {
	window   int // the longest distance, in bytes
	takeover bool

	in    []byte // the message
	pos   int    // of the next byte of in
	bits  uint64 // before it: the next nbits bits are its lowest
	nbits uint

	out   []byte // the window, or more, and the message so far
	max   int    // the limit of the message, in bytes
	limit int    // the length of out at that limit

	lit, dist huffman                        // of the block with dynamic Huffman codes
	lengths   [litSymbols + distSymbols]byte // of their codes
}

// newInflater returns an inflater for a window of 1<<windowBits bytes, kept
// from one message to the next if takeover is set.
func newInflater(windowBits int, takeover bool) *inflater {
	return &inflater{window: 1 << windowBits, takeover: takeover}
}

// message appends to dst the message with the compressed payload p, of all its
// frames, and returns it. A message of more than max bytes is an error. After
// an error, an *inflateError, f must not be used. p is not retained.
func (f *inflater) message(dst, p []byte, max int) (_ []byte, err error) {
	defer func() {
		f.in = nil
		if fault := recover(); fault != nil {
			err = fault.(*inflateError)
		}
	}()
	f.in, f.pos, f.bits, f.nbits = p, 0, 0, 0
	if len(p) == 0 {
		f.fail("no bytes at all, where an empty message is the byte 00 (RFC 7692, Section 7.2.3.6)")
	}
	switch {
	case !f.takeover:
		f.out = f.out[:0]
	case len(f.out) >= 4*f.window:
		f.out = append(f.out[:0], f.out[len(f.out)-f.window:]...)
	}
	begin := len(f.out)
	f.max, f.limit = max, begin+max
	for f.block() {
	}
	dst = append(dst, f.out[begin:]...)
	if cap(f.out) > outputKept {
		f.out = bytes.Clone(f.out[len(f.out)-min(len(f.out), f.window):])
	}
	return dst, nil
}

// fail ends message with an error.
func (f *inflater) fail(format string, args ...any) {
	panic(&inflateError{(8*f.pos - int(f.nbits)) / 8, fmt.Sprintf(format, args...)})
}

// refill provides at least 56 bits, or all that are left.
func (f *inflater) refill() {
	if len(f.in)-f.pos >= 8 {
		f.bits |= binary.LittleEndian.Uint64(f.in[f.pos:]) << f.nbits
		f.pos += int(63-f.nbits) >> 3
		f.nbits |= 56
		return
	}
	for ; f.nbits <= 56 && f.pos < len(f.in); f.nbits += 8 {
		f.bits |= uint64(f.in[f.pos]) << f.nbits
		f.pos++
	}
}

// take reads n bits, which refill has provided if they exist.
func (f *inflater) take(n uint) int {
	if n > f.nbits {
		f.nbits = 0
		f.fail("truncated, or without the empty block that ends a message")
	}
	v := f.bits & (1<<n - 1)
	f.bits >>= n
	f.nbits -= n
	return int(v)
}

// align skips to the next byte of the input.
func (f *inflater) align() {
	f.pos -= int(f.nbits >> 3)
	f.bits, f.nbits = 0, 0
}

// room ensures that the message may have n bytes more.
func (f *inflater) room(n int) {
	if len(f.out)+n > f.limit {
		f.fail("the message is longer than the %d bytes that are allowed", f.max)
	}
}

// block decodes a block (RFC 1951, Section 3.2.3) and reports whether more must
// follow.
func (f *inflater) block() (more bool) {
	f.refill()
	final := f.take(1) == 1
	switch kind := f.take(2); kind {
	case 0:
		f.align()
		if f.pos == len(f.in) {
			return false
		}
		f.stored()
	case 1:
		f.symbols(fixedLit, fixedDist)
	case 2:
		f.codes()
		f.symbols(&f.lit, &f.dist)
	default:
		f.fail("block type %d, which is reserved", kind)
	}
	if !final {
		return true
	}
	// After a final block another begins with the next byte (RFC 7692, Section
	// 7.2.3.4). The sender should add the beginning of an empty one. A message
	// without it is accepted, as by other implementations.
	f.align()
	return f.pos != len(f.in)
}

// stored decodes a block without compression, after its type (RFC 1951, Section
// 3.2.4).
func (f *inflater) stored() {
	rest := f.in[f.pos:]
	if len(rest) < 4 {
		f.fail("truncated: a stored block without its length")
	}
	n, not := binary.LittleEndian.Uint16(rest), binary.LittleEndian.Uint16(rest[2:])
	if n != ^not {
		f.fail("the length %04x of a stored block and its complement %04x do not agree", n, not)
	}
	f.pos += 4
	if rest = rest[4:]; len(rest) < int(n) {
		f.fail("truncated: a stored block of %d bytes, where %d are left", n, len(rest))
	}
	f.room(int(n))
	f.out = append(f.out, rest[:n]...)
	f.pos += int(n)
}

// codes reads the codes of a block with dynamic Huffman codes (RFC 1951,
// Section 3.2.7).
func (f *inflater) codes() {
	nlit, ndist, ncl := f.take(5)+257, f.take(5)+1, f.take(4)+4
	if nlit > litSymbols || ndist > distSymbols {
		f.fail("codes for %d lengths or literals and %d distances", nlit, ndist)
	}
	var cl [clSymbols]uint8
	for i := range ncl {
		f.refill()
		cl[clOrder[i]] = uint8(f.take(3))
	}
	if c := f.lit.build(cl[:]); c != completeCode {
		f.fail("%s code for code lengths", c)
	}
	lengths := f.codeLengths(nlit + ndist)
	if lengths[endOfBlock] == 0 {
		f.fail("no code for the end of the block")
	}
	if c := f.lit.build(lengths[:nlit]); c > singleCode {
		f.fail("%s code for lengths and literals", c)
	}
	if c := f.dist.build(lengths[nlit:]); c > singleCode {
		f.fail("%s code for distances", c)
	}
}

// codeLengths reads n code lengths, which are encoded with f.lit.
func (f *inflater) codeLengths(n int) []uint8 {
	lengths := f.lengths[:0]
	for len(lengths) < n {
		f.refill()
		sym, times := f.symbol(&f.lit), 1
		value := uint8(sym)
		switch sym {
		case 16:
			if len(lengths) == 0 {
				f.fail("the first code length is a repetition")
			}
			value, times = lengths[len(lengths)-1], 3+f.take(2)
		case 17:
			value, times = 0, 3+f.take(3)
		case 18:
			value, times = 0, 11+f.take(7)
		}
		if times > n-len(lengths) {
			f.fail("more code lengths than codes")
		}
		for range times {
			lengths = append(lengths, value)
		}
	}
	return lengths
}

// symbol decodes a symbol, noSymbol for a code that h does not have.
func (f *inflater) symbol(h *huffman) int {
	e := h.table[f.bits&(1<<h.longest-1)]
	f.take(uint(e & 15))
	return int(e >> 4)
}

// symbols decodes the compressed data of a block through its end (RFC 1951,
// Section 3.2.3). One refill is enough for a length and a distance with their
// extra bits, 48 bits at most.
func (f *inflater) symbols(lit, dist *huffman) {
	for {
		f.refill()
		sym := f.symbol(lit)
		switch {
		case sym < endOfBlock:
			f.room(1)
			f.out = append(f.out, byte(sym))
			continue
		case sym == endOfBlock:
			return
		case sym >= litSymbols:
			f.fail("a code that stands for no length or literal")
		}
		length := f.value(lengthCodes[sym-endOfBlock-1])
		if sym = f.symbol(dist); sym >= distSymbols {
			f.fail("a code that stands for no distance")
		}
		distance := f.value(distanceCodes[sym])
		switch {
		case distance > f.window:
			f.fail("distance too far back: %d bytes, with a window of %d", distance, f.window)
		case distance > len(f.out):
			f.fail("distance too far back: %d bytes, where the window holds %d", distance, len(f.out))
		}
		f.room(length)
		for ; length > 0; distance *= 2 { // that are written now repeat
			part := f.out[len(f.out)-distance:]
			part = part[:min(len(part), length)]
			f.out = append(f.out, part...)
			length -= len(part)
		}
	}
}

// value reads the extra bits of a length or distance.
func (f *inflater) value(c rangeCode) int { return c.least + f.take(c.extra) }

// A rangeCode is the code of lengths or distances from least on (RFC 1951,
// Section 3.2.5).
type rangeCode struct {
	least int
	extra uint // the number of bits that are added to least
}

const (
	endOfBlock  = 256
	litSymbols  = 286 // literals, end of block and lengths (RFC 1951, Section 3.2.5); 286 and 287 never occur
	distSymbols = 30
	clSymbols   = 19
	maxCodeBits = 15
	noSymbol    = 1 << 9
)

// clOrder is the order in which the lengths of the codes for code lengths are
// sent (RFC 1951, Section 3.2.7).
var clOrder = [clSymbols]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

var (
	lengthCodes   = append(rangeCodes(3, 4, 28), rangeCode{258, 0})
	distanceCodes = rangeCodes(1, 2, distSymbols)
)

// rangeCodes returns n codes from least on, of which each so many have a bit
// more.
func rangeCodes(least, each, n int) (codes []rangeCode) {
	for i := range n {
		extra := max(i/each, 1) - 1
		codes = append(codes, rangeCode{least, uint(extra)})
		least += 1 << extra
	}
	return codes
}

// The codes of blocks with fixed Huffman codes (RFC 1951, Section 3.2.6), with
// those of symbols that never occur.
var fixedLit, fixedDist = func() (lit, dist *huffman) {
	lit, dist = new(huffman), new(huffman)
	repeat := func(n int, length byte) []byte { return bytes.Repeat([]byte{length}, n) }
	lit.build(bytes.Join([][]byte{repeat(144, 8), repeat(112, 9), repeat(24, 7), repeat(8, 8)}, nil))
	dist.build(repeat(distSymbols+2, 5))
	return lit, dist
}()

// huffman decodes a Huffman code. The table's entry at the next bits of the
// input is 16 times the symbol, and the length of its code.
type huffman struct {
	table   []uint16
	longest uint // the length of the longest code
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

func (c completeness) String() string {
	return [...]string{"complete", "empty", "single", "incomplete", "oversubscribed"}[c]
}

// build makes h the decoder of the canonical code with these lengths, by
// symbol. It reports the completeness of the code. h must not be used with an
// overfull code.
func (h *huffman) build(lengths []uint8) completeness {
	var count, next [maxCodeBits + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0], h.longest = 0, 0
	left := 1
	for n := 1; n <= maxCodeBits; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
		if left = left<<1 - count[n]; left < 0 {
			return overfullCode
		}
		if count[n] > 0 {
			h.longest = uint(n)
		}
	}
	h.table = append(h.table[:0], make([]uint16, 1<<h.longest)...)
	for i := range h.table {
		h.table[i] = noSymbol << 4
	}
	for sym, n := range lengths {
		if n == 0 {
			continue
		}
		// The first bit of a code is the lowest of an index.
		for i := int(bits.Reverse16(uint16(next[n])) >> (16 - n)); i < len(h.table); i += 1 << n {
			h.table[i] = uint16(sym<<4) | uint16(n)
		}
		next[n]++
	}
	switch {
	case left == 0:
		return completeCode
	case h.longest == 0:
		return emptyCode
	case h.longest == 1:
		return singleCode
	}
	return incompleteCode
}
