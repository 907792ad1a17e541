//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package load

import (
	"context"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/fibersock/fibersock/internal/test/usage"
)

const (
	readBuffer = 64 << 10 // bytes, one buffer for all connections
	firstRead  = 2 << 10  // bytes that are read of a long reply before the rest is dropped
	longReply  = 16 << 10 // payload bytes from which on a reply is long
	maxEvents  = 256
	tickEvery  = 5 * time.Millisecond
	edge       = 1 << 31 // EPOLLET, which package syscall has as a negative number
)

// epoll is the shell of Linux: one thread, non-blocking sockets,
// edge-triggered.
type epoll struct {
	run    *run
	fd     int
	addr   syscall.Sockaddr
	family int
	socks  []sock // by the sessions' index
	buf    []byte
	attend func(*session) error // attendTo, as a value made once
	events [maxEvents]syscall.EpollEvent
}

// sock is a session's socket.
type sock struct {
	fd   int // 0 is none
	life int // of the session, to which the socket belongs
}

var moveWithEpoll = func(ctx context.Context, r *run, addr *net.TCPAddr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.usage = usage.ThreadCPU
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("load: epoll_create1", err)
	}
	e := &epoll{run: r, fd: fd, socks: make([]sock, len(r.sessions)), buf: make([]byte, readBuffer)}
	e.addr, e.family = sockaddr(addr)
	e.attend = e.attendTo
	defer e.close()
	return e.loop(ctx)
}

func sockaddr(addr *net.TCPAddr) (syscall.Sockaddr, int) {
	if ip := addr.IP.To4(); ip != nil {
		return &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte(ip)}, syscall.AF_INET
	}
	return &syscall.SockaddrInet6{Port: addr.Port, Addr: [16]byte(addr.IP.To16())}, syscall.AF_INET6
}

func (e *epoll) close() {
	for i := range e.socks {
		e.hangUp(&e.socks[i])
	}
	syscall.Close(e.fd)
}

func (e *epoll) loop(ctx context.Context) error {
	r := e.run
	r.start()
	var tickAt time.Duration
	for {
		if err := r.attend(e.attend); err != nil {
			return err
		}
		if now := r.now(); now >= tickAt {
			if err := r.tick(ctx); err != nil {
				return err
			}
			tickAt = now + tickEvery
			continue
		}
		if r.over() {
			return nil
		}
		n, err := syscall.EpollWait(e.fd, e.events[:], int(tickEvery/time.Millisecond))
		if err != nil && err != syscall.EINTR {
			return os.NewSyscallError("load: epoll_wait", err)
		}
		for i := range max(n, 0) {
			if err := e.handle(&e.events[i]); err != nil {
				return err
			}
		}
	}
}

// handle reads the input of a connection, and then sends the pending output of
// all connections.
func (e *epoll) handle(event *syscall.EpollEvent) error {
	s := &e.run.sessions[event.Fd]
	const toRead = syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	if event.Events&toRead != 0 {
		if err := e.read(s, event.Events&^syscall.EPOLLIN&toRead != 0); err != nil {
			return err
		}
	}
	if event.Events&syscall.EPOLLOUT != 0 && len(s.output()) > 0 {
		e.run.mark(s)
	}
	return e.run.attend(e.attend)
}

// attendTo opens, closes or sends, as the session requests.
func (e *epoll) attendTo(s *session) error {
	k := &e.socks[s.index]
	if k.fd != 0 && (k.life != s.life || s.state == ended) {
		e.hangUp(k)
	}
	if k.fd == 0 && s.state == opening {
		if err := e.connect(s, k); err != nil {
			return s.unconnected(err)
		}
	}
	if k.fd == 0 {
		return nil
	}
	return e.flush(s, k)
}

func (e *epoll) hangUp(k *sock) {
	if k.fd != 0 {
		syscall.Close(k.fd)
		k.fd = 0
	}
}

func (e *epoll) connect(s *session, k *sock) error {
	fd, err := syscall.Socket(e.family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	k.fd, k.life = fd, s.life
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Connect(fd, e.addr); err != nil && err != syscall.EINPROGRESS {
		return os.NewSyscallError("connect", err)
	}
	event := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | edge,
		Fd:     int32(s.index),
	}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(e.fd, syscall.EPOLL_CTL_ADD, fd, &event))
}

// flush sends until there is nothing to send or no room.
func (e *epoll) flush(s *session, k *sock) error {
	for p := s.output(); len(p) > 0; p = s.output() {
		n, errno := send(k.fd, p)
		switch errno {
		case 0:
			s.wrote(n)
		case syscall.EAGAIN:
			return nil
		case syscall.EINTR:
		default:
			return e.unsent(s, errno)
		}
	}
	return nil
}

// unsent reports a failed send: the server's last input explains more than the
// error.
func (e *epoll) unsent(s *session, errno syscall.Errno) error {
	if errno != syscall.EPIPE && errno != syscall.ECONNRESET {
		return e.broken(s, "send", errno, e.run.now())
	}
	life := s.life
	if err := e.read(s, true); err != nil || s.state == ended || s.life != life {
		return err
	}
	return e.broken(s, "send", errno, e.run.now())
}

// read reads until the socket is empty. hungUp reports that the end of TCP
// follows, which a short read does not show.
func (e *epoll) read(s *session, hungUp bool) error {
	k := &e.socks[s.index]
	life := s.life
	for s.life == life && s.state != ended {
		p, skip := e.buf, s.skippable()
		if len(s.script.payload) >= longReply && s.untilVerify > 0 {
			p = p[:firstRead]
		}
		asked := len(p)
		if skip > 0 {
			asked = skip
		}
		n, errno := receive(k.fd, p, skip)
		now := e.run.now()
		var err error
		switch {
		case errno == syscall.EAGAIN:
			return nil
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			return e.broken(s, "recv", errno, now)
		case n == 0:
			return s.lost(nil, now)
		case skip > 0:
			err = s.skipped(n, now)
		default:
			err = s.receive(p[:n], now)
		}
		if err != nil {
			return err
		}
		if n < asked && !hungUp {
			return nil
		}
	}
	return nil
}

// broken records an error of the socket: of connect, or of the server on an
// open connection.
func (e *epoll) broken(s *session, call string, errno syscall.Errno, now time.Duration) error {
	err := os.NewSyscallError(call, errno)
	if s.state == opening && errno != syscall.EPIPE && errno != syscall.ECONNRESET {
		return s.unconnected(err)
	}
	return s.lost(err, now)
}

// receive reads into p or, when skip is not 0, drops up to skip bytes in the
// kernel (MSG_TRUNC, tcp(7)).
func receive(fd int, p []byte, skip int) (int, syscall.Errno) {
	length, flags := len(p), 0
	if skip > 0 {
		length, flags = skip, syscall.MSG_TRUNC
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(length), uintptr(flags), 0, 0)
	return int(n), errno
}

// send is a raw system call: the sockets do not block, so the scheduler need
// not hear of it.
func send(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}
