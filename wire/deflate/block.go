package deflate

import "slices"

// A sequence is a run of literals and the match after it. Bits 0-15 hold the
// distance minus 1, bits 16-31 the length of the match, the bits above the
// number of literals. The last sequence of a block may have length 0: no match.
type sequence uint64

func makeSequence(literals, length, dist int) sequence {
	return sequence(literals)<<32 | sequence(length)<<16 | sequence(dist-1)
}

func (s sequence) literals() int { return int(s >> 32) }
func (s sequence) length() int   { return int(s>>16) & 0xffff }
func (s sequence) dist1() uint32 { return uint32(s & 0xffff) }

// beginBlock makes the block empty.
func (e *encoder) beginBlock() { e.nseqs, e.literals = 0, 0 }

// addSequence appends a sequence to the block.
func (e *encoder) addSequence(literals, length, dist int) {
	e.seqs[e.nseqs] = makeSequence(literals, length, dist)
	e.nseqs++
	e.literals += literals
}

// maxFixedOnly is the size in bits up to which a block is sent with the fixed
// code without an attempt at a dynamic one. The header of a dynamic block costs
// more than its code saves there.
const maxFixedOnly = 1024

// blockSpace is the space in bytes that a block may need besides its bits: for
// the bytes that the bit writer writes past the end, and for the end of the
// message.
const blockSpace = 24

// An encoding is one of the types of block of RFC 1951, Section 3.2.3.
type encoding uint8

const (
	encodeStored  = 0
	encodeFixed   = 1
	encodeDynamic = 2
)

// writeBlock appends the block e.seqs of text[start:end] to w in the smallest
// of the three encodings. It reports false, and writes nothing, if the output
// would exceed limit bytes.
func (e *encoder) writeBlock(w *bitWriter, start, end, limit int) bool {
	kind, size := e.chooseEncoding(w, start, end)
	if (int(w.n)+size+7)/8 > limit-w.pos {
		return false
	}
	w.reserve(size/8 + blockSpace)
	switch kind {
	case encodeStored:
		w.putStored(e.text[start:end])
	case encodeFixed:
		w.put(encodeFixed<<1, 3)
		e.writeSequences(w, &e.fixed, start)
	case encodeDynamic:
		w.put(encodeDynamic<<1, 3)
		e.header.write(w)
		e.writeSequences(w, &e.dynamic, start)
	}
	return true
}

// chooseEncoding returns the smallest encoding of the block and its size in
// bits.
func (e *encoder) chooseEncoding(w *bitWriter, start, end int) (encoding, int) {
	kind, size := encoding(encodeStored), storedBits(w, end-start)

	// The fixed code has 8 or 9 bits for a literal, and 7 or 8 and 5 for a match,
	// without its extra bits.
	least := 3 + 8*e.literals + 12*e.matches() + 7
	if least <= maxFixedOnly {
		if fixed := least + e.moreFixedBits(start); fixed <= maxFixedOnly {
			if fixed < size {
				kind, size = encodeFixed, fixed
			}
			return kind, size
		}
	}
	extra := e.countSymbols(start)
	if dynamic := 3 + extra + e.buildDynamic(); dynamic < size {
		kind, size = encodeDynamic, dynamic
	}
	if least+extra < size {
		if fixed := 3 + extra + e.fixedBits(); fixed < size {
			kind, size = encodeFixed, fixed
		}
	}
	return kind, size
}

// storedBits returns the size in bits of a stored block of n bytes that begins
// at the end of w.
func storedBits(w *bitWriter, n int) int {
	padding := -(int(w.n) + 3) & 7
	return 3 + padding + 32 + 8*n
}

// matches returns the number of matches of the block.
func (e *encoder) matches() int {
	n := e.nseqs
	if n > 0 && e.seqs[n-1].length() == 0 {
		n--
	}
	return n
}

// moreFixedBits returns the number of bits of the block with the fixed code,
// beyond the least of all blocks with as many literals and matches.
func (e *encoder) moreFixedBits(start int) (n int) {
	i := start
	for _, s := range e.seqs[:e.nseqs] {
		literals := s.literals()
		for _, b := range e.text[i : i+literals] {
			if b >= 144 {
				n++
			}
		}
		if length := s.length(); length != 0 {
			l := e.lengthCodes[length-3]
			_, extra := distCode(s.dist1())
			n += int(l.extraBits()) + int(extra)
			if l.symbol() >= 280-firstLength {
				n++
			}
			i += length
		}
		i += literals
	}
	return n
}

