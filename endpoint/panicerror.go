package endpoint

import (
	"errors"
	"runtime"
)

// PanicError reports that a function of the application panicked or called
// runtime.Goexit: a handler, a callback of a configuration, or a method of a
// net.Conn that the application provides.
type PanicError struct {
	Value any    // the argument of panic, or ErrGoexit
	Stack []byte // the stack of the goroutine at that call, at most 64 KiB
}

// ErrGoexit is the Value of a PanicError if the function called
// runtime.Goexit, as testing.T.FailNow, Fatal and SkipNow do.
var ErrGoexit = errors.New("runtime.Goexit was called")

// NewPanicError returns the error for a function that did not return. It must
// be called by a deferred function, with the result of recover. If recovered
// is nil, Value is ErrGoexit.
func NewPanicError(recovered any) *PanicError {
	if recovered == nil {
		recovered = ErrGoexit
	}
	stack := make([]byte, 64<<10)
	stack = stack[:runtime.Stack(stack, false)]
	return &PanicError{Value: recovered, Stack: append([]byte(nil), stack...)} // a connection may keep it
}

// Error returns a text with the value if it is an error, a string or a
// fmt.Stringer.
func (e *PanicError) Error() string {
	if e.Value == ErrGoexit {
		return "websocket: a function of the application did not return: runtime.Goexit was called"
	}
	text := "(neither an error nor a text)" // package fmt would be a tenth of a small binary
	switch v := e.Value.(type) {
	case error:
		text = v.Error()
	case string:
		text = v
	case interface{ String() string }:
		text = v.String()
	}
	return "websocket: panic in a function of the application: " + text
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
