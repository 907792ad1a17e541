package server

import (
	"errors"
	"fmt"
	"net"

	"github.com/fibersock/fibersock/endpoint"
)

// The ways in which a connection ends; see Conn. errors.Is finds net.ErrClosed
// in each.
type (
	// CloseError: the client closed the connection, with this Code and Reason.
	CloseError = endpoint.CloseError

	// FailError: the server failed the connection with the status Code. Err is
	// the rule or limit that the client broke, a *TimeoutError of
	// AssemblyTimeout, or a *PanicError.
	FailError = endpoint.FailError

	// LostError: the transport ended without a closing handshake, by Err.
	LostError = endpoint.LostError
)

// The causes of a FailError or LostError.
type (
	// LimitError: the client exceeded a limit of Limits.
	LimitError = endpoint.LimitError

	// TimeoutError: a time limit expired. Option names it. AssemblyTimeout
	// causes a FailError, the others a LostError.
	TimeoutError = endpoint.TimeoutError

	// PanicError: a function of the application panicked or called
	// runtime.Goexit: a handler, a function of Server or Server.TLS, or a
	// method of a net.Conn.
	PanicError = endpoint.PanicError
)

// ErrGoexit is the Value of a PanicError if the function called runtime.Goexit,
// as testing.T.FailNow, Fatal and SkipNow do.
var ErrGoexit = endpoint.ErrGoexit

// UsageError is a mistake of the caller, independent of the client. No byte is
// sent, and the connection is unchanged.
type UsageError = endpoint.UsageError

// ErrClosed is returned by calls after the server has closed the connection.
// errors.Is finds net.ErrClosed in it.
var ErrClosed = endpoint.ErrClosed

// The usage errors.
var (
	ErrNotData           = endpoint.ErrNotData
	ErrMessageUnfinished = endpoint.ErrMessageUnfinished
	ErrMessageFinished   = endpoint.ErrMessageFinished
	ErrMessageAbandoned  = endpoint.ErrMessageAbandoned
	ErrConcurrentReceive = endpoint.ErrConcurrentReceive
	ErrReaderAbandoned   = endpoint.ErrReaderAbandoned
	ErrNotServing        = &UsageError{Reason: "messages of this connection go to Handler.Message; Receive needs Handler.Serve or Server.Accept"}
)

// ErrServerClosed is returned by Serve, ListenAndServe and their variants after
// Shutdown.
var ErrServerClosed = errors.New("websocket: server closed")

// RefusedError reports a connection that was not accepted. Server.Log gets it.
type RefusedError struct {
	RemoteAddr net.Addr
	Err        error // a *handshake.Error, or the reason why the connection ended earlier
}

// Error returns a text with the address and the cause.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("websocket: handshake with %v refused: %v", e.RemoteAddr, e.Err)
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// BacklogError reports that a client reads too slowly and its backlog has no
// room for another message. It is the cause of a LostError if the connection
// was closed for that reason.
type BacklogError struct {
	Max     int  // the exceeded limit in bytes
	Waiting int  // bytes buffered: for this client or, if Total is set, for all
	Size    int  // of the message, in bytes
	Total   bool // the limit is Server.MaxTotalBacklog, not MaxBacklog
	Dropped bool // the message was dropped, and the connection is open
}

// Error returns a text with the buffered bytes, the message's size, the limit
// and its option.
func (e *BacklogError) Error() string {
	scope, option, outcome := "this client", "MaxBacklog", ""
	if e.Total {
		scope, option = "all clients", "MaxTotalBacklog"
	}
	if e.Dropped {
		outcome = "message dropped: "
	}
	return fmt.Sprintf("websocket: %swrite backlog full: %d bytes buffered for %s, %d more exceeds %s (%d)",
		outcome, e.Waiting, scope, e.Size, option, e.Max)
}
