package deflate

import (
	"encoding/binary"
	"math"
	"strconv"
	"sync"
)

// DecompressorOptions are the negotiated parameters of the peer's sender.
type DecompressorOptions struct {
	// WindowBits is the base-2 logarithm of the sender's window, 8 to 15: the
	// value that was negotiated for max_window_bits, or 15. A message that refers
	// to text farther back than 1<<WindowBits bytes is an error.
	WindowBits int

	// Takeover keeps the window from one message to the next. It is false if the
	// sender's no_context_takeover was negotiated.
	Takeover bool
}

// A Decompressor decompresses the messages that one peer sends on a connection
// with permessage-deflate (RFC 7692, Section 7.2.2). Create it with
// [NewDecompressor] or [Decompressor.Init].
//
// With takeover it keeps the window: memory that grows with the text that was
// received, up to 1<<WindowBits bytes. Otherwise it keeps memory only during a
// message that arrives in several pieces. The peer's sender relies on the
// window, so it cannot be dropped before the connection ends.
//
// Messages without RSV1 are not passed to a Decompressor: they leave the window
// as it is.
//
// The methods of a Decompressor must not be called at the same time.
type Decompressor struct {
	tables *inflateTables // borrowed while a message is unfinished; nil if parked
	parked *inflateHeader // the codes of the block, while it is parked
	window *ring          // latest text of earlier calls; nil if there is none
	err    *FormatError   // the error of all further calls

	read  int64  // bytes of the message that earlier calls consumed
	bits  uint64 // input that is consumed, but not decoded yet; above, as inflation.acc
	nbits uint8  // number of these bits

	state      inflateState
	afterBlock inflateState // state after the present block
	pending    bool         // the last call stopped at its limit
	takeover   bool
	windowBits uint8
	length     uint16 // bytes left of a stored block, or of a copy
	distance   uint16 // of that copy
}

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

// An inflateHeader is the header of a dynamic block (RFC 1951, Section 3.2.7).
// The tables of the block can be built from it.
type inflateHeader struct {
	lits, dists, codes uint16 // numbers of the lengths
	next               uint16 // index of the length that is read next
	codeLengths        [codeSymbols]uint8
	lengths            [decodeLits + decodeDists]uint8 // of the literal/length code, then of the distance code
}

// inflateTables is the memory that a Decompressor borrows.
type inflateTables struct {
	lit     litTable // also of the code for code lengths
	dist    distTable
	builder tableBuilder
	header  inflateHeader
	tail    [tailSize]byte
}

const (
	// tailMax is the largest number of bytes at the end of a message that are
	// copied, so that zeros can follow them.
	tailMax = 512
	// tailPad is the number of zeros. The fast loop reads that many bytes past
	// the end before it stops.
	tailPad  = 2 * fastInput
	tailSize = tailMax + tailPad
)

var inflateTablesPool = sync.Pool{New: func() any { return newInflateTables() }}

func newInflateTables() *inflateTables {
	constant.once.Do(initConstant)
	return new(inflateTables)
}

var parkedHeaders = sync.Pool{New: func() any { return new(inflateHeader) }}

// NewDecompressor returns a Decompressor without text in its window. It panics if
// opts.WindowBits is not 8 to 15.
func NewDecompressor(opts DecompressorOptions) *Decompressor {
	d := new(Decompressor)
	d.Init(opts)
	return d
}

// Init makes d, which must not have been used yet, a Decompressor without text
// in its window. It panics if opts.WindowBits is not 8 to 15.
func (d *Decompressor) Init(opts DecompressorOptions) {
	checkWindowBits("DecompressorOptions", opts.WindowBits)
	*d = Decompressor{windowBits: uint8(opts.WindowBits), takeover: opts.Takeover}
}

// size returns the size of the window in bytes.
func (d *Decompressor) size() int { return 1 << d.windowBits }

