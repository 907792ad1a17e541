package endpoint

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"time"

	"github.com/fibersock/fibersock/wire"

	cryptorand "crypto/rand"
)

// Role says which end of the connection an endpoint is.
type Role uint8

const (
	Client Role = iota // masks what it sends; refuses masked frames
	Server             // does not mask; refuses frames that are not masked
)

// DefaultMessageLimit is the Limits.Message, in bytes, of whoever sets none.
const DefaultMessageLimit = 16 << 20

// Limits bound what a peer may send. Zero means the default, negative means no
// limit.
type Limits struct {
	// Frame is how many payload bytes one data frame may have, checked when
	// its header arrives. By default a frame may be as large as a message.
	Frame int64

	// Message is how many payload bytes one message may have, over all its
	// frames, checked when the header of each arrives. The default is 16 MiB.
	Message int64

	// MessagesPerSecond, BytesPerSecond and ControlsPerSecond are how many
	// messages, bytes of payload and control frames (Pings and Pongs) may come in a
	// second: over a long time, and as many at once. Zero too means no limit. A
	// peer over one of them has its connection failed with 1008.
	MessagesPerSecond, BytesPerSecond, ControlsPerSecond int64
}

// withDefaults returns l with numbers that can be compared as they are.
func (l Limits) withDefaults() Limits {
	if l.Message == 0 {
		l.Message = DefaultMessageLimit
	}
	if l.Message < 0 {
		l.Message = math.MaxInt64
	}
	if l.Frame <= 0 || l.Frame >= l.Message {
		l.Frame = math.MaxInt64 // it is Message that bounds a frame
	}
	return l
}

// Config is what an endpoint is told when it is made.
type Config struct {
	Role   Role
	Limits Limits

	// Partial asks for messages piece by piece, as they arrive: see the kind
	// Partial. Otherwise messages are assembled.
	Partial bool

	// Background runs a function on another goroutine, for a writer that may
	// wait for the peer. Pongs are written there, so that Receive does not
	// wait: a peer whose Receive waited for the same reason would never take
	// them. If it is nil, Receive writes Pongs itself.
	Background func(func())

	// DeferClose leaves the Close that answers the peer's, or reports a failure,
	// to AnswerClose. Receive and Fail then never wait for the writer's lock.
	DeferClose bool

	// MaxOutgoingFrame is the largest payload, in bytes, of a data frame that is
	// sent. A longer message is sent in fragments. 0 or less means no limit.
	MaxOutgoingFrame int
}

// VectorWriter is a writer that takes a frame in two pieces, header and payload,
// under the same rules as Write: an endpoint that does not mask copies nothing
// then. head is empty if all of the frame is in payload.
type VectorWriter interface {
	io.Writer
	Writev(head, payload []byte) error

	// WriteCorked takes what is collected in k, and after it payload, the end of
	// the last frame, which may be empty. It reports whether more is to be
	// collected. It does not wait for the peer.
	WriteCorked(k *Cork, payload []byte) (more bool, err error)
}

// SharedConfig are what endpoints with the same Config share, so that a server keeps them
// once for all of its connections.
type SharedConfig struct {
	role       Role
	partial    bool
	limits     Limits // withDefaults
	background func(func())
	deferClose bool
	maxFrame   int                  // of a frame that is sent; math.MaxInt without a limit
	now        func() time.Duration // nil unless rates are limited
}

// NewSharedConfig returns the cfg of cfg.
func NewSharedConfig(cfg Config) *SharedConfig {
	t := &SharedConfig{
		role:       cfg.Role,
		partial:    cfg.Partial,
		limits:     cfg.Limits.withDefaults(),
		background: cfg.Background,
		deferClose: cfg.DeferClose,
		maxFrame:   cfg.MaxOutgoingFrame,
	}
	if t.maxFrame <= 0 {
		t.maxFrame = math.MaxInt
	}
	if t.limits.limitsRates() {
		start := time.Now()
		t.now = func() time.Duration { return time.Since(start) }
	}
	return t
}

// Endpoint is one end of an open connection. Receive and Lost belong to one
// goroutine at a time; everything else is safe for concurrent use.
//
// It is small as long as nothing is under way: what it needs for a frame that
// has come in part is borrowed, and what most connections never need is made
// when it is needed.
type Endpoint struct {
	receiver receiver
	sender   sender
}

// New returns an open endpoint that writes its frames to w. A Write must take
// all of p or return an error, and must not keep p; after an error the endpoint
// writes nothing more, because the peer may have half a frame.
func New(w io.Writer, cfg Config) *Endpoint {
	e := new(Endpoint)
	e.Init(w, NewSharedConfig(cfg))
	return e
}

