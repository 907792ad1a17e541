//go:build !portable

package netloop

import (
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// A full socket accepts no byte, for any size and number of pieces.
func TestFullSocketAcceptsNothing(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	check.Must(t, err)
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	fd := int32(pair[0])
	large := make([]byte, 256<<10) // more than blockingSize
	for err == nil {
		_, err = sysWrite(fd, large)
	}
	for err = nil; err == nil; {
		_, err = sysWrite(fd, large[:1])
	}
	for _, pieces := range [][2][]byte{{nil, large}, {large, nil}, {large[:10], large}, {large[:1], nil}, {nil, large[:1]}} {
		if n, err := sysWritev(fd, pieces[0], pieces[1]); n != 0 || err != syscall.EAGAIN {
			t.Errorf("%d and %d bytes: %d, %v", len(pieces[0]), len(pieces[1]), n, err)
		}
	}
}
