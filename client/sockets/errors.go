package sockets

import (
	"errors"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/client"
)

// Errors of wrong arguments.
var (
	ErrURLRequired = &client.UsageError{Reason: "URL is required"}
	ErrHandler     = &client.UsageError{Reason: "handler must be a function"}
)

// The Err of an Error if the connection cannot be used.
var (
	// ErrNotFound: no connection has this name, or it was closed.
	ErrNotFound = errors.New("websocket: connection not found")

	// ErrNotOpen: the connection has ended, or Connect has not returned yet.
	ErrNotOpen = errors.New("websocket: connection is not open")
)

// Error is an error of a named connection.
type Error struct {
	Name string

	// Err is ErrNotFound, ErrNotOpen, a *client.TimeoutError, or the reason why
	// the closing handshake failed.
	Err error

	// Cause is the reason why a connection that is not open ended, nil if that
	// is not known: see client.Conn. After a panic of a handler it is a
	// *client.FailError with a *client.PanicError.
	Cause error
}

// Error returns a text with the quoted name, Err and Cause.
func (e *Error) Error() string {
	const prefix = "websocket: "
	reason := strings.TrimPrefix(e.Err.Error(), prefix)
	if e.Err == ErrNotFound || e.Err == ErrNotOpen {
		reason = strings.TrimPrefix(reason, "connection")
	} else {
		reason = ": " + reason
	}
	s := prefix + "connection " + strconv.Quote(e.Name) + reason
	if e.Cause != nil {
		s += ": " + strings.TrimPrefix(e.Cause.Error(), prefix)
	}
	return s
}

// Unwrap returns Err and, if there is one, Cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}

// superseded is the Cause of a Connect that returned no connection because of
// another call.
type superseded struct{}

func (superseded) Error() string {
	return "websocket: a later Connect or Close of the same name came first"
}

func (superseded) Unwrap() error { return client.ErrClosed }
