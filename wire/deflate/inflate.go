package deflate

import (
	"encoding/binary"
	"math"
)

// inflateState is the element of the message that is decoded next.
type inflateState uint8

const (
	// No byte of the message has arrived. A message of no bytes is empty.
	stateStart inflateState = iota
	// The header of another block follows.
	stateBlock
	// A final block has ended. The message may end, or another block begins with
	// the next byte (RFC 7692, Section 7.2.3.4).
	stateFinal
	// The length of a stored block follows. If there is none, the message ends:
	// the sender removed it (RFC 7692, Section 7.2.1).
	stateStoredLength
	// The rest of a stored block follows: length bytes.
	stateStored
	// The numbers of code lengths of a dynamic block follow.
	stateDynamic
	// The lengths of the code for code lengths follow.
	stateCodeCode
	// The code lengths follow.
	stateCodeLengths
	// Symbols of a dynamic block follow, after a copy of length bytes.
	stateSymbols
	// Symbols of a fixed block follow, after a copy of length bytes.
	stateFixed
)

// An inflation is a call of Append.
type inflation struct {
	*progress
	t      *inflateTables
	window *ring
	final  bool
	err    *FormatError // set by fail and truncated

	// The input: in[pos:end] and, before it, the low nb bits of acc. Further
	// bits of acc are zeros, or a copy of the bits that follow. in[end:] is
	// zeros. If pos > end, some of the nb bits are such zeros.
	acc      uint64
	nb       uint
	in       []byte
	pos, end int
	stop     int // largest pos at which the fast loop may begin a symbol
	before   int // bytes of src before in

	// The output: out[base:n] is the text, out[n:] is free. len(out) is at most
	// limit.
	out            []byte
	base, n, limit int
}

// inflateResult is the reason why decoding stopped.
type inflateResult uint8

const (
	resultNext   inflateResult = iota // the element is complete; state has the next one
	resultInput                       // more input is needed
	resultFull                        // more room than limit is needed
	resultFailed                      // err is set
)

func (x *inflation) setOutput(dst []byte, limit int) {
	x.base, x.n = len(dst), len(dst)
	x.limit = len(dst) + min(max(limit, 0), math.MaxInt-len(dst))
	x.out = dst[:min(cap(dst), x.limit)]
}

func (x *inflation) setInput(src []byte) {
	x.acc, x.nb = x.bits, uint(x.nbits)
	x.in, x.end = src, len(src)
	x.stop = len(src) - fastInput
	if x.final && len(src) <= tailMax {
		x.setTail()
	}
}

// setTail makes the rest of the input, at most tailMax bytes that end the
// message, a copy with zeros after it. So the fast loop can decode all of it.
func (x *inflation) setTail() {
	n := copy(x.t.tail[:tailMax], x.in[x.pos:x.end])
	clear(x.t.tail[n : n+tailPad])
	x.before += x.pos
	x.in, x.pos, x.end = x.t.tail[:n+tailPad], 0, n
	x.stop = n + tailPad - fastInput // more than x.end
}

// grow provides room in out and reports false if limit is reached. It is called
// when out is full.
func (x *inflation) grow() bool {
	if x.n == x.limit {
		return false
	}
	// As much again, or enough for a usual ratio: the size follows bytes that
	// have arrived.
	more := max(x.n-x.base, min(4*(x.end-min(x.pos, x.end)), 64<<10), 256)
	out := append(x.out[:x.n], make([]byte, min(more, x.limit-x.n))...)
	x.out = out[:min(cap(out), x.limit)]
	return true
}

// rest returns the number of bits of input that are left, or some millions if
// there are more. It is negative if zeros after the end have been decoded.
func (x *inflation) rest() int { return int(x.nb) + 8*min(x.end-x.pos, 1<<20) }

// fill adds input to acc, to at least 56 bits if there is so much, and reports
// whether n bits of input are left. n is at most 56.
func (x *inflation) fill(n uint) bool {
	if x.nb < n {
		if x.pos <= len(x.in)-8 {
			x.acc |= binary.LittleEndian.Uint64(x.in[x.pos:]) << (x.nb & 63)
			x.pos += int(63-x.nb) >> 3
			x.nb |= 56
		} else {
			for x.nb < 56 && x.pos < len(x.in) {
				x.acc |= uint64(x.in[x.pos]) << (x.nb & 63)
				x.pos++
				x.nb += 8
			}
		}
	}
	return x.rest() >= int(n)
}

// take returns the next n bits, which fill has provided.
func (x *inflation) take(n uint) int {
	v := x.acc & (1<<n - 1)
	x.acc >>= n
	x.nb -= n
	return int(v)
}

// mayEnd reports whether a message may end here. The whole input has been read.
func (x *inflation) mayEnd() bool {
	return x.rest() == 0 && (x.state == stateStoredLength || x.state == stateFinal)
}

// suspend saves the input that is consumed, but not decoded yet, and returns the
// number of bytes of src that are consumed: all, if more input is needed.
func (x *inflation) suspend() int {
	if x.pos > x.end {
		x.nb -= 8 * uint(x.pos-x.end)
		x.pos = x.end
	}
	x.bits, x.nbits = x.acc, uint8(x.nb)
	n := x.before + x.pos
	x.read += int64(n)
	return n
}

// fail sets err, for a fault before the present place of the input.
func (x *inflation) fail(reason string) inflateResult {
	if x.rest() < 0 {
		return x.truncated() // the fault is in zeros after the end
	}
	x.err = &FormatError{Offset: x.read + int64(x.before+x.pos) - int64(x.nb+7)/8, Reason: reason}
	return resultFailed
}

// truncated sets err, for a message that ends here but is not complete.
func (x *inflation) truncated() inflateResult {
	x.err = &FormatError{Offset: x.read + int64(x.before+x.end), Reason: "it is truncated, or does not end with an empty stored block"}
	return resultFailed
}

// run decodes until the input is used up or the output is full.
func (x *inflation) run() (r inflateResult) {
	for r == resultNext {
		switch x.state {
		case stateStart, stateBlock, stateFinal:
			r = x.block()
		case stateStoredLength:
			r = x.storedLength()
		case stateStored:
			r = x.stored()
		case stateDynamic:
			r = x.dynamic()
		case stateCodeCode:
			r = x.codeCode()
		case stateCodeLengths:
			r = x.codeLengths()
		case stateSymbols:
			r = x.symbols(&x.t.lit, &x.t.dist)
		case stateFixed:
			r = x.symbols(&constant.lit, &constant.dist)
		}
	}
	return r
}
