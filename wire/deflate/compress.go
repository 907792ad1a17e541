package deflate

import "math"

// Limits of CompressorOptions.WindowBits (RFC 7692, Section 7.1.2).
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// Values of CompressorOptions.Level.
const (
	LevelDefault = 0 // search as long as it pays
	LevelFast    = 1 // about half the time, more bytes
	LevelBest    = 2 // up to twice the time, fewer bytes
)

// An effort says how long the encoder searches for matches.
type effort struct {
	depth int  // positions of a chain that are compared
	nice  int  // length of a match that ends a search
	lazy  int  // length below which the next position is searched too
	hasty int  // the same for long messages and without a window
	skip  uint // literals are skipped by 1 byte more after each 1<<skip
}

// efforts are the levels.
var efforts = [...]effort{
	LevelDefault: {depth: 8, nice: 64, lazy: 32, hasty: 16, skip: 7},
	LevelFast:    {depth: 2, nice: 16, lazy: 0, hasty: 0, skip: 5},
	LevelBest:    {depth: 48, nice: maxMatch, lazy: maxMatch, hasty: maxMatch, skip: 9},
}

// CompressorOptions configure a [Compressor].
type CompressorOptions struct {
	// WindowBits is the binary logarithm of the window, 8 to 15: the value that
	// was agreed for max_window_bits. 0 means 15. Other values are replaced by
	// the nearest limit.
	WindowBits int

	// Takeover lets a message refer to the messages before it. It is false if
	// no_context_takeover was agreed.
	Takeover bool

	// Level is LevelDefault, LevelFast or LevelBest. Other values mean
	// LevelDefault.
	Level int
}

// A Compressor compresses the messages that one connection sends. Its zero value
// has the default options without takeover.
//
// With takeover it keeps the window: memory that grows with the text that was
// sent, up to 1<<WindowBits bytes. Otherwise it keeps memory only during a
// message of several fragments.
//
// The methods of a Compressor must not be called at the same time. The peer must
// receive the compressed messages completely and in the order of the calls: if
// one is not sent, the connection cannot send another compressed message, and
// the caller closes it or calls [Compressor.Forget].
type Compressor struct {
	window   window
	bits     uint8
	level    uint8
	takeover bool
}

// NewCompressor returns a Compressor.
func NewCompressor(o CompressorOptions) *Compressor {
	c := new(Compressor)
	c.Init(o)
	return c
}

// Init sets the options of c and drops its window. It is for a Compressor that
// is a field of another struct.
func (c *Compressor) Init(o CompressorOptions) {
	if o.WindowBits == 0 {
		o.WindowBits = MaxWindowBits
	}
	if o.Level < 0 || o.Level >= len(efforts) {
		o.Level = LevelDefault
	}
	*c = Compressor{
		bits:     uint8(min(max(o.WindowBits, MinWindowBits), MaxWindowBits)),
		level:    uint8(o.Level),
		takeover: o.Takeover,
	}
}

// size returns the size of the window in bytes.
func (c *Compressor) size() int {
	if c.bits == 0 {
		return 1 << MaxWindowBits
	}
	return 1 << c.bits
}

// AppendMessage appends the compressed message p, without the bytes 00 00 ff ff
// at its end (RFC 7692, Section 7.2.1). It returns the extended slice and true.
// If the compressed message would not be smaller than p, it returns dst and
// false, and c is unchanged: the caller sends p uncompressed.
//
// p is not retained. Bytes of dst between its length and its capacity may be
// overwritten; p must not overlap them. AppendMessage must not be called between
// the fragments of a message.
func (c *Compressor) AppendMessage(dst, p []byte) (out []byte, ok bool) {
	if len(p) == 0 {
		return dst, false
	}
	out, ok = encodeMessage(dst, &c.window, p, c.size(), len(p)-1, endMessage, &efforts[c.level])
	if !ok {
		return dst, false
	}
	if c.takeover {
		c.window.append(p, c.size())
	}
	return out, true
}