// Init makes e, which must be a zero Endpoint, what New returns: for an
// endpoint that is a field of something larger.
func (e *Endpoint) Init(w io.Writer, t *SharedConfig) {
	e.receiver.cfg = t
	if t.now != nil {
		e.sender.ensureExt().rates = new(rates)
	}
	e.sender.w = w
	if t.role == Client {
		e.sender.ensureExt().keys = newKeys()
	} else if _, ok := w.(VectorWriter); ok {
		e.sender.vectored = true
	}
}

// newKeys returns the source of masking keys (RFC 6455, Section 5.3): not
// predictable, because it is ChaCha8 with a seed that comes from the operating
// system, and cheap enough for a new key with every frame.
func newKeys() *rand.ChaCha8 {
	var seed [32]byte
	cryptorand.Read(seed[:]) // never fails: it crashes the program instead
	return rand.NewChaCha8(seed)
}

// ending is how the connection ended; it is set once.
type outcome struct {
	code   wire.StatusCode // as reported, Section 7.1.5
	reason string          // as reported, Section 7.1.6
	err    error
}

// recordEnd records how the connection ended, unless that is known already, and
// returns what is recorded.
func (e *Endpoint) recordEnd(how *outcome) *outcome {
	ext := e.sender.ensureExt()
	ext.outcome.CompareAndSwap(nil, how)
	return ext.outcome.Load()
}

// end returns how the connection ended, nil if it has not.
func (e *Endpoint) end() *outcome {
	if ext := e.sender.ext.Load(); ext != nil {
		return ext.outcome.Load()
	}
	return nil
}

// Lost tells the endpoint that the transport ended, and why: io.EOF if the peer
// closed it. It calls the function that closes this side of it, if it is not nil,
// so that no write goes on, and returns the error that all later calls should
// return: what Receive reported already, or a *LostError if the closing handshake
// did not come to its end.
func (e *Endpoint) TransportClosed(cause error, closeTransport func() error) error {
	if cause == io.EOF && e.receiver.unfinished() {
		cause = io.ErrUnexpectedEOF
	}
	var together struct { // one allocation for every connection's end
		how outcome
		why LostError
	}
	how, why := &together.how, &together.why
	why.Err = cause
	*how = outcome{code: wire.AbnormalClosure, err: why}
	ext := e.sender.ensureExt()
	ext.lost.Store(why)
	e.sender.stop(closeTransport)
	if failed := ext.failed.Load(); failed != nil {
		// The system may tell the writer alone what happened, and the reader
		// no more than that it is over.
		how.err = failed
	}
	return e.recordEnd(how).err
}

// closedHere reports whether err is what a transport returns after this side has
// closed it.
func closedHere(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// Abort ends the connection from this side without a closing handshake: it
// records why, ErrClosed if why is nil, and from then on nothing is sent. It
// reports whether the connection had not ended before. It never waits, and may be
// called from any goroutine; Cut closes the transport.
func (e *Endpoint) Abort(why error) (first bool) {
	how := &outcome{code: wire.AbnormalClosure, err: ErrClosed}
	if why != nil {
		how.err = &LostError{Err: why}
	}
	if e.recordEnd(how) != how {
		return false // the Close that answers the peer's may still have to be written
	}
	e.sender.state.Store(uint32(Closed))
	return true
}

// Cut is Abort, and then it calls the function that closes the transport and
// returns its error. It waits for a write that is going on, which that function
// makes fail.
func (e *Endpoint) Cut(why error, closeTransport func() error) error {
	e.Abort(why)
	return e.sender.stop(closeTransport)
}

// Err returns why the connection ended: a *CloseError, a *FailError, a
// *LostError or ErrClosed. It is nil as long as neither a Close frame has arrived, nor a
// rule been broken, nor the transport ended.
func (e *Endpoint) Err() error {
	if end := e.end(); end != nil {
		return end.err
	}
	return nil
}

// CloseCode returns the status code of the connection's end as RFC 6455,
// Section 7.1.5 has it: that of the first Close frame received,
// NoStatusReceived if it had none, AbnormalClosure if none came. It is 0 as
// long as Err is nil.
func (e *Endpoint) CloseCode() wire.StatusCode {
	if end := e.end(); end != nil {
		return end.code
	}
	return 0
}

// CloseReason returns the reason in the first Close frame received (Section
// 7.1.6). It is UTF-8, but the peer's text otherwise.
func (e *Endpoint) CloseReason() string {
	if end := e.end(); end != nil {
		return end.reason
	}
	return ""
}
