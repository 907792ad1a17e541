package netloop

import (
	"syscall"
	"unsafe"
)

// blockingSize is the size in bytes of a write that the scheduler should know
// of: copying so much is slow.
const blockingSize = 128 << 10

// sysRead reads from a socket that does not block. The system call bypasses the
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
		n, _, errno := syscall.RawSyscall6(sysReceive, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// sysWrite writes to a socket that does not block, as sysRead reads.
func sysWrite(fd int32, p []byte) (int, error) {
	for {
		if len(p) > blockingSize || raceDetector {
			n, err := syscall.Write(int(fd), p)
			if err == syscall.EINTR {
				continue
			}
			return max(n, 0), err
		}
		n, _, errno := syscall.RawSyscall6(sysSend, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), noSignal, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// sysWriteLast is sysWrite for bytes that the kernel need not send before FIN.
func sysWriteLast(fd int32, p []byte) (int, error) {
	if !raceDetector {
		n, _, errno := syscall.RawSyscall6(sysSend, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), finFollows, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
	}
	return sysWrite(fd, p)
}
