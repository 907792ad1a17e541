//go:build !portable

package server

import (
	"net/netip"
	"slices"
	"sync/atomic"
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
		return max(n, 0), err // package syscall has -1 with an error
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

// addrPair is both addresses of a connection, in little room: most connections of a server have the same local one.
type addrPair struct {
	known *addrs   // with the local address
	ip    [16]byte // of the client
	port  uint16   // of the client
	zoned bool     // the client's address, which has a zone, is in known
}

// addrs are addresses that an addrPair does not hold itself.
type addrs struct{ local, zoned netip.AddrPort }

// newAddrPair returns a pair that shares the local address, if that is the same, with the one made last.
func newAddrPair(local, remote netip.AddrPort, last *atomic.Pointer[addrs]) (a addrPair) {
	a.known = last.Load()
	a.zoned = remote.Addr().Zone() != ""
	switch {
	case a.zoned:
		a.known = &addrs{local: local, zoned: remote}
	case a.known == nil || a.known.local != local:
		a.known = &addrs{local: local}
		last.Store(a.known)
	}
	a.ip, a.port = remote.Addr().As16(), remote.Port()
	return a
}

func (a *addrPair) local() netip.AddrPort { return unmapped(a.known.local) }

func (a *addrPair) remote() netip.AddrPort {
	if a.zoned {
		return a.known.zoned
	}
	return unmapped(netip.AddrPortFrom(netip.AddrFrom16(a.ip), a.port))
}

// unmapped shows an address of IPv4 that came over an IPv6 socket as what it is.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
