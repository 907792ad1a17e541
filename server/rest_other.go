//go:build !unix

package server

import (
	"errors"
	"syscall"
)

const canAwaitReadable = false

// awaitReadable is not called.
func awaitReadable(syscall.Conn) error { return errors.ErrUnsupported }
