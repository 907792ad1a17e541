//go:build !portable

package netloop

import (
	"os"
	"slices"
	"syscall"
	"unsafe"
)

// sysWritev writes as much of a and b as the kernel accepts.
func sysWritev(fd int32, a, b []byte) (int, error) {
	switch {
	case len(b) == 0:
		return sysWrite(fd, a)
	case len(a) == 0:
		return sysWrite(fd, b)
	case raceDetector:
		return sysWrite(fd, slices.Concat(a, b))
	}
	pieces := [2]syscall.Iovec{{Base: &a[0]}, {Base: &b[0]}}
	pieces[0].SetLen(len(a))
	pieces[1].SetLen(len(b))
	for {
		written, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&pieces[0])), uintptr(len(pieces)))
		if errno == 0 {
			return int(written), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// sysHungUp reports whether both directions of a connection have ended: by a
// reset, whose error it returns, or because both sides have closed theirs.
func sysHungUp(fd int32) (bool, syscall.Errno) {
	poll := struct {
		fd              int32
		events, revents int16
	}{fd: fd}
	var now syscall.Timespec
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	if errno != 0 || poll.revents&syscall.EPOLLHUP == 0 { // POLLHUP is the same
		return false, 0
	}
	reset, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err != nil {
		reset = 0
	}
	return true, syscall.Errno(reset)
}

// sysDuplicate returns a duplicate of fd.
func sysDuplicate(fd int) (int, error) {
	const fDupfdCloexec = 1030
	n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), fDupfdCloexec, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// newEventfd returns a descriptor that epoll finds readable after each
// sysNotify.
func newEventfd() (int, error) {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("eventfd2", errno)
	}
	return int(fd), nil
}

func sysNotify(eventfd int) {
	one := uint64(1)
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(eventfd), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
}