// Append decompresses src, the next bytes of a compressed message, and appends
// at most limit bytes of text to dst. It returns the extended slice and the
// number of bytes of src that it consumed.
//
// If [Decompressor.Pending] reports true, there is more text than limit: call
// Append again with src[n:] and the same final. Otherwise all of src is consumed.
//
// final marks the end of the message. The caller does not append the bytes 00 00
// ff ff that the sender removed. If Append returns with nothing pending after
// final, the message is complete, and the next call begins another message.
//
// src is not retained. Bytes of dst between its length and its capacity may be
// overwritten; src must not overlap them. dst need not hold earlier text of the
// message. It is reallocated if its capacity is too small, in proportion to text
// and input that have arrived.
//
// An error is a [*FormatError], and out is dst. All further calls return the
// same error.
func (d *Decompressor) Append(dst, src []byte, final bool, limit int) (out []byte, n int, err error) {
	if d.err != nil {
		return dst, 0, d.err
	}
	if len(src) == 0 && d.state == stateStart {
		return dst, 0, nil
	}
	x := inflation{Decompressor: d, t: d.borrow(), final: final}
	x.setOutput(dst, limit)
	x.setInput(src)
	switch x.run() {
	case resultFull:
		d.pending = true
	default:
		d.pending = false
		if final && d.err == nil {
			if !x.complete() {
				x.truncated()
			}
			d.state = stateStart
		}
	}
	if d.err != nil {
		d.release()
		d.window = nil
		return dst, 0, d.err
	}
	out, n = x.out[:x.n], x.suspend()
	if d.state == stateStart && !d.takeover {
		messageRings.put(d.window)
		d.window = nil
	} else {
		d.window = appendRing(d.window, out[x.base:], d.size(), d.rings())
	}
	if d.state == stateStart {
		d.read, d.bits, d.nbits = 0, 0, 0
		d.release()
	}
	return out, n, nil
}

// Pending reports whether the last call of Append stopped at its limit, with more
// text to append.
func (d *Decompressor) Pending() bool { return d.pending }

// Park releases the decode tables of an unfinished message, which are 12 KiB.
// Call it when the rest of the message has not arrived and the connection waits
// for it. d then keeps its window and up to 0.4 KiB. The next call of Append
// builds the tables again, in 2 µs or less. Between messages d borrows nothing,
// and Park does nothing.
func (d *Decompressor) Park() {
	if d.tables == nil {
		return
	}
	switch d.state {
	case stateCodeCode, stateCodeLengths, stateSymbols:
		d.parked = parkedHeaders.Get().(*inflateHeader)
		*d.parked = d.tables.header
	}
	d.release()
}

// Size returns the number of bytes that d has allocated or borrowed, in addition
// to d itself.
func (d *Decompressor) Size() int {
	n := 0
	if d.window != nil {
		n += len(d.window.buf) + ringOverhead
	}
	if d.parked != nil {
		n += parkedSize
	}
	if d.tables != nil {
		n += tablesSize
	}
	return n
}

// borrow returns d.tables, with the tables of the present block.
func (d *Decompressor) borrow() *inflateTables {
	if d.tables != nil {
		return d.tables
	}
	t := inflateTablesPool.Get().(*inflateTables)
	d.tables = t
	if d.parked == nil {
		return t
	}
	t.header = *d.parked
	parkedHeaders.Put(d.parked)
	d.parked = nil
	switch d.state { // the codes have been found valid
	case stateCodeLengths:
		t.buildCodeTable()
		t.addLengths()
	case stateSymbols:
		t.addLengths()
		t.buildLitTable()
		t.buildDistTable()
	}
	return t
}

func (d *Decompressor) release() {
	inflateTablesPool.Put(d.tables)
	d.tables = nil
}

// rings returns the pool of d.window.
func (d *Decompressor) rings() *ringPool {
	if d.takeover {
		return nil
	}
	return &messageRings
}

// buildCodeTable makes lit the table of the code for code lengths.
func (t *inflateTables) buildCodeTable() completeness {
	t.builder.begin()
	for i, n := range t.header.codeLengths {
		t.builder.add(uint(i), uint(n))
	}
	return t.builder.build(t.lit[:], maxCodeLengthBits, 0, 0, constant.codeEntries[:])
}

// addLengths adds the code lengths of the header, up to next, to the builder.
func (t *inflateTables) addLengths() {
	t.builder.begin()
	for i, n := range t.header.lengths[:t.header.next] {
		key := uint(n)
		if i >= int(t.header.lits) {
			key += listKeys
		}
		t.builder.add(uint(i), key)
	}
}

func (t *inflateTables) buildLitTable() completeness {
	return t.builder.build(t.lit[:], litBits, 0, 0, constant.litEntries[:])
}

func (t *inflateTables) buildDistTable() completeness {
	return t.builder.build(t.dist[:], distBits, listKeys, uint(t.header.lits), constant.distEntries[:])
}

