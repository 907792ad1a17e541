//go:build !portable

package server

import (
	"syscall"
	"testing"
)

// A socket that has no room takes nothing, which is no negative number, however
// much is written.
func TestFullSocketTakesNothing(t *testing.T) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(ends[0])
	defer syscall.Close(ends[1])
	fd := int32(ends[0])
	for err == nil {
		_, err = sysWrite(fd, make([]byte, 1<<10))
	}
	for _, size := range []int{1, blockingSize, blockingSize + 1} {
		if n, err := sysWrite(fd, make([]byte, size)); n != 0 || err != syscall.EAGAIN {
			t.Errorf("%d bytes: %d, %v", size, n, err)
		}
		if n, err := sysWritev(fd, []byte("head"), make([]byte, size), nil); n > 0 || err != syscall.EAGAIN {
			t.Errorf("a head and %d bytes: %d, %v", size, n, err)
		}
	}
	if sysWritable(fd) {
		t.Error("it is taken for writable")
	}
	if n, err := sysRead(fd, make([]byte, 1)); n != 0 || err != syscall.EAGAIN {
		t.Errorf("reading: %d, %v", n, err)
	}
	if !sysWritable(int32(ends[1])) {
		t.Error("the other end is not taken for writable")
	}
}
