package endpoint

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/fibersock/fibersock/wire"
)

// What a frame can be wrong in that its bytes alone do not show.
var (
	errReservedBits       = &wire.Error{Code: wire.ProtocolError, Reason: "reserved bit set without an extension"}         // Section 5.2
	errNotMasked          = &wire.Error{Code: wire.ProtocolError, Reason: "frame from a client is not masked"}             // Section 5.1
	errMasked             = &wire.Error{Code: wire.ProtocolError, Reason: "frame from a server is masked"}                 // Section 5.1
	errNothingToContinue  = &wire.Error{Code: wire.ProtocolError, Reason: "continuation frame without a message"}          // Section 5.4
	errMessageInterleaved = &wire.Error{Code: wire.ProtocolError, Reason: "new message inside a fragmented message"}       // Section 5.4
	errFrameLimit         = &wire.Error{Code: wire.MessageTooBig, Reason: "frame over the size limit"}                     // Section 10.4
	errMessageLimit       = &wire.Error{Code: wire.MessageTooBig, Reason: "message over the size limit"}                   // Section 10.4
	errFragmentLimit      = &wire.Error{Code: wire.PolicyViolation, Reason: "message in too many and too small fragments"} // Section 10.4
	errRateLimit          = &wire.Error{Code: wire.PolicyViolation, Reason: "too much in too short a time"}
)

// UsageError is a call that makes no sense, whatever the peer does. Nothing has
// been sent and the connection is as it was.
type UsageError struct{ Reason string }

// Error returns the reason with the library's prefix.
func (e *UsageError) Error() string { return "websocket: " + e.Reason }

// What a caller can do wrong.
var (
	ErrNotData           = &UsageError{"a message is Text or Binary; Ping, Pong and Close have calls of their own"}
	ErrMessageUnfinished = &UsageError{"a message begun in fragments is not finished; send its last fragment first"}
	ErrMessageFinished   = &UsageError{"the message's last fragment is sent; begin a new message"}
)

// CloseError says that the peer closed the connection, by a Close frame with
// this code and reason. It is net.ErrClosed under errors.Is.
type CloseError struct {
	Code   wire.StatusCode // NoStatusReceived if the frame had none
	Reason string          // the peer's text: UTF-8, otherwise not to be trusted
}

// Error returns a text with code and reason, the reason quoted.
func (e *CloseError) Error() string {
	s := "websocket: closed by the peer with " + e.Code.String()
	if e.Reason != "" {
		s += ": " + strconv.Quote(e.Reason)
	}
	return s
}

// Unwrap returns net.ErrClosed.
func (e *CloseError) Unwrap() error { return net.ErrClosed }

// FailError says that this endpoint failed the connection (RFC 6455, Section
// 7.1.7), because the peer broke a rule or a limit. It is net.ErrClosed under
// errors.Is.
type FailError struct {
	Code wire.StatusCode // the code that was sent to the peer
	Err  error           // the broken rule: a *wire.Error, *LimitError, *LateError or *CloseFrameError
}

// Error returns a text with the code sent and the cause.
func (e *FailError) Error() string {
	return "websocket: connection failed with " + e.Code.String() + ": " + withoutPrefix(e.Err)
}

// Unwrap returns the cause and net.ErrClosed.
func (e *FailError) Unwrap() []error { return []error{e.Err, net.ErrClosed} }

// LostError says that the transport ended without a closing handshake: code
// 1006. It is net.ErrClosed under errors.Is.
type LostError struct {
	Err error // io.EOF, io.ErrUnexpectedEOF inside a message, or the transport's error
}

// Error returns a text with the cause.
func (e *LostError) Error() string {
	return "websocket: connection lost without a closing handshake: " + withoutPrefix(e.Err)
}

// Unwrap returns the cause and net.ErrClosed.
func (e *LostError) Unwrap() []error { return []error{e.Err, net.ErrClosed} }

// closedError is the type of ErrClosed.
type closedError struct{}

func (closedError) Error() string { return "websocket: connection is closed" }
func (closedError) Unwrap() error { return net.ErrClosed }

// ErrClosed is what a call returns that comes after this side closed the
// connection. It is net.ErrClosed under errors.Is.
var ErrClosed error = closedError{}

// LimitError says that the peer went over a limit that this side has set.
type LimitError struct {
	Limit  string // what is limited: "frame", "message", "fragments", or something "per second"
	Option string // the option that sets the limit
	Max    int64  // the limit, in bytes; for fragments, in frames; for rates, in what the name says
	Seen   int64  // what the peer sent, or declared it would; for rates, the first that was too many
	rule   *wire.Error
}

// Error returns a text that names the limit, its value, what was seen and the
// option to change.
func (e *LimitError) Error() string {
	unit := " bytes"
	switch {
	case e.Limit == "fragments":
		unit = " fragments in one message"
	case e.rule == errRateLimit:
		unit = " " + e.Limit
	}
	return "websocket: " + e.rule.Reason + ": " + strconv.FormatInt(e.Seen, 10) + unit +
		", allowed are " + strconv.FormatInt(e.Max, 10) + " (" + e.Option + ")"
}

// Unwrap returns the *wire.Error with the status code for the peer.
func (e *LimitError) Unwrap() error { return e.rule }

// CloseFrameError says that the peer's Close frame breaks a rule, and holds the code
// and reason in it, which explain the end better than the broken rule does.
type CloseFrameError struct {
	Code   wire.StatusCode // as it stands in the frame
	Reason string          // the peer's text, which need not be UTF-8
	rule   *wire.Error
}

// Error returns a text with the broken rule, the code and the reason, the reason
// quoted.
func (e *CloseFrameError) Error() string {
	s := "websocket: " + e.rule.Reason + ": the peer closed with " + strconv.Itoa(int(e.Code))
	if e.Reason != "" {
		s += ": " + strconv.Quote(e.Reason)
	}
	return s
}

// Unwrap returns the *wire.Error with the status code for the peer.
func (e *CloseFrameError) Unwrap() error { return e.rule }

// LateError says that something did not come from the peer in time. It is a timeout:
// its method Timeout returns true, as net.Error has it.
type LateError struct {
	What   string        // what did not come
	After  time.Duration // the time limit
	Option string        // the option that sets it
}

// Error names what did not come, the limit, its value and the option that sets it.
func (e *LateError) Error() string {
	return "websocket: " + e.What + " within " + e.After.String() + " (" + e.Option + ")"
}

// Timeout reports true.
func (e *LateError) Timeout() bool { return true }

// withoutPrefix returns err's text without the library's prefix, for a text
// that has it already.
func withoutPrefix(err error) string { return strings.TrimPrefix(err.Error(), "websocket: ") }
