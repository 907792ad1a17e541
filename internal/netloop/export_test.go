package netloop

import (
	"net"
	"os"
	"runtime/debug"
)

// NewSystemTransport treats nc as a connection of the system: one whose
// deadlines work.
func NewSystemTransport(nc net.Conn) Transport { return &systemConn{Conn: nc} }

// ErrLate is the error of a write timeout.
var ErrLate = errLate

// errLate is like the error of package endpoint: TLS wraps it, and it is a
// timeout under errors.Is.
var errLate error = lateError{}

type lateError struct{}

func (lateError) Error() string   { return "the peer does not read" }
func (lateError) Timeout() bool   { return true }
func (lateError) Temporary() bool { return false }
func (lateError) Unwrap() error   { return os.ErrDeadlineExceeded }

// CloseGrace is the longest wait for the Close of a foreign connection.
const CloseGrace = closeGrace

// PanicError is the error that Recovered returns.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return "a function did not return" }

// Recovered is a Recover that keeps the stack of its goroutine.
func Recovered(value any) error { return &PanicError{value, debug.Stack()} }
