package deflate

import "math"

// Limits of WindowBits (RFC 7692, Section 7.1.2).
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// checkWindowBits panics if bits, of the options of that name, exceed a limit.
func checkWindowBits(options string, bits int) {
	if bits < MinWindowBits || bits > MaxWindowBits {
		panic("deflate: " + options + ".WindowBits is not 8 to 15")
	}
}

// Values of CompressorOptions.Level.
const (
	LevelDefault = 0 // small output for little time
	LevelFast    = 1 // less time, more bytes
	LevelBest    = 2 // more time, fewer bytes
)

// An effort limits the search for matches.
type effort struct {
	index   int  // positions of a window that are indexed, unless maxStep is exceeded
	maxStep int  // largest distance between indexed positions
	recent  int  // bytes at the end of a window that parseChains indexes completely
	depth   int  // positions of a chain that are compared
	nice    int  // length of a match that ends a search
	lazy    int  // length below which the next position is searched too
	hasty   int  // the same for parsePacked
	stride  int  // distance between positions of a match that are inserted
	skip    uint // after 1<<skip literals every second position is searched, and so on
}

// insertedTail is the number of positions at the end of a match that are inserted
// whatever the stride. Other texts begin there.
const insertedTail = 2

// efforts are the levels. A stride is odd, so that it comes to all positions of
// text with a period of 2, 4 or 8.
var efforts = [...]effort{
	LevelDefault: {index: 2 << 10, maxStep: 4, recent: 2 << 10, depth: 16, nice: 64, lazy: 64, hasty: 16, stride: 5, skip: 7},
	LevelFast:    {index: 1 << 10, maxStep: 8, recent: 1 << 9, depth: 6, nice: 32, lazy: 6, hasty: 0, stride: 7, skip: 5},
	LevelBest:    {index: 32 << 10, maxStep: 1, depth: 48, nice: maxMatch, lazy: maxMatch, hasty: maxMatch, stride: 1, skip: 9},
}

// step returns the distance between indexed positions of a window of size bytes.
func (f *effort) step(size int) int {
	return min(max(size/f.index, 1), f.maxStep)
}

// CompressorOptions configure a [Compressor] with the negotiated parameters of
// this endpoint as the sender.
type CompressorOptions struct {
	// WindowBits is the base-2 logarithm of the window: 8 to 15. No message
	// refers to text farther back than 1<<WindowBits bytes.
	WindowBits int

	// Takeover keeps the window from one message to the next. It is false if the
	// no_context_takeover of this endpoint was negotiated.
	Takeover bool

	// Level is LevelDefault, LevelFast or LevelBest. Other values mean
	// LevelDefault.
	Level int
}

// A Compressor compresses the messages that one endpoint sends on a connection
// with permessage-deflate (RFC 7692, Section 7.2.1). It is not safe for
// concurrent use.
//
// The peer must receive the compressed messages completely, in the order of the
// calls. If one cannot be sent, the windows of the two endpoints differ: close
// the connection.
//
// Messages that are sent without RSV1 are not passed to a Compressor: they leave
// the window as it is.
type Compressor struct {
	window ring
}

// NewCompressor returns a Compressor without text in its window. It panics if
// o.WindowBits is not 8 to 15.
func NewCompressor(o CompressorOptions) *Compressor {
	c := new(Compressor)
	c.Init(o)
	return c
}

// Init makes c, which must not have been used yet, a Compressor without text in
// its window. It panics if o.WindowBits is not 8 to 15.
func (c *Compressor) Init(o CompressorOptions) {
	checkWindowBits("CompressorOptions", o.WindowBits)
	if o.Level < 0 || o.Level >= len(efforts) {
		o.Level = LevelDefault
	}
	*c = Compressor{ring{windowBits: uint8(o.WindowBits), level: uint8(o.Level), takeover: o.Takeover}}
}

// AppendMessage compresses the message p and appends it to dst, without the
// bytes 00 00 ff ff at its end. It returns the extended slice and true. p is not
// retained.
//
// If the compressed message would not be smaller than p, AppendMessage returns
// dst and false, and the window is unchanged. dst may have been reallocated, as
// by append. The caller then sends p without RSV1.
//
// AppendMessage may write to all of dst's capacity, with which p must not
// overlap. It must not be called between the fragments of a message.
func (c *Compressor) AppendMessage(dst, p []byte) (out []byte, ok bool) {
	m := c.message()
	out, ok = m.appendSmaller(dst, p)
	if ok {
		c.AddPlain(p)
	}
	return out, ok
}

// AppendFragment compresses p, the next bytes of a message, and appends them to
// dst. It returns the extended slice, which is the payload of a frame with RSV1
// in the first frame of the message. p is not retained.
//
// If final is false, the output ends with an empty stored block, so that the
// peer can decompress all of p at once; nothing is appended for an empty p. The
// last call for a message has final set, and its output lacks the bytes 00 00
// ff ff at the end (RFC 7692, Section 7.2.1).
//
// The output exceeds p by at most 10 bytes, and 5 more for each 32 KiB of p.
// Between the fragments of a message c keeps a window without takeover, too.
//
// AppendFragment may write to all of dst's capacity, with which p must not
// overlap.
func (c *Compressor) AppendFragment(dst, p []byte, final bool) []byte {
	if len(p) == 0 && !final {
		return dst
	}
	m := c.message()
	out, _ := m.append(dst, p, math.MaxInt, final)
	if final && !c.window.takeover {
		c.window.reset()
	} else {
		c.window.append(p)
	}
	return out
}

// AddPlain adds p to the window. Call it after the peer was sent p in the
// compressed form of [AppendShared]. Without takeover it does nothing.
func (c *Compressor) AddPlain(p []byte) {
	if c.window.takeover {
		c.window.append(p)
	}
}

// message returns the parameters of the next message or fragment.
func (c *Compressor) message() message {
	return message{window: &c.window, size: c.window.size(), effort: &efforts[c.window.level]}
}

// Forget drops the text of the window and releases its memory. The next message
// does not refer to earlier ones and is larger. Forget may be called at any time
// between messages.
func (c *Compressor) Forget() { c.window.reset() }

// Size returns the number of bytes that c has allocated, without c itself.
func (c *Compressor) Size() int { return len(c.window.buf) }

// AppendShared compresses the message p and appends it to dst, as
// [Compressor.AppendMessage] does, in a form that every peer can decompress: it
// refers to no earlier message, and to no text farther back than 256 bytes.
// After a connection has sent it, call [Compressor.AddPlain] or
// [Compressor.Forget].
//
// AppendShared may be called from any goroutine.
func AppendShared(dst, p []byte) (out []byte, ok bool) {
	m := message{size: 1 << MinWindowBits, effort: &efforts[LevelDefault]}
	return m.appendSmaller(dst, p)
}
