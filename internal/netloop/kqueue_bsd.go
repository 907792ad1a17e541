//go:build !portable && kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)

package netloop

import (
	"net"
	"os"
	"syscall"
)

// This file is the part of the loop that knows kqueue; kqueue.go has the rest of
// it. All system calls are made by the functions of package syscall: macOS and
// OpenBSD have no others. They enter the scheduler, and so a read costs more
// than on Linux.

// pollEvent is an event of a descriptor. Its fields have the names of those of
// epoll.
type pollEvent struct {
	Events uint32
	Fd     int32
}

// The bits of an event.
const (
	readyInput  = 1 << 0
	readyOutput = 1 << 2
	readyHangUp = 1 << 4
)

// kernelQueue is the kqueue descriptor of a poller. A leader that waits blocks a
// thread: not all of these systems can make a kqueue descriptor non-blocking, as
// the runtime's poller would need.
type kernelQueue struct {
	fd       int
	gate     waitGate
	notified int // the end of a pipe that reports notifications
	wakeup   int // its other end
}

// waiting is the part of a worker that waits for events.
type waiting struct {
	kevents []syscall.Kevent_t
}

// open makes the descriptors.
func (q *kernelQueue) open() (err error) {
	q.fd, q.notified, q.wakeup = -1, -1, -1
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if q.fd, err = syscall.Kqueue(); err != nil {
		return os.NewSyscallError("kqueue", err)
	}
	syscall.CloseOnExec(q.fd)
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		q.closeAll()
		return os.NewSyscallError("pipe", err)
	}
	q.notified, q.wakeup = pipe[0], pipe[1]
	for _, fd := range pipe {
		syscall.CloseOnExec(fd)
		if err := syscall.SetNonblock(fd, true); err != nil {
			q.closeAll()
			return os.NewSyscallError("fcntl", err)
		}
	}
	if err := changeFilters(q.fd, q.notified, filterRead, 0); err != nil {
		q.closeAll()
		return os.NewSyscallError(watchCall, err)
	}
	return nil
}

// close closes the descriptors, or has the leader that waits close them.
func (q *kernelQueue) close() { q.gate.close(func() { sysNotify(q.wakeup) }, q.closeAll) }

func (q *kernelQueue) closeAll() {
	for _, fd := range [...]int{q.fd, q.notified, q.wakeup} {
		if fd >= 0 {
			syscall.Close(fd)
		}
	}
}

// beginWaiting prepares the worker of a leader of p to wait.
func (p *poller) beginWaiting(w *worker) {
	if w.kevents == nil {
		w.kevents = make([]syscall.Kevent_t, batchSize)
	}
}

// endWaiting is the opposite of beginWaiting. The memory is kept.
func (*waiting) endWaiting() {}

// await waits until w has events. It returns false if p is closed.
func (p *poller) await(w *worker) bool {
	w.n = p.gate.awaitEvents(w.events[:], &p.kicks, func(events []pollEvent, block bool) (int, error) {
		return p.receive(w.kevents, events, block)
	}, p.closeAll)
	return w.n > 0
}

