//go:build !race && !386 && !s390x

package netloop

import (
	"bytes"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
)

// A socket that the program has made blocking, by File().Fd(), is read from and
// written to without waiting: otherwise the whole program would stop at the next
// garbage collection.
func TestBlockingSocketIsNotWaitedFor(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	check.Must(t, err)
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	const limit = 2 // seconds, so that a call that waits ends
	for _, option := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		check.Must(t, syscall.SetsockoptTimeval(pair[0], syscall.SOL_SOCKET, option, &syscall.Timeval{Sec: limit}))
	}
	fd := int32(pair[0])
	for _, call := range []struct {
		name string
		f    func(fd int32, p []byte) (int, error)
		size int
	}{{"sysRead", sysRead, 1}, {"sysWrite", sysWrite, 64 << 10}, {"large sysWrite", sysWrite, blockingSize + 1}, {"sysWriteLast", sysWriteLast, 1}} {
		start, b := time.Now(), bytes.Repeat([]byte("x"), call.size)
		for err = nil; err == nil; {
			_, err = call.f(fd, b)
		}
		if waited := time.Since(start); err != syscall.EAGAIN || waited >= limit*time.Second {
			t.Errorf("%s: %v after %v, want EAGAIN at once", call.name, err, waited)
		}
	}
}
