package conform

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// inflateError is the fault of a compressed payload by RFC 7692 or RFC 1951.
type inflateError struct {
	At   int // the number of whole bytes before the fault
	What string
}

func (e *inflateError) Error() string {
	return fmt.Sprintf("websocket: compressed payload: %s, after %d bytes", e.What, e.At)
}

const (
	// inputPad is the number of zeros after the message, so that eight bytes
	// can be loaded at each position.
	inputPad = 32
	// outputSlack is the number of bytes that a match may be written beyond
	// room.
	outputSlack = maxMatch + 16
	// outputKept is the largest output buffer that the next message reuses.
	outputKept = 1 << 20
)

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

	// The input: a message, and zeros.
	in  []byte
	end int // where the zeros begin

	// The last nbits bits of in[:pos] are unused. They are the low bits of
	// bits, whose high bits are zero or the following ones.
	pos   int
	bits  uint64
	nbits uint

	// The output: out[:n] is the window, or more, and the message so far.
	out   []byte
	n     int
	max   int // the limit of the message, in bytes
	limit int // the n at that limit
	room  int // the largest n at which the next symbol is decoded without a check of limit and len(out)

	lit, dist huffman // of the block with dynamic Huffman codes
}

// newInflater returns an inflater for a window of 1<<windowBits bytes, kept
// from one message to the next if takeover is set.
func newInflater(windowBits int, takeover bool) *inflater {
	return &inflater{window: 1 << windowBits, takeover: takeover}
}

// message appends to dst the message with the compressed payload p, of all its
// frames, and returns it. A message of more than max bytes is an error. After
// an error, an *inflateError, f must not be used. p is not retained.
func (f *inflater) message(dst, p []byte, max int) ([]byte, error) {
	if len(p) == 0 {
		return dst, f.errorf("no bytes at all, where an empty message is the byte 00 (RFC 7692, Section 7.2.3.6)")
	}
	f.load(p)
	f.forget()
	begin := f.n
	f.max, f.limit = max, begin+max
	err := f.makeRoom()
	for more := true; more && err == nil; {
		more, err = f.block()
		if f.used() > 8*f.end {
			// The zeros past the end may decode to any symbol.
			err = &inflateError{len(p), "truncated, or without the empty block that ends a message"}
		}
	}
	if err != nil {
		return dst, err
	}
	dst = append(dst, f.out[begin:f.n]...)
	if len(f.out) > outputKept {
		f.out = bytes.Clone(f.out[f.n-min(f.n, f.window) : f.n])
		f.n = len(f.out)
	}
	return dst, nil
}

// load makes p the input.
func (f *inflater) load(p []byte) {
	f.in = append(f.in[:0], p...)
	f.in = append(f.in, make([]byte, inputPad)...)
	f.end = len(p)
	f.pos, f.bits, f.nbits = 0, 0, 0
}

// forget discards output beyond the window, if that is worth the move of the
// rest.
func (f *inflater) forget() {
	switch {
	case !f.takeover:
		f.n = 0
	case f.n >= 4*f.window:
		f.n = copy(f.out, f.out[f.n-f.window:f.n])
	}
}

// makeRoom provides room for another symbol. The error is that the message
// exceeds its limit.
func (f *inflater) makeRoom() error {
	if f.n > f.limit {
		return f.errorf("the message is longer than the %d bytes that are allowed", f.max)
	}
	if f.n+outputSlack > len(f.out) {
		f.out = append(f.out, make([]byte, max(len(f.out), 1<<12))...)
	}
	f.room = min(f.limit, len(f.out)-outputSlack)
	return nil
}

// used returns the number of bits that have been read from the input.
func (f *inflater) used() int { return 8*f.pos - int(f.nbits) }

func (f *inflater) errorf(format string, args ...any) error {
	return &inflateError{f.used() / 8, fmt.Sprintf(format, args...)}
}

// refill provides at least 56 bits. Past the end of the input they are zeros,
// and an error if there are too many.
func (f *inflater) refill() error {
	if f.pos >= f.end+8 {
		return f.errorf("truncated")
	}
	f.bits |= binary.LittleEndian.Uint64(f.in[f.pos:]) << (f.nbits & 63)
	f.pos += int(63-f.nbits) >> 3
	f.nbits |= 56
	return nil
}

