//go:build unix

package server

import (
	"net"
	"os"
	"syscall"
)

// canAwaitReadable is whether it is known how to wait for a socket.
const canAwaitReadable = true

// setNonblock makes a socket that is listened on non-blocking, if it is not. A call of
// File().Fd() by the program, or os/exec with it among ExtraFiles, makes it blocking,
// also for package net: Accept could not be ended by Close then.
func setNonblock(ln net.Listener) {
	socket, ok := ln.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := socket.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.SetNonblock(int(fd), true) }) // Accept tells what is wrong with it
	}
}

// awaitReadable returns when there is something to be read from a socket, or an end
// of that. It reads nothing. The error is why there is nothing to wait for.
func awaitReadable(socket net.Conn) error {
	raw, err := socket.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		for {
			_, _, failed := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
			if errno, _ = failed.(syscall.Errno); errno != syscall.EINTR {
				return errno != syscall.EAGAIN
			}
		}
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("recvfrom", errno) // which nobody will be told again
	}
	return err
}
