//go:build unix

package netloop

import (
	"net"
	"os"
	"syscall"
)

// canAwaitReadable is whether awaitReadable works on this system.
const canAwaitReadable = true

// setNonblock makes a listening socket non-blocking. A call of File().Fd() by
// the program, or os/exec with it among ExtraFiles, makes it blocking, also for
// package net: Close could not end Accept then.
func setNonblock(ln net.Listener) {
	socket, ok := ln.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := socket.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.SetNonblock(int(fd), true) }) // Accept returns the reason if it fails
	}
}

// awaitReadable waits until a socket has input, or its input has ended. It
// reads no input. The error tells why it cannot wait.
func awaitReadable(socket net.Conn) error {
	raw, err := socket.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	err = raw.Read(func(fd uintptr) bool {
		errno = peek(fd)
		return errno != syscall.EAGAIN
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("recvfrom", errno) // the kernel reports it once
	}
	return err
}

// nothingUnread reports whether a socket has no input.
func nothingUnread(socket net.Conn) bool {
	raw, err := socket.(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		if err := syscall.SetNonblock(int(fd), true); err == nil { // see setNonblock
			errno = peek(fd)
		}
	})
	return err == nil && errno == syscall.EAGAIN
}

// peek receives a byte and leaves it in the socket. It returns EAGAIN if there
// is none.
func peek(fd uintptr) syscall.Errno {
	var b [1]byte
	for {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if errno, _ := err.(syscall.Errno); errno != syscall.EINTR {
			return errno
		}
	}
}
