package netloop

import (
	"net"
	"syscall"
	"unsafe"
)

// unacknowledged returns the number of bytes that the peer of a socket has not
// acknowledged, -1 if it is unknown.
func unacknowledged(socket net.Conn) int {
	conn, ok := socket.(syscall.Conn)
	if !ok {
		return -1
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1
	}
	n := -1
	if raw.Control(func(fd uintptr) { n = unacknowledgedOf(fd) }) != nil {
		return -1
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
