package endpoint

import (
	"net"
	"strconv"

	"github.com/fibersock/fibersock/internal/texts"
	"github.com/fibersock/fibersock/wire"
)

// Rules that depend on more than the bytes of a frame. The reasons are sent to
// the peer.
var (
	errReservedBits       = &wire.Error{Code: wire.ProtocolError, Reason: "reserved bit set without an extension"}       // Section 5.2
	errCompressedBit      = &wire.Error{Code: wire.ProtocolError, Reason: "RSV1 is not on the first frame of a message"} // RFC 7692, Section 6
	errNotMasked          = &wire.Error{Code: wire.ProtocolError, Reason: "frame from a client is not masked"}           // Section 5.1
	errMasked             = &wire.Error{Code: wire.ProtocolError, Reason: "frame from a server is masked"}               // Section 5.1
	errNothingToContinue  = &wire.Error{Code: wire.ProtocolError, Reason: "continuation frame without a message"}        // Section 5.4
	errMessageInterleaved = &wire.Error{Code: wire.ProtocolError, Reason: "new message inside a fragmented message"}     // Section 5.4
	errFrameLimit         = &wire.Error{Code: wire.MessageTooBig, Reason: "frame exceeds the size limit"}                // Section 10.4
	errMessageLimit       = &wire.Error{Code: wire.MessageTooBig, Reason: "message exceeds the size limit"}              // Section 10.4
	errFragmentLimit      = &wire.Error{Code: wire.PolicyViolation, Reason: "message has too many small fragments"}      // Section 10.4
	errRateLimit          = &wire.Error{Code: wire.PolicyViolation, Reason: "rate limit exceeded"}
)

// UsageError is a mistake of the caller, independent of the peer. Nothing is
// sent and the connection is not affected.
type UsageError struct{ Reason string }

// Error returns the reason with the library's prefix.
func (e *UsageError) Error() string { return "websocket: " + e.Reason }

// Mistakes of callers. The last two are of the packages that receive whole
// messages, which have a reader.
var (
	ErrNotData           = &UsageError{"a message is Text or Binary; use Ping, Pong and Close for control frames"}
	ErrMessageUnfinished = &UsageError{"a message in fragments is incomplete; send its last fragment first"}
	ErrMessageFinished   = &UsageError{"the last fragment of the message is sent; start a new message"}
	ErrMessageAbandoned  = &UsageError{"the message was abandoned; start a new message"}
	ErrConcurrentReceive = &UsageError{"another call is receiving on this connection; receive from one goroutine at a time"}
	ErrReaderAbandoned   = &UsageError{"the message was abandoned by a later call; read it to its end first"}
)

// CloseError reports that the peer closed the connection with a Close frame.
// errors.Is(err, net.ErrClosed) holds.
type CloseError struct {
	Code   wire.StatusCode // NoStatusReceived if the frame has none
	Reason string          // UTF-8, otherwise untrusted
}

// Error returns the code and the quoted reason.
func (e *CloseError) Error() string {
	return withReason("websocket: closed by the peer with "+e.Code.String(), e.Reason)
}

// withReason returns text with the quoted reason of a Close, if it has one.
func withReason(text, reason string) string {
	if reason != "" {
		text += ": " + texts.Quote(reason, wire.MaxReason)
	}
	return text
}

// Unwrap returns net.ErrClosed.
func (e *CloseError) Unwrap() error { return net.ErrClosed }

// FailError reports that this endpoint failed the connection (RFC 6455, Section
// 7.1.7), because the peer broke a rule or a limit, or because the caller
// called Fail or FailAsync. errors.Is(err, net.ErrClosed) holds.
type FailError struct {
	Code wire.StatusCode // for the peer
	Err  error           // the broken rule: a *wire.Error, *LimitError, *TimeoutError or *CloseFrameError
}

// Error returns the code and the cause.
func (e *FailError) Error() string {
	return "websocket: connection failed with " + e.Code.String() + ": " + texts.WithoutPrefix(e.Err)
}

// Unwrap returns the cause and net.ErrClosed.
func (e *FailError) Unwrap() []error { return withErrClosed(e.Err) }

// LostError reports that the transport ended, or was aborted, without a closing
// handshake. The status code is 1006. errors.Is(err, net.ErrClosed) holds.
type LostError struct {
	Err error // io.EOF, io.ErrUnexpectedEOF inside a message, or the transport's error
}

// Error returns the cause.
func (e *LostError) Error() string {
	return "websocket: connection lost without a closing handshake: " + texts.WithoutPrefix(e.Err)
}

// Unwrap returns the cause and net.ErrClosed.
func (e *LostError) Unwrap() []error { return withErrClosed(e.Err) }

// withErrClosed returns err and net.ErrClosed.
func withErrClosed(err error) []error {
	both := make([]error, 2) // a literal is an array, whose type has an equality function
	both[0], both[1] = err, net.ErrClosed
	return both
}

// closedError is the type of ErrClosed.
type closedError struct{}

func (*closedError) Error() string { return "websocket: connection is closed" }
func (*closedError) Unwrap() error { return net.ErrClosed }

// ErrClosed is the error of calls after this side closed the connection.
// errors.Is(err, net.ErrClosed) holds.
var ErrClosed error = new(closedError)

// LimitError reports that the peer exceeded a limit of this side.
type LimitError struct {
	_ [0]func() // not comparable: programs are smaller

	Limit  string // the limited quantity: "frame", "message", "fragments", or a name that ends in "per second"
	Option string // the option that sets the limit
	Max    int64  // the limit: in bytes, fragments, or units per second
	Seen   int64  // the received or declared quantity; for rates, the first excess
	rule   *wire.Error
}

// Error returns the quantity, the limit and the option that sets it.
func (e *LimitError) Error() string {
	seen, limit := strconv.FormatInt(e.Seen, 10), "exceeds "+e.Option+" ("+strconv.FormatInt(e.Max, 10)+")"
	switch e.rule {
	case errRateLimit:
		return "websocket: " + seen + " " + e.Limit + " " + limit
	case errFragmentLimit:
		return "websocket: message of " + seen + " small fragments " + limit
	}
	return "websocket: " + e.Limit + " of " + seen + " bytes " + limit
}

// Unwrap returns the *wire.Error with the status code for the peer.
func (e *LimitError) Unwrap() error { return e.rule }

// CloseFrameError reports that the peer's Close frame breaks a rule. It has the
// code and reason of the frame, which may explain the end.
type CloseFrameError struct {
	_ [0]func() // not comparable: programs are smaller

	Code   wire.StatusCode // of the frame, valid or not
	Reason string          // of the frame; untrusted, may be invalid UTF-8
	rule   *wire.Error
}

// Error returns the broken rule, the code and the quoted reason.
func (e *CloseFrameError) Error() string {
	return withReason("websocket: "+e.rule.Reason+": the peer closed with "+strconv.Itoa(int(e.Code)), e.Reason)
}

// Unwrap returns the *wire.Error with the status code for the peer.
func (e *CloseFrameError) Unwrap() error { return e.rule }
