//go:build !portable

package server

import (
	"net/netip"
	"slices"
	"syscall"
	"unsafe"
)

// The system calls of the epoll loop. Those that cannot block are made without telling Go's scheduler, which would cost more than some of them do.

// blockingSize is how much, in bytes, is so much to copy that the scheduler should know.
const blockingSize = 128 << 10

func sysRead(fd int32, p []byte) (int, error) {
	for {
		if raceDetector {
			return syscall.Read(int(fd), p)
		}
		n, _, errno := syscall.RawSyscall6(sysReceive, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

func sysWrite(fd int32, p []byte) (int, error) {
	if len(p) > blockingSize || raceDetector {
		return syscall.Write(int(fd), p)
	}
	for {
		n, _, errno := syscall.RawSyscall6(sysSend, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), noSignal, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// sysWritev writes as much of a and b as the system takes at once.
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

// epollWait returns the events that are there; it does not wait.
func epollWait(fd uintptr, events []syscall.EpollEvent) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EINTR:
		return 0, nil
	}
	return 0, errno
}

// addrPair is both addresses of a connection, in little room if they are of IPv4.
type addrPair struct {
	other *[2]netip.AddrPort // local and remote; nil if they are in v4
	v4    [2]addrPort4
}

type addrPort4 struct {
	addr [4]byte
	port uint16
}

func newAddrPair(local, remote netip.AddrPort) (a addrPair) {
	for i, addr := range [...]netip.AddrPort{local, remote} {
		ip := addr.Addr().Unmap()
		if !ip.Is4() {
			return addrPair{other: &[2]netip.AddrPort{local, remote}}
		}
		a.v4[i] = addrPort4{ip.As4(), addr.Port()}
	}
	return a
}

func (a *addrPair) local() netip.AddrPort  { return a.at(0) }
func (a *addrPair) remote() netip.AddrPort { return a.at(1) }

func (a *addrPair) at(i int) netip.AddrPort {
	if a.other != nil {
		return a.other[i]
	}
	return netip.AddrPortFrom(netip.AddrFrom4(a.v4[i].addr), a.v4[i].port)
}
