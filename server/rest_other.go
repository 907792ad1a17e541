//go:build !unix

package server

import (
	"errors"
	"net"
)

// canAwaitReadable is whether it is known how to wait for a socket.
const canAwaitReadable = false

// setNonblock does nothing: all sockets are.
func setNonblock(net.Listener) {}

// awaitReadable is not called.
func awaitReadable(net.Conn) error { return errors.ErrUnsupported }
