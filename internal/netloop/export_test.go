package netloop

import (
	"net"
	"runtime/debug"
)

// NewSystemTransport treats nc as a connection of the system: one whose
// deadlines work.
func NewSystemTransport(nc net.Conn) Transport { return &systemConn{Conn: nc} }

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
