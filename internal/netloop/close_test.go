//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// Output that was collected when CloseWrite is called can share a segment with
// FIN: the kernel is told that FIN follows. Output before it must not wait.
func TestCollectedOutputAndFINShareASegment(t *testing.T) {
	l := newTestLoop(t, Config{}, nil, nil)
	var mu sync.Mutex
	var made []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, fmt.Sprintf(format, args...))
	}
	calls := *kernel
	calls.writev = func(fd int32, a, b []byte) (int, error) {
		note("write %s", append(slices.Clone(a), b...))
		return kernel.writev(fd, a, b)
	}
	calls.writeLast = func(fd int32, p []byte) (int, error) {
		note("last %s", p)
		return kernel.writeLast(fd, p)
	}
	calls.shutdown = func(fd int32, how int) {
		note("shutdown %d", how)
		kernel.shutdown(fd, how)
	}
	l.pollers().sys = &calls
	a, nc := tcpPair(t)
	defer nc.Close()
	l.Start(a, l.open(func() *testConn {
		collected := false
		c := new(testConn)
		c.end = func() {
			if collected {
				collected = false
				c.socket.Writev([]byte("bye"), nil)
			}
		}
		c.received = func(c *testConn, _ []byte) ([]byte, bool) {
			c.socket.Writev([]byte("hello "), nil)
			collected = true
			c.socket.CloseWrite(true)
			return nil, false
		}
		return c
	}), nil, nil)
	check.Must(t, check.Err(nc.Write([]byte("x"))))
	all, err := io.ReadAll(nc)
	check.Must(t, err)
	if string(all) != "hello bye" {
		t.Errorf("the peer got %q", all)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"write hello ", "last bye", fmt.Sprint("shutdown ", syscall.SHUT_WR)}; !slices.Equal(made, want) {
		t.Errorf("system calls %q, want %q", made, want)
	}
}
