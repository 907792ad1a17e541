package deflate

import "math/bits"

// Symbols of RFC 1951, Section 3.2.
const (
	endOfBlock     = 256 // of the literal/length alphabet
	firstLength    = 257
	literalSymbols = 286
	distSymbols    = 30
	codeSymbols    = 19 // of the code length alphabet

	minMatch = 4 // shortest match that the encoder searches for
	maxMatch = 258
)

// Longest codes of RFC 1951, Sections 3.2.5 and 3.2.7.
const (
	maxCodeBits       = 15
	maxCodeLengthBits = 7
)

// A lengthCode is the code of a match length: the length symbol minus 257 in
// bits 0-7, the number of extra bits in bits 8-15, their value above.
type lengthCode uint32

func (c lengthCode) symbol() int     { return int(c & 0xff) }
func (c lengthCode) extraBits() uint { return uint(c>>8) & 0xff }
func (c lengthCode) extra() uint64   { return uint64(c >> 16) }

// makeLengthCode computes the code of length, which is 3 to 258 (RFC 1951,
// Section 3.2.5).
func makeLengthCode(length int) lengthCode {
	n := uint(length - 3)
	switch {
	case length == maxMatch:
		return 28
	case n < 8:
		return lengthCode(n)
	}
	extra := uint(bits.Len(n)) - 3
	symbol := 4*(extra+1) + n>>extra&3
	return lengthCode(symbol | extra<<8 | n&(1<<extra-1)<<16)
}

// distCode splits a distance minus 1 into symbol and extra bits (RFC 1951,
// Section 3.2.5). The value of the extra bits is dist1 & (1<<extra - 1).
func distCode(dist1 uint32) (symbol, extra uint) {
	if dist1 < 4 {
		return uint(dist1), 0
	}
	extra = uint(bits.Len32(dist1)) - 2
	return 2*(extra+1) + uint(dist1>>extra)&1, extra
}

// setFixed sets c to the fixed codes (RFC 1951, Section 3.2.6). Symbols 286 and
// 287, and the distance symbols 30 and 31, are never sent; their lengths
// complete the codes.
func (c *codes) setFixed() {
	lit := newCanonicalCode(&[maxCodeBits + 1]uint16{7: 24, 8: 152, 9: 112})
	for s := range c.lit {
		switch {
		case s < 144:
			c.lit[s] = lit.assign(8)
		case s < 256:
			c.lit[s] = lit.assign(9)
		case s < 280:
			c.lit[s] = lit.assign(7)
		default:
			c.lit[s] = lit.assign(8)
		}
	}
	dist := newCanonicalCode(&[maxCodeBits + 1]uint16{5: 32})
	for s := range c.dist {
		c.dist[s] = dist.assign(5)
	}
}