// take reads n bits, which refill has provided.
func (f *inflater) take(n uint) int {
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

// block decodes a block (RFC 1951, Section 3.2.3) and reports whether more must
// follow.
func (f *inflater) block() (more bool, err error) {
	if err := f.refill(); err != nil {
		return false, err
	}
	final := f.take(1) == 1
	switch kind := f.take(2); kind {
	case 0:
		f.align()
		if f.pos == f.end {
			return false, nil
		}
		err = f.stored()
	case 1:
		err = f.symbols(fixedLit, fixedDist)
	case 2:
		if err = f.codes(); err == nil {
			err = f.symbols(&f.lit, &f.dist)
		}
	default:
		return false, f.errorf("block type %d, which is reserved", kind)
	}
	if err != nil || !final {
		return true, err
	}
	// After a final block another begins with the next byte (RFC 7692, Section
	// 7.2.3.4). The sender should add the beginning of an empty one. A message
	// without it is accepted, as by other implementations.
	f.align()
	return f.pos != f.end, nil
}

// stored decodes a block without compression, after its type (RFC 1951, Section
// 3.2.4).
func (f *inflater) stored() error {
	rest := f.in[f.pos:max(f.pos, f.end)]
	if len(rest) < 4 {
		return f.errorf("truncated: a stored block without its length")
	}
	n, not := binary.LittleEndian.Uint16(rest), binary.LittleEndian.Uint16(rest[2:])
	if n != ^not {
		return f.errorf("the length %04x of a stored block and its complement %04x do not agree", n, not)
	}
	f.pos += 4
	data := rest[4:]
	if len(data) < int(n) {
		return f.errorf("truncated: a stored block of %d bytes, where %d are left", n, len(data))
	}
	for data = data[:n]; len(data) > 0; {
		if err := f.makeRoom(); err != nil {
			return err
		}
		part := copy(f.out[f.n:], data)
		data = data[part:]
		f.n += part
	}
	f.pos += int(n)
	return f.makeRoom()
}

// codes reads the codes of a block with dynamic Huffman codes (RFC 1951,
// Section 3.2.7).
func (f *inflater) codes() error {
	nlit, ndist, ncl := f.take(5)+257, f.take(5)+1, f.take(4)+4
	if nlit > litSymbols || ndist > distSymbols {
		return f.errorf("codes for %d lengths or literals and %d distances", nlit, ndist)
	}
	var cl [clSymbols]uint8
	for i := range ncl {
		if i%16 == 0 {
			if err := f.refill(); err != nil {
				return err
			}
		}
		cl[clOrder[i]] = uint8(f.take(3))
	}
	if c := f.lit.build(cl[:], clEntries[:]); c != completeCode {
		return f.errorf("%s code for code lengths", c)
	}
	var lengths [litSymbols + distSymbols]uint8
	if err := f.codeLengths(lengths[:nlit+ndist]); err != nil {
		return err
	}
	if lengths[endOfBlock] == 0 {
		return f.errorf("no code for the end of the block")
	}
	if c := f.lit.build(lengths[:nlit], litEntries[:]); c > singleCode {
		return f.errorf("%s code for lengths and literals", c)
	}
	if c := f.dist.build(lengths[nlit:nlit+ndist], distEntries[:]); c > singleCode {
		return f.errorf("%s code for distances", c)
	}
	return nil
}

// String describes the fault of a code.
func (c completeness) String() string {
	switch c {
	case completeCode:
		return "complete"
	case emptyCode:
		return "empty"
	case singleCode:
		return "single"
	case incompleteCode:
		return "incomplete"
	case overfullCode:
		return "oversubscribed"
	}
	return "unknown"
}

// codeLengths reads code lengths, which are encoded with f.lit.
func (f *inflater) codeLengths(lengths []uint8) error {
	for i := 0; i < len(lengths); {
		if err := f.refill(); err != nil {
			return err
		}
		e := f.lit.lookup(f.bits)
		f.take(uint(e & 31))
		value, times := uint8(0), 0
		switch sym := uint8(e >> 16); sym {
		case 16:
			if i == 0 {
				return f.errorf("the first code length is a repetition")
			}
			value, times = lengths[i-1], 3+f.take(2)
		case 17:
			times = 3 + f.take(3)
		case 18:
			times = 11 + f.take(7)
		default:
			value, times = sym, 1
		}
		if times > len(lengths)-i {
			return f.errorf("more code lengths than codes")
		}
		for ; times > 0; times-- {
			lengths[i] = value
			i++
		}
	}
	return nil
}

// symbols decodes the compressed data of a block through its end (RFC 1951,
// Section 3.2.3).
//
// It works on copies of the fields that change with every symbol. One refill
// gives at least 56 bits: enough for a length and a distance with their extra
// bits, 48 at most, or for some literals.
func (f *inflater) symbols(lit, dist *huffman) error {
	in, out := f.in, f.out
	pos, b, nb, n := f.pos, f.bits, f.nbits, f.n
	for {
		if pos >= f.end+8 {
			f.save(pos, b, nb, n)
			return f.errorf("truncated")
		}
		if n > f.room {
			f.save(pos, b, nb, n)
			if err := f.makeRoom(); err != nil {
				return err
			}
			out = f.out
		}
		b |= binary.LittleEndian.Uint64(in[pos:]) << (nb & 63)
		pos += int(63-nb) >> 3
		nb |= 56

		e := lit.first[b%(1<<firstBits)]
		if e&entryKinds == entryLiteral {
			out[n] = byte(e >> 16)
			n++
			b >>= e & 31
			nb -= uint(e & 31)
			if e = lit.first[b%(1<<firstBits)]; e&entryKinds == entryLiteral {
				out[n] = byte(e >> 16)
				n++
				b >>= e & 31
				nb -= uint(e & 31)
				if e = lit.first[b%(1<<firstBits)]; e&entryKinds == entryLiteral {
					out[n] = byte(e >> 16)
					n++
					b >>= e & 31
					nb -= uint(e & 31)
					continue
				}
			}
			b |= binary.LittleEndian.Uint64(in[pos:]) << (nb & 63)
			pos += int(63-nb) >> 3
			nb |= 56
		}
		if e&entryKinds == entrySecond {
			e = lit.second[uint64(e>>16)+b>>firstBits&(1<<(e>>8&15)-1)]
		}
		b >>= e & 31
		nb -= uint(e & 31)
		switch e & entryKinds {
		case entryCopy:
		case entryLiteral:
			out[n] = byte(e >> 16)
			n++
			continue
		case entryEnd:
			f.save(pos, b, nb, n)
			return f.makeRoom()
		default:
			f.save(pos, b, nb, n)
			return f.errorf("a code that stands for no length or literal")
		}
		length := int(e>>16) + int(b&(1<<(e>>8&15)-1))
		b >>= e >> 8 & 15
		nb -= uint(e >> 8 & 15)

		e = dist.lookup(b)
		b >>= e & 31
		nb -= uint(e & 31)
		distance := int(e>>16) + int(b&(1<<(e>>8&15)-1))
		b >>= e >> 8 & 15
		nb -= uint(e >> 8 & 15)
		if e == 0 || distance > n || distance > f.window {
			f.save(pos, b, nb, n)
			return f.badDistance(e, distance)
		}
		repeat(out, n, distance, length)
		n += length
	}
}

// save sets the fields that symbols copies.
func (f *inflater) save(pos int, b uint64, nb uint, n int) {
	f.pos, f.bits, f.nbits, f.n = pos, b, nb, n
}

// badDistance returns the error for a distance with the entry e.
func (f *inflater) badDistance(e uint32, distance int) error {
	switch {
	case e == 0:
		return f.errorf("a code that stands for no distance")
	case distance > f.window:
		return f.errorf("distance too far back: %d bytes, with a window of %d", distance, f.window)
	}
	return f.errorf("distance too far back: %d bytes, where the window holds %d", distance, f.n)
}

// repeat copies the bytes at distance before n to out[n:n+length]. It may write
// up to 7 bytes more.
func repeat(out []byte, n, distance, length int) {
	switch {
	case distance < 8:
		to := out[n:][:length]
		from := out[n-distance:][:length]
		for i := range to {
			to[i] = from[i]
		}
	case length > 64 && distance >= length:
		copy(out[n:n+length], out[n-distance:])
	default:
		for end := n + length; n < end; n += 8 {
			binary.LittleEndian.PutUint64(out[n:], binary.LittleEndian.Uint64(out[n-distance:]))
		}
	}
}
