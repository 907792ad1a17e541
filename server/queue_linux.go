package server

import (
	"net"
	"syscall"
	"unsafe"
)

// queued returns how many bytes the system keeps for a socket that its peer has not
// acknowledged, -1 if that is not known.
func queued(socket net.Conn) int {
	conn, ok := socket.(syscall.Conn)
	if !ok {
		return -1
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1
	}
	n := -1
	if raw.Control(func(fd uintptr) { n = sysQueued(fd) }) != nil {
		return -1
	}
	return n
}

// sysQueued is queued for a descriptor.
func sysQueued(fd uintptr) int {
	var n int32
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return -1
	}
	return int(n)
}