// receive makes events of those that kqueue reports, and waits for one if block
// is true. buf is at least as long as events.
func (q *kernelQueue) receive(buf []syscall.Kevent_t, events []pollEvent, block bool) (int, error) {
	var timeout *syscall.Timespec // without limit
	if !block {
		timeout = new(syscall.Timespec)
	}
	n, err := syscall.Kevent(q.fd, nil, buf[:len(events)], timeout)
	if err == syscall.EINTR {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for i := range n {
		k := &buf[i]
		if int(k.Ident) == q.notified {
			q.drain()
			events[i] = pollEvent{Events: readyInput, Fd: wakeEvent}
			continue
		}
		filter := filterWrite
		if k.Filter == syscall.EVFILT_READ {
			filter = filterRead
		}
		events[i] = pollEvent{Events: keventBits(filter, k.Flags&syscall.EV_EOF != 0), Fd: int32(k.Ident)}
	}
	return n, nil
}

// drain reads notifications. Those that are left are reported again.
func (q *kernelQueue) drain() {
	var scrap [64]byte
	syscall.Read(q.notified, scrap[:])
}

// changeFilters adds and deletes filters of fd.
func changeFilters(queue, fd int, add, remove keventFilters) error {
	var changes [2]syscall.Kevent_t
	n := 0
	change := func(filter, flags int) {
		syscall.SetKevent(&changes[n], fd, filter, flags)
		n++
	}
	switch {
	case add&filterRead != 0:
		change(syscall.EVFILT_READ, syscall.EV_ADD)
	case remove&filterRead != 0:
		change(syscall.EVFILT_READ, syscall.EV_DELETE)
	}
	switch {
	case add&filterWrite != 0:
		change(syscall.EVFILT_WRITE, syscall.EV_ADD|syscall.EV_CLEAR)
	case remove&filterWrite != 0:
		change(syscall.EVFILT_WRITE, syscall.EV_DELETE)
	}
	if n == 0 {
		return nil
	}
	_, err := syscall.Kevent(queue, changes[:n], nil, nil)
	if err == syscall.EINTR { // the changes have been made
		return nil
	}
	return err
}

// watchCall is the name of the system call of sysWatch.
const watchCall = "kevent"

func sysWatch(queue int, fd int32, from, to interest) error {
	add, remove := filterChanges(from, to)
	return changeFilters(queue, int(fd), add, remove)
}

// sysWritev writes as much of a and b as the kernel accepts. Package syscall has
// no writev: the first bytes are joined, and the caller continues with the rest
// if all of them are written.
func sysWritev(fd int32, a, b []byte) (int, error) {
	if len(a) == 0 {
		return sysWrite(fd, b)
	}
	pieces, memory := joinPieces(a, b)
	defer memory.free()
	return sysWrite(fd, pieces[0])
}

// sysHungUp reports whether the connection has ended, by a reset, whose error it
// returns, or because both sides have closed it. The socket has no peer then.
func sysHungUp(fd int32) (bool, syscall.Errno) {
	_, err := syscall.Getpeername(int(fd))
	if err != syscall.ENOTCONN && err != syscall.EINVAL { // macOS has the latter
		return false, 0
	}
	reset, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err != nil {
		reset = 0
	}
	return true, syscall.Errno(reset)
}

// sysNotify ends the wait of a leader. If the pipe is full, its end is due.
func sysNotify(wakeup int) { syscall.Write(wakeup, []byte{1}) }

// sysDuplicate returns a duplicate of fd.
func sysDuplicate(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	dup, err := syscall.Dup(fd)
	if err != nil {
		return -1, err
	}
	syscall.CloseOnExec(dup)
	return dup, nil
}

// unacknowledgedOf returns -1: the number of bytes is unknown, as in the
// goroutine loop of these systems.
func unacknowledgedOf(uintptr) int { return -1 }

// ring stands in for io_uring, which these systems do not have.
type ring struct{}

func openRing() *ring { return nil }

// flush writes the deferred output of sockets.
func (*ring) flush(sockets []*PolledSocket) int {
	for _, s := range sockets {
		s.Flush()
	}
	return 0
}

func (*ring) Close() {}

// An acceptor accepts connections from one listener, by package net: the options
// that it sets differ between these systems.
type acceptor struct {
	loop *polledLoop
	open Open
}

// newAcceptor returns an acceptor.
func newAcceptor(l *polledLoop, _ *net.TCPListener, _ syscall.RawConn, open Open) *acceptor {
	return &acceptor{loop: l, open: open}
}

// accept serves nc.
func (a *acceptor) accept(nc net.Conn) {
	fd, addrs, err := duplicate(nc.(*net.TCPConn), &a.loop.addrs)
	if err != nil {
		a.loop.Log(err)
	} else {
		a.add(fd, addrs)
	}
	nc.Close()
}
