package deflate

import "sync"

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
	window  ring         // latest text of earlier calls
	message *progress    // of an unfinished message; nil between messages
	err     *FormatError // the error of all further calls
}

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
	*d = Decompressor{window: ring{windowBits: uint8(opts.WindowBits), takeover: opts.Takeover}}
}

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
	if len(src) == 0 && d.message == nil {
		return dst, 0, nil
	}
	t := d.borrow()
	x := inflation{progress: &t.progress, t: t, window: &d.window, final: final}
	x.setOutput(dst, limit)
	x.setInput(src)
	x.pending = x.run() == resultFull
	complete := final && !x.pending
	if complete && x.err == nil && !x.mayEnd() {
		x.truncated()
	}
	if x.err != nil {
		d.err = x.err
		d.release()
		d.window.reset()
		return dst, 0, d.err
	}
	out, n = x.out[:x.n], x.suspend()
	if complete {
		d.release()
	}
	if complete && !d.window.takeover {
		d.window.reset()
	} else {
		d.window.append(out[x.base:])
	}
	return out, n, nil
}

// Pending reports whether the last call of Append stopped at its limit, with more
// text to append.
func (d *Decompressor) Pending() bool { return d.message != nil && d.message.pending }

// Park releases the decode tables of an unfinished message, which are 12 KiB.
// Call it when the rest of the message has not arrived and the connection waits
// for it. d then keeps its window and up to 0.4 KiB. The next call of Append
// builds the tables again, in 2 µs or less. Between messages d borrows nothing,
// and Park does nothing.
func (d *Decompressor) Park() {
	if d.message == nil || d.message.tables == nil {
		return
	}
	t := d.message.tables
	p := parkedMessages.Get().(*parkedMessage)
	p.progress, p.header = t.progress, t.header
	p.tables, p.parked = nil, p
	d.release()
	d.message = &p.progress
}

// Size returns the number of bytes that d has allocated or borrowed, in addition
// to d itself.
func (d *Decompressor) Size() int {
	n := len(d.window.buf)
	switch {
	case d.message == nil:
	case d.message.tables == nil:
		n += parkedSize
	default:
		n += tablesSize
	}
	return n
}

// borrow returns the tables of the message, with the codes of the present block,
// and begins a message if there is none.
func (d *Decompressor) borrow() *inflateTables {
	if d.message != nil && d.message.tables != nil {
		return d.message.tables
	}
	t := inflateTablesPool.Get().(*inflateTables)
	if d.message != nil {
		p := d.message.parked
		t.progress, t.header = p.progress, p.header
		parkedMessages.Put(p)
		t.restore()
	}
	t.tables, t.parked = t, nil
	d.message = &t.progress
	return t
}

// restore builds the tables of the present block, whose codes have been found
// valid.
func (t *inflateTables) restore() {
	switch t.state {
	case stateCodeLengths:
		t.buildCodeTable()
		t.addLengths()
	case stateSymbols:
		t.addLengths()
		t.buildLitTable()
		t.buildDistTable()
	}
}

// release returns the tables of the message, which has ended or is parked.
func (d *Decompressor) release() {
	t := d.message.tables
	t.progress = progress{}
	inflateTablesPool.Put(t)
	d.message = nil
}

// A progress is the state of an unfinished message between two calls of Append.
// It belongs to the tables that the message has borrowed or, while it has none,
// to a parkedMessage. So a Decompressor is small between messages.
type progress struct {
	tables *inflateTables // nil while the message is parked
	parked *parkedMessage // nil unless it is

	read  int64  // bytes of the message that earlier calls consumed
	bits  uint64 // input that is consumed, but not decoded yet; above, as inflation.acc
	nbits uint8  // number of these bits

	state      inflateState
	afterBlock inflateState // state after the present block
	pending    bool         // the last call stopped at its limit
	length     uint16       // bytes left of a stored block, or of a copy
	distance   uint16       // of that copy
}

// A parkedMessage is an unfinished message without tables.
type parkedMessage struct {
	progress
	header inflateHeader // the codes of the present block
}

var parkedMessages = sync.Pool{New: func() any { return new(parkedMessage) }}

// inflateTables is the memory that an unfinished message borrows.
type inflateTables struct {
	progress
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

// Sizes in bytes for [Decompressor.Size].
const (
	parkedSize = 392
	tablesSize = 4*litTableSize + 4*distTableSize + 2*(listHeads+6*listKeys) + parkedSize + tailSize
)
