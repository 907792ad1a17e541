//go:build !unix

package netloop

import (
	"errors"
	"net"
)

// canAwaitReadable is whether awaitReadable works on this system.
const canAwaitReadable = false

// setNonblock has no effect: all sockets are non-blocking.
func setNonblock(net.Listener) {}

// awaitReadable is not called.
func awaitReadable(net.Conn) error { return errors.ErrUnsupported }

// nothingUnread is not called.
func nothingUnread(net.Conn) bool { return false }