// countSymbols counts the symbols of the block in e.litFreq and e.distFreq and
// returns the number of extra bits.
func (e *encoder) countSymbols(start int) int {
	clear(e.litFreq[:])
	clear(e.distFreq[:])
	e.litFreq[endOfBlock] = 1
	extra := uint(0)
	i := start
	for _, s := range e.seqs[:e.nseqs] {
		literals := s.literals()
		for _, b := range e.text[i : i+literals] {
			e.litFreq[b]++
		}
		i += literals
		if length := s.length(); length != 0 {
			l := e.lengthCodes[uint8(length-3)]
			e.litFreq[firstLength+l.symbol()&31]++
			symbol, n := distCode(s.dist1())
			e.distFreq[symbol&31]++
			extra += l.extraBits() + n
			i += length
		}
	}
	return int(extra)
}

// fixedBits returns the size in bits of the counted symbols with the fixed code.
// The dynamic code was built before.
func (e *encoder) fixedBits() int {
	n := 0
	for _, s := range e.header.lit {
		n += int(e.litFreq[s]) * int(e.fixed.lit[s].len())
	}
	for _, s := range e.header.dist {
		n += int(e.distFreq[s]) * 5
	}
	return n
}

// writeSequences appends the block's sequences and the end of the block.
func (e *encoder) writeSequences(w *bitWriter, c *codes, start int) {
	out, pos, acc, n := w.out, w.pos, w.acc, w.n
	i := start
	for _, s := range e.seqs[:e.nseqs] {
		literals := e.text[i : i+s.literals()]
		i += len(literals)
		for len(literals) >= 3 {
			c0, c1, c2 := c.lit[literals[0]], c.lit[literals[1]], c.lit[literals[2]]
			literals = literals[3:]
			acc |= c0.bits() << (n & 63)
			n += c0.len()
			acc |= c1.bits() << (n & 63)
			n += c1.len()
			acc |= c2.bits() << (n & 63)
			n += c2.len()
			put64(out, pos, acc)
			pos += int(n >> 3)
			acc >>= n &^ 7 & 63
			n &= 7
		}
		for _, b := range literals { // at most 30 bits
			c0 := c.lit[b]
			acc |= c0.bits() << (n & 63)
			n += c0.len()
		}
		length := s.length()
		if length == 0 {
			break
		}
		put64(out, pos, acc)
		pos += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7

		i += length
		l := e.lengthCodes[uint8(length-3)]
		cl := c.lit[firstLength+l.symbol()&31]
		acc |= cl.bits() << (n & 63)
		n += cl.len()
		acc |= l.extra() << (n & 63)
		n += l.extraBits()
		dist1 := s.dist1()
		symbol, extra := distCode(dist1)
		cd := c.dist[symbol&31]
		acc |= cd.bits() << (n & 63)
		n += cd.len()
		acc |= uint64(dist1&(1<<extra-1)) << (n & 63)
		n += extra // at most 7+15+5+15+13 bits
		put64(out, pos, acc)
		pos += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7
	}
	end := c.lit[endOfBlock]
	acc |= end.bits() << (n & 63)
	n += end.len()
	put64(out, pos, acc)
	w.pos = pos + int(n>>3)
	w.acc = acc >> (n &^ 7 & 63)
	w.n = n & 7
}

// putStored appends a stored block (RFC 1951, Section 3.2.4).
func (w *bitWriter) putStored(p []byte) {
	w.put(encodeStored<<1, 3)
	w.align()
	n := uint64(len(p))
	w.put(n|(n^0xffff)<<16, 32)
	w.pos += copy(w.out[w.pos:], p)
}

// reserve provides space for n more bytes.
func (w *bitWriter) reserve(n int) {
	if len(w.out)-w.pos < n {
		w.out = slices.Grow(w.out[:w.pos], n)
		w.out = w.out[:cap(w.out)]
	}
}

// A codeHeader is the code of a dynamic block as it is sent: the lengths of
// both codes, run-length encoded in the code length alphabet (RFC 1951, Section
// 3.2.7).
type codeHeader struct {
	lit, dist []usedSymbol // symbols that have a code; parts of used
	used      [literalSymbols + distSymbols + codeSymbols]usedSymbol
	runs      [512]codeRun
	nruns     int
	freq      [codeSymbols + 1]uint16
	codes     [32]prefixCode // by symbol; the last ones have none
	sent      int            // number of code length codes sent

	// zeros[n] is the codeRun for n lengths of 0 and, from bit 16 on, how often it
	// is sent.
	zeros [maxZeros + 1]uint32
}

// A codeRun is a symbol of the code length alphabet, and above bit 8 its extra
// bits.
type codeRun uint16

// Symbols of the code length alphabet for runs.
const (
	repeatPrevious = 16 // 3-6 times, 2 extra bits
	repeatZero     = 17 // 3-10 times, 3 extra bits
	repeatZeros    = 18 // 11-138 times, 7 extra bits

	maxZeros = 138
)

// runExtraBits is the number of extra bits of a symbol of the code length
// alphabet.
var runExtraBits = [32]uint{repeatPrevious: 2, repeatZero: 3, repeatZeros: 7}

