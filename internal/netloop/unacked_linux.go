package netloop

import (
	"net"
	"syscall"
	"unsafe"
)

// unacknowledged returns the number of bytes that the peer of a socket has not
// acknowledged, -1 if it is unknown.
func unacknowledged(socket net.Conn) int {
	var raw syscall.RawConn
	n := -1
	switch c := socket.(type) { // not syscall.Conn, which links SyscallConn of all types
	case *net.TCPConn:
		raw, _ = c.SyscallConn()
	case *net.UnixConn:
		raw, _ = c.SyscallConn()
	}
	if raw != nil {
		_ = raw.Control(func(fd uintptr) { n = unacknowledgedOf(fd) }) // fails if the socket is closed
	}
	return n
}

// unacknowledgedOf is unacknowledged for a descriptor.
func unacknowledgedOf(fd uintptr) int {
	var n int32
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return -1
	}
	return int(n)
}
