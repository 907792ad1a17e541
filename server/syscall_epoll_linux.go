//go:build !portable

package server

import (
	"net"
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
			n, err := syscall.Read(int(fd), p)
			return max(n, 0), err
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
		n, err := syscall.Write(int(fd), p)
		return max(n, 0), err
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

// sysWritev writes as much of a, b and c as the system takes at once.
func sysWritev(fd int32, a, b, c []byte) (int, error) {
	if len(b)+len(c) == 0 {
		return sysWrite(fd, a)
	}
	if len(a)+len(b) == 0 {
		return sysWrite(fd, c)
	}
	if raceDetector {
		return sysWrite(fd, slices.Concat(a, b, c))
	}
	var pieces [3]syscall.Iovec
	n := 0
	for _, p := range [...][]byte{a, b, c} {
		if len(p) > 0 {
			pieces[n].Base = &p[0]
			pieces[n].SetLen(len(p))
			n++
		}
	}
	for {
		written, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&pieces[0])), uintptr(n))
		if errno == 0 {
			return int(written), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// sysWritable reports whether fd takes more; if that cannot be said, it does.
func sysWritable(fd int32) bool {
	poll := struct {
		fd              int32
		events, revents int16
	}{fd: fd, events: syscall.EPOLLOUT} // POLLOUT is the same
	var now syscall.Timespec
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return n != 0 || errno != 0
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

// takeOver returns another descriptor for tcp's connection, which the caller closes then.
func takeOver(tcp *net.TCPConn) (fd int, addrs addrPair, err error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, addrs, err
	}
	dup := -1
	controlErr := raw.Control(func(fd uintptr) {
		const fDupfdCloexec = 1030
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, fDupfdCloexec, 0)
		if errno != 0 {
			err = errno
			return
		}
		dup = int(n)
	})
	if controlErr != nil {
		err = controlErr
	}
	if err != nil {
		return -1, addrs, err
	}
	return dup, newAddrPair(tcp.LocalAddr().(*net.TCPAddr).AddrPort(), tcp.RemoteAddr().(*net.TCPAddr).AddrPort()), nil
}
