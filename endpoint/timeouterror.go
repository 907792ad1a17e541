package endpoint

import (
	"context"
	"os"
	"time"
)

// TimeoutError reports that a time limit expired. It is a net.Error, and
// os.ErrDeadlineExceeded and context.DeadlineExceeded under errors.Is.
type TimeoutError struct {
	// Missing names the progress that was not made: "message progress" or
	// "Pong", for example.
	Missing string

	// After is the limit.
	After time.Duration

	// Option is the option that sets the limit: "AssemblyTimeout", for
	// example. It is "" if an argument of the call sets it.
	Option string
}

// NewWriteTimeout returns the error of a write that the transport has accepted
// no byte of for so long. The option of client and server is WriteTimeout.
func NewWriteTimeout(after time.Duration) *TimeoutError {
	return &TimeoutError{Missing: "write progress", After: after, Option: "WriteTimeout"}
}

// Error returns a text with the missing progress, the limit and the option.
func (e *TimeoutError) Error() string {
	text := "websocket: no " + e.Missing + " for " + e.After.String()
	if e.Option != "" {
		text += " (" + e.Option + ")"
	}
	return text
}

// Timeout returns true, as net.Error demands.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary returns false: net.Error has the method, which is deprecated.
func (e *TimeoutError) Temporary() bool { return false }

// Is reports whether target is os.ErrDeadlineExceeded or
// context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool {
	return target == os.ErrDeadlineExceeded || target == context.DeadlineExceeded
}
