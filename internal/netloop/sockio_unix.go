//go:build unix && (!linux || 386 || s390x)

package netloop

import "syscall"

// Linux on 386 and s390x has one call for all operations of sockets, which Go's
// package syscall makes.

// sysRead reads from a socket that does not block.
func sysRead(fd int32, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err // package syscall has -1 with an error
		}
	}
}

// sysWrite writes to a socket that does not block, as package net does: the
// runtime ignores SIGPIPE.
func sysWrite(fd int32, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// sysWriteLast is sysWrite: no flag says that FIN follows.
func sysWriteLast(fd int32, p []byte) (int, error) { return sysWrite(fd, p) }
