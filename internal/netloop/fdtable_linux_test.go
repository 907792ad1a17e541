//go:build !portable

package netloop

import (
	"errors"
	"syscall"
	"testing"
)

// The table finds a socket by its descriptor, also the highest one, and no
// socket elsewhere.
func TestTableFindsByDescriptor(t *testing.T) {
	var table fdTable
	for _, fd := range []int32{0, 1, 1023, 1024, maxDescriptors - 1} {
		s := new(PolledSocket)
		table.put(fd, s)
		if table.get(fd) != s {
			t.Errorf("descriptor %d is not found", fd)
		}
		table.remove(fd)
		if table.get(fd) != nil {
			t.Errorf("descriptor %d is found after it was removed", fd)
		}
	}
	if table.get(77_777) != nil {
		t.Error("a socket is found at an unused descriptor")
	}
}

// A descriptor that the table has no place for is refused with the error of too
// many.
func TestDescriptorBeyondTheTableIsRefused(t *testing.T) {
	var l epollLoop
	if err := l.add(maxDescriptors, addrPair{}, nil, nil, nil); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("descriptor %d: %v, want EMFILE", maxDescriptors, err)
	}
}