// AppendFragment appends p, the next piece of a message, compressed, and returns
// the extended slice. Each piece is the payload of one frame, or of part of one.
// Pieces that are not final end with an empty stored block, so that the peer can
// inflate all of p; of the final one, the bytes 00 00 ff ff are missing at the
// end (RFC 7692, Section 7.2.1). An empty piece that is not final appends
// nothing.
//
// The output may be larger than p, by about 10 bytes for each 32 KiB. p is not
// retained. Bytes of dst between its length and its capacity may be overwritten;
// p must not overlap them.
func (c *Compressor) AppendFragment(dst, p []byte, final bool) []byte {
	end := endFragment
	if final {
		end = endMessage
	} else if len(p) == 0 {
		return dst
	}
	dst, _ = encodeMessage(dst, &c.window, p, c.size(), math.MaxInt/16, end, &efforts[c.level])
	switch {
	case c.takeover || !final:
		c.window.append(p, c.size())
	default:
		c.window = window{}
	}
	return dst
}

// AddPlain appends p to the window. The caller has sent p to the peer as a
// compressed message that another function compressed: [AppendShared]. Without
// takeover it does nothing.
func (c *Compressor) AddPlain(p []byte) {
	if c.takeover {
		c.window.append(p, c.size())
	}
}

// Forget drops the window and its memory. The next message does not refer to
// those before it and is larger. Forget may be called between messages at any
// time.
func (c *Compressor) Forget() {
	c.window = window{}
}

// Size returns the size in bytes of the memory of the window.
func (c *Compressor) Size() int {
	return cap(c.window.buf)
}

// sharedWindow is the largest distance in the output of AppendShared: the
// smallest window that an endpoint can have.
const sharedWindow = 1 << MinWindowBits

// AppendShared appends the compressed message p in a form that every peer can
// inflate, whatever was agreed with it: it does not refer to earlier messages,
// and its distances are at most 256. Otherwise it does the same as
// [Compressor.AppendMessage]. After it was sent, call [Compressor.AddPlain] or
// [Compressor.Forget] of the connection.
//
// AppendShared may be called from any goroutine.
func AppendShared(dst, p []byte) (out []byte, ok bool) {
	if len(p) == 0 {
		return dst, false
	}
	out, ok = encodeMessage(dst, &window{}, p, sharedWindow, len(p)-1, endMessage, &efforts[LevelDefault])
	if !ok {
		return dst, false
	}
	return out, true
}

// A messageEnd is the end of a call's output.
type messageEnd uint8

const (
	endMessage  messageEnd = iota // an empty stored block without 00 00 ff ff
	endFragment                   // an empty stored block
)

// encodeMessage appends p, compressed, to dst. Matches refer to p and win and
// have distances of at most size. It returns false if the output would exceed
// limit bytes.
func encodeMessage(dst []byte, win *window, p []byte, size, limit int, end messageEnd, effort *effort) ([]byte, bool) {
	w := bitWriter{out: dst[:cap(dst)], pos: len(dst)}
	limit += len(dst)
	if len(p) > 0 {
		e := encoders.Get().(*encoder)
		ok := e.encode(&w, win, p, size, limit, effort)
		encoders.Put(e)
		if !ok {
			return nil, false
		}
	}
	w.reserve(blockSpace)
	w.put(uint64(encodeStored)<<1, 3)
	w.align()
	if end == endFragment {
		w.put(0xffff0000, 32)
	}
	return w.out[:w.pos], w.pos <= limit
}

// encode appends p as blocks.
func (e *encoder) encode(w *bitWriter, win *window, p []byte, size, limit int, effort *effort) bool {
	history := len(win.buf)
	if history > 0 && len(p) <= size/2 {
		start := chainStart + win.copyTo(e.text[chainStart:])
		end := start + copy(e.text[start:], p)
		e.indexChains(start, indexStep(size))
		e.parseChains(start, end, size, effort)
		return e.writeBlock(w, start, end, limit)
	}

	start := win.copyTo(e.text[:])
	mask := e.clearPacked(history + len(p))
	step := indexStep(size)
	for i := 0; i+minMatch <= start; i += step {
		e.insert(i, mask)
	}
	for len(p) > 0 {
		n := min(len(p), maxBlock)
		if start+n > textSize {
			keep := min(size, start)
			copy(e.text[:], e.text[start-keep:start])
			e.base += uint16(start - keep)
			start = keep
		}
		end := start + copy(e.text[start:], p[:n])
		p = p[n:]
		e.parsePacked(0, start, end, size, mask, effort)
		if !e.writeBlock(w, start, end, limit) {
			return false
		}
		start = end
	}
	return true
}

// indexStep returns the distance of the positions of the window that are
// indexed. Above 12 bits a complete index costs more time than it saves bytes.
func indexStep(size int) int {
	if size <= 1<<12 {
		return 1
	}
	return 4
}
