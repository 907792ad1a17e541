// Package pty is a pseudo-terminal for tests, and a model of its screen.
package pty

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A Terminal is a pseudo-terminal with a person in front of it: Type presses
// keys, and Await waits for a picture on the screen. Its methods may be called
// by any goroutine.
type Terminal struct {
	// Slave is the end of the program under test: its standard streams.
	Slave *os.File

	t      *testing.T
	master *os.File

	mu      sync.Mutex // guards the rest
	screen  *Screen
	raw     []byte
	changed chan struct{} // closed with the next output, and replaced
}

// Open opens a pseudo-terminal for the rest of the test.
func Open(t *testing.T, columns, rows int) *Terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var unlocked, number int32
	if err := ioctl(master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked)); err != nil {
		t.Fatal(err)
	}
	if err := ioctl(master, syscall.TIOCGPTN, unsafe.Pointer(&number)); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(int(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &Terminal{Slave: slave, t: t, master: master, screen: NewScreen(columns, rows), changed: make(chan struct{})}
	p.Resize(columns, rows)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(display{p}, master)
	}()
	t.Cleanup(func() {
		slave.Close()
		master.Close()
		<-ended
	})
	return p
}

func ioctl(file *os.File, request uintptr, argument unsafe.Pointer) error {
	raw, err := file.SyscallConn()
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

// display shows the output of the slave's side.
type display struct{ p *Terminal }

func (d display) Write(b []byte) (int, error) {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	d.p.raw = append(d.p.raw, b...)
	d.p.screen.Write(b)
	close(d.p.changed)
	d.p.changed = make(chan struct{})
	return len(b), nil
}

// Resize changes the size that the program can ask for.
func (p *Terminal) Resize(columns, rows int) {
	p.t.Helper()
	size := [4]uint16{uint16(rows), uint16(columns)}
	if err := ioctl(p.master, syscall.TIOCSWINSZ, unsafe.Pointer(&size)); err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.screen.columns, p.screen.rows = columns, rows
}

// Type presses keys: text, and the sequences of special keys.
func (p *Terminal) Type(keys string) {
	p.t.Helper()
	if _, err := io.WriteString(p.master, keys); err != nil {
		p.t.Fatal(err)
	}
}

// Await waits until ok says that the screen shows the expected text. Its
// argument is the text of the screen with "▮" in front of the cursor's
// character, without spaces at the ends of lines and without empty lines at the
// end.
func (p *Terminal) Await(expected string, ok func(text string) bool) {
	p.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		p.mu.Lock()
		text, changed := p.screen.Text(), p.changed
		p.mu.Unlock()
		if ok(text) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			p.t.Fatalf("the screen shows\n%s\nexpected %s", text, expected)
		}
	}
}

// AwaitText waits until the screen contains text.
func (p *Terminal) AwaitText(text string) {
	p.t.Helper()
	p.Await(fmt.Sprintf("%q in it", text), func(screen string) bool { return strings.Contains(screen, text) })
}

// AwaitScreen waits until the screen shows exactly these lines.
func (p *Terminal) AwaitScreen(lines ...string) {
	p.t.Helper()
	want := strings.Join(lines, "\n")
	p.Await("\n"+want, func(screen string) bool { return screen == want })
}

// Output returns all bytes that the program has written.
func (p *Terminal) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.raw)
}

// LineMode reports whether the kernel edits and shows the typed lines, as it
// does for a program that does not care.
func (p *Terminal) LineMode() bool {
	p.t.Helper()
	var mode syscall.Termios
	if err := ioctl(p.master, syscall.TCGETS, unsafe.Pointer(&mode)); err != nil {
		p.t.Fatal(err)
	}
	const all = syscall.ICANON | syscall.ECHO
	return mode.Lflag&all == all
}
