//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import "syscall"

// systemCalls are the system calls that the loop makes for a socket, and spawn,
// which starts a goroutine. Tests replace them.
type systemCalls struct {
	read      func(fd int32, p []byte) (int, error)
	write     func(fd int32, p []byte) (int, error)
	writeLast func(fd int32, p []byte) (int, error) // shutdown follows
	writev    func(fd int32, a, b []byte) (int, error)
	shutdown  func(fd int32, how int)
	close     func(fd int32)
	hungUp    func(fd int32) (bool, syscall.Errno)
	watch     func(queue int, fd int32, from, to interest) error // changes the events to report
	notify    func(wakeup int)                                   // ends a leader's wait
	spawn     func(f func())
}

// kernel are the system calls of this system. On Linux, those that cannot block
// bypass the scheduler, which would cost more than some of them.
var kernel = &systemCalls{
	read:      sysRead,
	write:     sysWrite,
	writeLast: sysWriteLast,
	writev:    sysWritev,
	shutdown:  func(fd int32, how int) { syscall.Shutdown(int(fd), how) },
	close:     func(fd int32) { syscall.Close(int(fd)) },
	hungUp:    sysHungUp,
	watch:     sysWatch,
	notify:    sysNotify,
	spawn:     func(f func()) { go f() },
}
