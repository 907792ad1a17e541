//go:build !linux

package netloop

import "net"

// unacknowledged returns -1: the number of bytes that the peer of a socket has
// not acknowledged is unknown.
func unacknowledged(net.Conn) int { return -1 }
