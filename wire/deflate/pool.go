package deflate

import "sync"

const (
	// maxBlock is the largest number of bytes in one block. The text of one block
	// and the largest window fit in encoder.text.
	maxBlock = 32 << 10
	textSize = 64 << 10
	textPad  = 16 // bytes that may be loaded past the end of the text

	headBits  = 12
	prevSize  = 32 << 10
	tableBits = 13
)

// An encoder is the memory that encodes a message, about 260 KiB. It holds no
// state of a connection between messages: all connections share the encoders of
// encoders.
type encoder struct {
	// text holds the window, if any, and after it the block that is encoded.
	text [textSize + textPad]byte

	// Index of parseChains: head has the latest position of each hash, prev the
	// position of the same hash before each position, modulo prevSize. 0 is no
	// position.
	head [1 << headBits]uint16
	prev [prevSize]uint16

	// Index of parsePacked: each bucket has the two latest positions, the later
	// in its low half. Positions are indexes of text plus base, modulo 65536.
	table [1 << tableBits]uint32
	base  uint16

	// The block: its sequences, the number of its literals, and the frequencies
	// of the symbols.
	seqs     [maxBlock/minMatch + 2]sequence
	nseqs    int
	literals int
	litFreq  [literalSymbols + 2]uint16
	distFreq [distSymbols + 2]uint16

	dynamic codes
	header  codeHeader
	builder codeBuilder

	lengthCodes [256]lengthCode // by length - 3
	fixed       codes
}

// codes are the codes of a block.
type codes struct {
	lit  [288]prefixCode
	dist [32]prefixCode
}

var encoders = sync.Pool{New: func() any { return newEncoder() }}

// newEncoder returns an encoder with its constant tables set. They are not
// package variables, so that a program which never compresses does not pay for
// them.
func newEncoder() *encoder {
	e := new(encoder)
	for i := range e.lengthCodes {
		e.lengthCodes[i] = makeLengthCode(i + 3)
	}
	e.fixed.setFixed()
	e.header.setZeros()
	return e
}
