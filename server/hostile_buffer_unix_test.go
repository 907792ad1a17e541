//go:build unix

package server_test

import "syscall"

// keepLittle makes the send buffer small of what a listening socket accepts. It is
// a wish, which the system fulfills roughly.
func keepLittle(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 16<<10)
}
