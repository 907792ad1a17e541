//go:build !unix

package server

import (
	"errors"
	"net"
)

// canAwaitReadable returns false.
func canAwaitReadable(net.Conn) bool { return false }

// setNonblock does nothing: all sockets are.
func setNonblock(net.Listener) {}

// awaitReadable is not called.
func awaitReadable(net.Conn) error { return errors.ErrUnsupported }
