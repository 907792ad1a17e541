//go:build unix

package server

import (
	"os"
	"syscall"
)

const canAwaitReadable = true

// awaitReadable returns when there is something to be read from c, or an end of
// that. It reads nothing. The error is why there is nothing to wait for.
func awaitReadable(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, failed = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return failed != syscall.EAGAIN && failed != syscall.EINTR
	})
	if err == nil {
		err = os.NewSyscallError("recvfrom", failed)
	}
	return err
}
