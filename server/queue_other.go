//go:build !linux

package server

import "net"

// queued returns -1: it is not known how many bytes the peer of a socket has not
// acknowledged.
func queued(net.Conn) int { return -1 }
