//go:build !386 && !s390x

package netloop

import (
	"syscall"
	"unsafe"
)

// blockingSize is the size in bytes of a write that the scheduler should know
// of: copying so much is slow.
const blockingSize = 128 << 10

// recvfrom and sendto cost less than read and write, which serve files too:
// that is 4 to 7 % of an echo. MSG_DONTWAIT is for sockets that the program has
// made blocking: see setNonblock. A call that bypasses the scheduler and blocks
// stops the whole program at the next garbage collection.
const (
	receiveFlags = syscall.MSG_DONTWAIT
	sendFlags    = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL
	finFollows   = sendFlags | syscall.MSG_MORE
)

// sysRead reads from a socket and does not wait. The system call bypasses the
// scheduler, which would cost more than some of them.
func sysRead(fd int32, p []byte) (int, error) {
	for {
		if raceDetector {
			n, err := syscall.Read(int(fd), p)
			if err == syscall.EINTR {
				continue
			}
			return max(n, 0), err // package syscall has -1 with an error
		}
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), receiveFlags, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// sysWrite writes to a socket and does not wait.
func sysWrite(fd int32, p []byte) (int, error) { return sysSend(fd, p, sendFlags) }

// sysWriteLast is sysWrite for bytes that the kernel need not send before FIN.
func sysWriteLast(fd int32, p []byte) (int, error) { return sysSend(fd, p, finFollows) }

func sysSend(fd int32, p []byte, flags uintptr) (int, error) {
	for {
		if raceDetector {
			n, err := syscall.Write(int(fd), p)
			if err == syscall.EINTR {
				continue
			}
			return max(n, 0), err
		}
		var n uintptr
		var errno syscall.Errno
		if len(p) > blockingSize {
			n, _, errno = syscall.Syscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		} else {
			n, _, errno = syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		}
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}
