//go:build !portable

package netloop

import (
	"os"
	"syscall"
	"unsafe"
)

// This file is the part of the loop that knows epoll.

// pollEvent is an event of a descriptor.
type pollEvent = syscall.EpollEvent

// The bits of an event.
const (
	readyInput  = syscall.EPOLLIN
	readyOutput = syscall.EPOLLOUT
	readyHangUp = syscall.EPOLLHUP | syscall.EPOLLERR
)

// kernelQueue is the epoll descriptor of a poller.
type kernelQueue struct {
	fd   int
	file *os.File // the same, in the runtime's poller: waiting for it costs no thread
	raw  syscall.RawConn

	wakeup int // an eventfd that ends the leader's wait
}

// waiting is the part of a worker that waits for events.
type waiting struct {
	wait   func(fd uintptr) bool
	failed error // of epoll_wait
}

// open makes the descriptors.
func (q *kernelQueue) open() error {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	q.fd, q.wakeup = fd, -1
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return err
	}
	q.file = os.NewFile(uintptr(fd), "epoll")
	if q.wakeup, err = newEventfd(); err == nil {
		const edgeTriggered = 1 << 31 // syscall.EPOLLET is negative; and so the counter need not be read
		event := syscall.EpollEvent{Events: syscall.EPOLLIN | edgeTriggered, Fd: wakeEvent}
		err = os.NewSyscallError("epoll_ctl", syscall.EpollCtl(fd, syscall.EPOLL_CTL_ADD, q.wakeup, &event))
	}
	if err == nil {
		q.raw, err = q.file.SyscallConn()
	}
	if err != nil {
		q.close()
	}
	return err
}

// close closes the descriptors. The leader's wait ends.
func (q *kernelQueue) close() {
	q.file.Close()
	if q.wakeup >= 0 {
		syscall.Close(q.wakeup)
	}
}

// beginWaiting prepares the worker of a leader of p to wait.
func (p *poller) beginWaiting(w *worker) {
	w.wait = func(fd uintptr) bool {
		w.n, w.failed = epollWait(fd, w.events[:])
		w.n += p.kicks.appendTo(w.events[w.n:])
		return w.n != 0 || w.failed != nil
	}
}

// endWaiting is the opposite of beginWaiting.
func (w *waiting) endWaiting() { w.wait = nil }

// await waits until w has events. It returns false if p is closed.
func (p *poller) await(w *worker) bool {
	err := p.raw.Read(w.wait)
	return err == nil && w.failed == nil
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

// events returns the set as epoll has it.
func (i interest) events() (events uint32) {
	if i&interestRead != 0 {
		events |= syscall.EPOLLIN
	}
	if i&interestWrite != 0 {
		events |= syscall.EPOLLOUT
	}
	if i == interestHangUp {
		events |= syscall.EPOLLONESHOT
	}
	return events
}

// watchCall is the name of the system call of sysWatch.
const watchCall = "epoll_ctl"

func sysWatch(epfd int, fd int32, from, to interest) error {
	op := syscall.EPOLL_CTL_MOD
	if from == 0 {
		op = syscall.EPOLL_CTL_ADD
	}
	return syscall.EpollCtl(epfd, op, int(fd), &syscall.EpollEvent{Events: to.events(), Fd: fd})
}
