//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"unsafe"
)

type terminal struct {
	file     *os.File
	original syscall.Termios

	mu     sync.Mutex // guards the rest
	closed bool
	stop   chan struct{} // closed with the terminal
}

// openTerminal gives the terminal of in to an editor until close. The signals
// of Ctrl-C, Ctrl-Z and Ctrl-\ stay. redraw is called when the line may be
// damaged: with another size of the terminal, and after a stop (Ctrl-Z).
func openTerminal(in io.Reader, redraw func()) (*terminal, error) {
	t := &terminal{file: in.(*os.File), stop: make(chan struct{})}
	if err := t.control(getTermios, unsafe.Pointer(&t.original)); err != nil {
		return nil, err
	}
	if err := t.edit(); err != nil {
		return nil, err
	}
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGCONT)
	go t.follow(signals, redraw)
	return t, nil
}

// edit switches line editing and echo of the terminal off.
func (t *terminal) edit() error {
	mode := t.original
	mode.Iflag &^= syscall.ICRNL | syscall.INLCR | syscall.IGNCR | syscall.IXON
	mode.Lflag &^= syscall.ICANON | syscall.ECHO | syscall.IEXTEN
	mode.Cc[syscall.VMIN], mode.Cc[syscall.VTIME] = 1, 0
	return t.control(setTermios, unsafe.Pointer(&mode))
}

// close restores the terminal. It may be called more than once.
func (t *terminal) close() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		close(t.stop)
		t.control(setTermios, unsafe.Pointer(&t.original))
	}
}

// follow restores the terminal for the time of a stop.
func (t *terminal) follow(signals chan os.Signal, redraw func()) {
	defer signal.Stop(signals)
	for {
		select {
		case <-t.stop:
			return
		case s := <-signals:
			if s == syscall.SIGTSTP {
				t.suspend()
				continue // SIGCONT follows
			}
			if s == syscall.SIGCONT && !t.resume() {
				return
			}
			redraw()
		}
	}
}

// suspend stops the process as SIGTSTP does without a handler.
func (t *terminal) suspend() {
	t.mu.Lock()
	if !t.closed {
		t.control(setTermios, unsafe.Pointer(&t.original))
	}
	t.mu.Unlock()
	syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
}

// resume gives the terminal to the editor again, if it is not closed.
func (t *terminal) resume() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.closed && t.edit() == nil
}

// columns returns the width of the terminal.
func (t *terminal) columns() int {
	var size struct{ rows, columns, x, y uint16 }
	if err := t.control(syscall.TIOCGWINSZ, unsafe.Pointer(&size)); err != nil || size.columns == 0 {
		return 80
	}
	return int(size.columns)
}

// control calls ioctl. It leaves the file as it is, unlike Fd.
func (t *terminal) control(request uintptr, argument unsafe.Pointer) error {
	raw, err := t.file.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument))
	}); err != nil {
		return err
	}
	if errno != 0 {
		return errno
	}
	return nil
}