// An inflation is a call of Append.
type inflation struct {
	*Decompressor
	t     *inflateTables
	final bool

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

// complete reports whether a message may end here. The whole input has been
// read.
func (x *inflation) complete() bool {
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

// block reads the header of a block (RFC 1951, Section 3.2.3).
func (x *inflation) block() inflateResult {
	if !x.fill(3) {
		return resultInput
	}
	x.afterBlock = stateBlock
	if x.take(1) == 1 {
		x.afterBlock = stateFinal
	}
	switch x.take(2) {
	case 0:
		x.align()
		x.state = stateStoredLength
	case 1:
		x.state = stateFixed
	case 2:
		x.state = stateDynamic
	default:
		return x.fail("block type 3 is reserved")
	}
	return resultNext
}

// endBlock sets the state after a block.
func (x *inflation) endBlock() inflateResult {
	if x.state = x.afterBlock; x.state == stateFinal {
		x.align()
	}
	return resultNext
}

// align skips to the next byte of the input.
func (x *inflation) align() { x.take(x.nb & 7) }

// storedLength reads the length of a stored block (RFC 1951, Section 3.2.4).
func (x *inflation) storedLength() inflateResult {
	if !x.fill(32) {
		return resultInput
	}
	n, not := uint16(x.take(16)), uint16(x.take(16))
	if n != ^not {
		return x.fail("the length " + strconv.Itoa(int(n)) + " of a stored block differs from its complement's " + strconv.Itoa(int(^not)))
	}
	x.length = n
	x.state = stateStored
	return resultNext
}

// stored copies the text of a stored block.
func (x *inflation) stored() inflateResult {
	for x.length > 0 {
		rest := x.rest() / 8
		if rest <= 0 {
			return resultInput
		}
		if x.n == len(x.out) && !x.grow() {
			return resultFull
		}
		n := min(int(x.length), rest, len(x.out)-x.n)
		if x.nb > 0 {
			n = min(n, int(x.nb/8))
			for i := range n {
				x.out[x.n+i] = byte(x.take(8))
			}
		} else {
			x.acc = 0
			copy(x.out[x.n:x.n+n], x.in[x.pos:x.end])
			x.pos += n
		}
		x.n += n
		x.length -= uint16(n)
	}
	return x.endBlock()
}

// dynamic reads the numbers of code lengths of a dynamic block (RFC 1951,
// Section 3.2.7).
func (x *inflation) dynamic() inflateResult {
	if !x.fill(14) {
		return resultInput
	}
	h := &x.t.header
	h.lits, h.dists, h.codes = uint16(x.take(5)+257), uint16(x.take(5)+1), uint16(x.take(4)+4)
	if h.lits > 286 {
		return x.fail(strconv.Itoa(int(h.lits)) + " codes for literals and lengths exceed 286")
	}
	if h.dists > 30 {
		return x.fail(strconv.Itoa(int(h.dists)) + " codes for distances exceed 30")
	}
	h.next = 0
	h.codeLengths = [codeSymbols]uint8{}
	x.state = stateCodeCode
	return resultNext
}

// codeCode reads the code for code lengths.
func (x *inflation) codeCode() inflateResult {
	h := &x.t.header
	for h.next < h.codes {
		n := min(uint(h.codes-h.next), 18) // 54 bits
		if !x.fill(3 * n) {
			if n = 1; !x.fill(3) {
				return resultInput
			}
		}
		for range n {
			h.codeLengths[codeOrder[h.next]] = uint8(x.take(3))
			h.next++
		}
	}
	if c := x.t.buildCodeTable(); c != codeComplete {
		return x.fail("the code for code lengths is " + c.String())
	}
	h.next = 0
	x.t.builder.begin()
	clear(h.lengths[:])
	x.state = stateCodeLengths
	return resultNext
}

// codeLengths reads the code lengths and builds the tables of the block.
func (x *inflation) codeLengths() inflateResult {
	h, b := &x.t.header, &x.t.builder
	i, lits, total := uint(h.next), uint(h.lits), uint(h.lits+h.dists)
	for i < total {
		if x.nb < maxCodeLengthBits+7 {
			x.fill(maxCodeLengthBits + 7)
		}
		e := x.t.lit[x.acc&(1<<maxCodeLengthBits-1)]
		skip := uint(e & entrySkip)
		if x.rest() < int(skip) {
			h.next = uint16(i)
			return resultInput
		}
		extra := x.acc & (1<<skip - 1) >> (e >> entryCode & 15)
		x.acc >>= skip
		x.nb -= skip
		value := uint(e >> entryValue & 0xff)
		if int32(e) < 0 {
			key := value
			if i >= lits {
				key += listKeys
			}
			h.lengths[i] = uint8(value)
			b.add(i, key)
			i++
			continue
		}
		end := i + value + uint(extra)
		if end > total {
			return x.fail("there are more code lengths than the " + strconv.Itoa(int(total)) + " announced")
		}
		if e&entryRepeat == 0 {
			i = end
			continue
		}
		if i == 0 {
			return x.fail("the first code length repeats the previous one")
		}
		for length := h.lengths[i-1]; i < end; i++ {
			key := uint(length)
			if i >= lits {
				key += listKeys
			}
			h.lengths[i] = length
			b.add(i, key)
		}
	}
	h.next = uint16(i)
	if h.lengths[256] == 0 {
		return x.fail("the end of the block has no code")
	}
	if c := x.t.buildLitTable(); c > codeSingle {
		return x.fail("the code for literals and lengths is " + c.String())
	}
	if c := x.t.buildDistTable(); c > codeSingle {
		return x.fail("the code for distances is " + c.String())
	}
	x.state = stateSymbols
	return resultNext
}

// symbols decodes symbols through the end of the block.
func (x *inflation) symbols(lit *litTable, dist *distTable) inflateResult {
	for {
		if x.length > 0 && !x.copyMatch() {
			return resultFull
		}
		if x.final && x.pos > x.stop && x.stop < x.end {
			x.setTail()
		}
		var r symbolResult
		if x.pos <= x.stop && x.n <= len(x.out)-fastOutput {
			r = x.fastSymbols(lit, dist)
		} else {
			r = x.symbol(lit, dist)
		}
		switch r {
		case symbolEnd:
			return x.endBlock()
		case symbolInput:
			return resultInput
		case symbolFull:
			return resultFull
		case symbolNoLiteral:
			return x.fail("a code stands for no literal or length")
		case symbolNoDistance:
			return x.fail("a code stands for no distance")
		case symbolFar:
			return x.fail("a distance of " + strconv.Itoa(int(x.distance)) + " bytes exceeds the " + strconv.Itoa(min(x.known(), x.size())) + " bytes in the window")
		}
		if x.rest() < 0 {
			return x.truncated() // zeros after the end have been decoded
		}
	}
}

// symbolResult is the reason why decoding of symbols stopped.
type symbolResult uint8

const (
	symbolMore       symbolResult = iota // continue with a copy of x.length bytes, if any
	symbolEnd                            // the block has ended
	symbolInput                          // more input is needed
	symbolFull                           // more room than limit is needed
	symbolNoLiteral                      // a code stands for no literal or length
	symbolNoDistance                     // a code stands for no distance
	symbolFar                            // x.distance exceeds the window
)

// symbol decodes a literal, or a length and its distance, unless the rest of
// the input is only a part of it.
func (x *inflation) symbol(lit *litTable, dist *distTable) symbolResult {
	x.fill(48)
	acc, rest, used := x.acc, x.rest(), uint(0)
	e := lit[acc&(1<<litBits-1)]
	if e&entryLink == entryLink {
		acc >>= litBits
		used = litBits
		e = lit[e>>entryValue+uint32(acc)&(1<<(e>>entryCode&15)-1)]
	}
	saved, skip := acc, uint(e&entrySkip)
	acc >>= skip
	used += skip
	switch {
	case rest < int(used):
		return symbolInput
	case e&entryLiteral != 0:
		if x.n == len(x.out) && !x.grow() {
			return symbolFull
		}
		x.out[x.n] = byte(e >> entryValue)
		x.n++
		x.take(used)
		return symbolMore
	case e&entryEnd == entryEnd:
		x.take(used)
		return symbolEnd
	case e&entryOther != 0:
		x.take(used)
		return symbolNoLiteral
	}
	length := e>>entryValue + uint32(saved&(1<<skip-1)>>(e>>entryCode&15))

	e = dist[acc&(1<<distBits-1)]
	if e&entryLink == entryLink {
		acc >>= distBits
		used += distBits
		e = dist[e>>entryValue+uint32(acc)&(1<<(e>>entryCode&15)-1)]
	}
	skip = uint(e & entrySkip)
	used += skip
	distance := e>>entryValue + uint32(acc&(1<<skip-1)>>(e>>entryCode&15))
	switch {
	case rest < int(used):
		return symbolInput
	case e&entryOther != 0:
		x.take(used)
		return symbolNoDistance
	}
	x.take(used)
	x.distance = uint16(distance)
	if int(distance) > min(x.known(), x.size()) {
		return symbolFar
	}
	x.length = uint16(length)
	return symbolMore
}

// known returns the number of bytes before out[n] that are known.
func (x *inflation) known() int {
	n := x.n - x.base
	if x.window != nil {
		n += x.window.n
	}
	return n
}

// copyMatch copies x.length bytes from x.distance bytes before, which are
// known. It reports false if limit is reached before.
func (x *inflation) copyMatch() bool {
	for x.length > 0 {
		if x.n == len(x.out) && !x.grow() {
			return false
		}
		to := x.out[x.n:min(x.n+int(x.length), len(x.out))]
		n := 0
		if back := int(x.distance) - (x.n - x.base); back > 0 {
			n = x.window.copyBack(to, back)
		} else {
			n = copy(to, x.out[x.n-int(x.distance):x.n])
		}
		x.n += n
		x.length -= uint16(n)
	}
	return true
}

// Sizes in bytes for [Decompressor.Size].
const (
	ringOverhead = 48
	parkedSize   = 352
	tablesSize   = 4*litTableSize + 4*distTableSize + 2*(listHeads+6*listKeys) + parkedSize + tailSize
)