// buildDynamic builds the code for the counted symbols and returns the size in
// bits of the block, without its first 3 bits and the extra bits of matches.
func (e *encoder) buildDynamic() int {
	h := &e.header
	lit, litBits := e.builder.build(e.dynamic.lit[:], e.litFreq[:], maxCodeBits, h.used[:0])
	used, distBits := e.builder.build(e.dynamic.dist[:], e.distFreq[:], maxCodeBits, lit)
	h.lit, h.dist = lit, used[len(lit):]

	clear(h.freq[:])
	h.nruns = 0
	// A run may begin in the lengths of one code and end in those of the other.
	last := h.addLengths(repetition{}, e.dynamic.lit[:], h.lit)
	h.addLengths(last, e.dynamic.dist[:], h.dist)

	clear(h.codes[:])
	_, runBits := e.builder.build(h.codes[:codeSymbols], h.freq[:], maxCodeLengthBits, used)
	h.sent = codeSymbols
	for h.sent > 4 && h.codes[codeOrder[h.sent-1]] == 0 {
		h.sent--
	}
	return litBits + distBits + 5 + 5 + 4 + 3*h.sent + runBits +
		2*int(h.freq[repeatPrevious]) + 3*int(h.freq[repeatZero]) + 7*int(h.freq[repeatZeros])
}

// A repetition is a code length that is not 0, the last one appended, and the
// number of times it has been repeated: at most as often as one symbol says.
type repetition struct {
	length uint8
	n      int
}

// addLengths appends the lengths of codes up to the last symbol of used. r is the
// last length before them. It returns their last length.
func (h *codeHeader) addLengths(r repetition, codes []prefixCode, used []usedSymbol) repetition {
	next := 0
	for _, s := range used {
		length := uint8(codes[s].len())
		zeros := int(s) - next
		next = int(s) + 1
		for ; zeros > maxZeros; zeros -= maxZeros {
			h.addSymbol(repeatZeros, maxZeros-11)
		}
		run := h.zeros[zeros]
		h.runs[h.nruns&511], h.runs[(h.nruns+1)&511] = codeRun(run), codeRun(run)
		h.nruns += int(run >> 16)
		h.freq[run&31] += uint16(run >> 16)

		n := r.n + 1
		if zeros != 0 {
			n = 0
		}
		if length != r.length {
			n = 0
		}
		r = repetition{length, n}
		if n >= 3 {
			r.n = h.repeat(length, n)
			continue
		}
		h.addSymbol(length, 0)
	}
	return r
}

// repeat appends length as repetition n, 3 to 7. It returns the number of
// repetitions: after 6, others begin.
func (h *codeHeader) repeat(length uint8, n int) int {
	switch n {
	case 3:
		h.nruns -= 2
		h.freq[length] -= 2
		h.addSymbol(repeatPrevious, 0)
	case 7:
		h.addSymbol(length, 0)
		return 1
	default:
		h.runs[h.nruns-1] += 1 << 8
	}
	return n
}

// addSymbol appends a symbol of the code length alphabet.
func (h *codeHeader) addSymbol(symbol uint8, extra int) {
	h.runs[h.nruns&511] = codeRun(symbol) | codeRun(extra)<<8
	h.nruns++
	h.freq[symbol]++
}

// setZeros sets the constant table h.zeros.
func (h *codeHeader) setZeros() {
	h.zeros[1], h.zeros[2] = 1<<16, 2<<16
	for n := 3; n <= 10; n++ {
		h.zeros[n] = 1<<16 | uint32(n-3)<<8 | repeatZero
	}
	for n := 11; n <= maxZeros; n++ {
		h.zeros[n] = 1<<16 | uint32(n-11)<<8 | repeatZeros
	}
}

// write appends the header.
func (h *codeHeader) write(w *bitWriter) {
	lit, dist := h.lit[len(h.lit)-1]+1, h.dist[len(h.dist)-1]+1
	w.put(uint64(lit-firstLength)|uint64(dist-1)<<5|uint64(h.sent-4)<<10, 14)
	var v uint64
	var n uint
	for _, s := range codeOrder[:h.sent] {
		v |= uint64(h.codes[s].len()) << (n & 63)
		n += 3
	}
	w.put(v&(1<<30-1), min(n, 30))
	if n > 30 {
		w.put(v>>30, n-30) // 27 bits at most
	}

	out, pos, acc, n := w.out, w.pos, w.acc, w.n
	runs := h.runs[:h.nruns]
	for len(runs) > 0 {
		some := runs[:min(len(runs), 4)] // at most 4*(7+7) bits, after 7 others
		runs = runs[len(some):]
		for _, r := range some {
			symbol := r & 31
			c := h.codes[symbol]
			acc |= c.bits() << (n & 63)
			n += c.len()
			acc |= uint64(r>>8) << (n & 63)
			n += runExtraBits[symbol]
		}
		put64(out, pos, acc)
		pos += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7
	}
	w.pos, w.acc, w.n = pos, acc, n
}
