//go:build !linux

package netloop

import "net"

// unacknowledged returns -1: it is not known how many bytes the peer of a socket has not
// acknowledged.
func unacknowledged(net.Conn) int { return -1 }
