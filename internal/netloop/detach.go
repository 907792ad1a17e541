package netloop

import "runtime"

// PanicError is a panic, or a call of runtime.Goexit, in a function of the
// program: a handler, or a method of its own net.Conn.
type PanicError struct {
	Value any    // the argument of panic
	Stack []byte // the goroutine's stack at that point
}

// Error returns a text with the value, if that is an error, a text, or has a
// method String.
func (e *PanicError) Error() string {
	text := "(neither an error nor a text)" // package fmt would be a tenth of a small binary
	switch v := e.Value.(type) {
	case error:
		text = v.Error()
	case string:
		text = v
	case interface{ String() string }:
		text = v.String()
	}
	return "websocket: panic in a function of the program: " + text
}

// newPanicError returns the error for a function that did not return. It is
// called by a deferred function with the result of recover.
func newPanicError(value any) error {
	if value == nil { // there was no panic
		value = "runtime.Goexit was called"
	}
	stack := make([]byte, 64<<10)
	return &PanicError{Value: value, Stack: stack[:runtime.Stack(stack, false)]}
}

// Detach calls f, a function of the program, on a goroutine, and returns a
// channel for its error, which is a *PanicError if f does not return.
func Detach(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		var err error
		returned := false
		defer func() {
			if !returned {
				err = newPanicError(recover())
			}
			done <- err
		}()
		err = f()
		returned = true
	}()
	return done
}
