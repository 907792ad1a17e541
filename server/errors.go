package server

import (
	"errors"
	"fmt"
	"net"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/netloop"
)

// How a connection can end. Each is net.ErrClosed under errors.Is.
type (
	// CloseError: the client closed the connection, with this Code and Reason.
	CloseError = endpoint.CloseError

	// FailError: the server failed the connection with the status Code; Err is
	// the rule or limit that the client broke, AssemblyTimeout among them, or a
	// *PanicError.
	FailError = endpoint.FailError

	// LostError: the transport ended without a closing handshake, by Err.
	LostError = endpoint.LostError

	// LimitError: the cause of a FailError, if the client went over a limit.
	LimitError = endpoint.LimitError

	// LateError: the cause of a LostError, if nothing came from a client for too
	// long, or of a FailError, if a message did not come to its end.
	LateError = endpoint.LateError

	// TimeoutError: the cause of a LostError, if the client did not read what
	// was written: no progress for Server.WriteTimeout.
	TimeoutError = netloop.TimeoutError
)

// UsageError is a call that makes no sense, whatever the client does. Nothing
// has been sent and the connection is as it was.
type UsageError = endpoint.UsageError

// ErrClosed is what a call returns that comes after the server closed the
// connection. It is net.ErrClosed under errors.Is.
var ErrClosed = endpoint.ErrClosed

// What a caller can do wrong.
var (
	ErrNotData           = endpoint.ErrNotData
	ErrMessageUnfinished = endpoint.ErrMessageUnfinished
	ErrConcurrentReceive = &UsageError{Reason: "another call is receiving on this connection; receive from one goroutine at a time"}
	ErrReaderAbandoned   = &UsageError{Reason: "a later receive abandoned the message; read it to its end first"}
	ErrNotServing        = &UsageError{Reason: "Receive is for Handler.Serve; other connections get their messages from Handler.Message"}
)

// ErrServerClosed is what Serve and its kin return after Shutdown.
var ErrServerClosed = errors.New("websocket: server closed")

// PanicError is a function of the application that did not return: a handler,
// Authorize, Log, a function of Server.TLS or a method of a net.Conn.
type PanicError struct {
	Value any    // the argument of panic, or ErrGoexit
	Stack []byte // the goroutine's stack at that point
}

// Error returns a text with the value.
func (e *PanicError) Error() string {
	if e.Value == ErrGoexit {
		return "websocket: a handler did not return: " + ErrGoexit.Error()
	}
	return fmt.Sprintf("websocket: panic in a handler: %v", e.Value)
}

// Unwrap returns the value if it is an error, such as ErrGoexit.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// RefusedError is a connection that was not accepted. It goes to Server.Log.
type RefusedError struct {
	RemoteAddr net.Addr
	Err        error // a *handshake.Error, or why the connection ended before
}

// Error returns a text with the address and the cause.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("websocket: handshake with %v refused: %v", e.RemoteAddr, e.Err)
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// BacklogError says that a client does not read, and there was no room for one
// message more for it. It is the cause of a LostError if the connection was cut
// for that.
type BacklogError struct {
	Max     int  // the limit that would have been broken, in bytes
	Waiting int  // what waited, in bytes: for this client, or, if Total is set, for all
	Size    int  // of the message, in bytes
	Total   bool // the limit is Server.MaxTotalBacklog, not MaxBacklog
	Dropped bool // the message was dropped, and the connection goes on
}

// Error names the limit, its value, what was seen and the options.
func (e *BacklogError) Error() string {
	whom, option, what := "it", "MaxBacklog", ""
	if e.Total {
		whom, option = "all clients", "MaxTotalBacklog"
	}
	if e.Dropped {
		what = "message dropped: "
	}
	return fmt.Sprintf("websocket: %sthe client does not read: %d bytes wait for %s, and %d more are over the limit of %d (%s, SlowPolicy)",
		what, e.Waiting, whom, e.Size, e.Max, option)
}
