package client

import (
	"errors"
	"os"
	"strings"
	"time"
)

// What a call of Sockets can be missing.
var (
	ErrURLRequired = &UsageError{Reason: "URL is required"}
	ErrHandler     = &UsageError{Reason: "handler must be a function"}
)

// The Err of a SocketError, if the connection cannot be used.
var (
	// ErrSocketNotFound: no connection has this name, or it was closed.
	ErrSocketNotFound = errors.New("websocket: connection not found")

	// ErrSocketNotOpen: the connection has ended, or is still being made.
	ErrSocketNotOpen = errors.New("websocket: connection is not open")
)

// SocketError says what is wrong with a named connection.
type SocketError struct {
	Name string

	// Err is ErrSocketNotFound, ErrSocketNotOpen, or why the closing handshake
	// failed.
	Err error

	// Cause is why the connection that is not open ended, as far as it is known:
	// see Conn. If a handler panicked, it is a *FailError whose Err is a
	// *PanicError.
	Cause error
}

// Error returns a text with the name, quoted, and what is wrong.
func (e *SocketError) Error() string {
	const prefix = "websocket: "
	what := strings.TrimPrefix(strings.TrimPrefix(e.Err.Error(), prefix), "connection ")
	s := prefix + "connection " + quote(e.Name) + " " + what
	if e.Cause != nil {
		s += ": " + strings.TrimPrefix(e.Cause.Error(), prefix)
	}
	return s
}

// Unwrap returns Err and, if there is one, Cause.
func (e *SocketError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}

// SocketTimeoutError says that what a call waited for did not come in time. The
// connection is as it was. It is a net.Error, and os.ErrDeadlineExceeded under
// errors.Is.
type SocketTimeoutError struct {
	Name    string
	Missing string // what did not come: "message" or "Pong"
	After   time.Duration
}

// Error returns a text with the name, quoted, what did not come, and the time.
func (e *SocketTimeoutError) Error() string {
	return "websocket: connection " + quote(e.Name) + ": no " + e.Missing + " within " + e.After.String()
}

// Timeout reports true, as net.Error has it.
func (e *SocketTimeoutError) Timeout() bool { return true }

// Temporary reports true, as net.Error has it: the call can be made again.
func (e *SocketTimeoutError) Temporary() bool { return true }

// Unwrap returns os.ErrDeadlineExceeded.
func (e *SocketTimeoutError) Unwrap() error { return os.ErrDeadlineExceeded }

// givenUp is why a connection that was being made is not open.
type givenUp struct{}

func (givenUp) Error() string {
	return "websocket: a later Connect or Close of the same name came before it was"
}

func (givenUp) Unwrap() error { return ErrClosed }
