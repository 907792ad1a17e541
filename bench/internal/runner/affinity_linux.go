package runner

import (
	"fmt"
	"math/bits"
	"runtime"
	"syscall"
	"unsafe"
)

// cpuSet is the kernel's cpu_set_t: a bit for each of 1024 processors.
type cpuSet [1024 / 64]uint64

func (s *cpuSet) call(number uintptr) error {
	_, _, errno := syscall.RawSyscall(number, 0, unsafe.Sizeof(*s), uintptr(unsafe.Pointer(s)))
	if errno != 0 {
		return errno
	}
	return nil
}

// processors returns those that this process may run on.
func processors() ([]int, error) {
	var set cpuSet
	if err := set.call(syscall.SYS_SCHED_GETAFFINITY); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var list []int
	for i, word := range set {
		for ; word != 0; word &= word - 1 {
			list = append(list, i*64+bits.TrailingZeros64(word))
		}
	}
	return list, nil
}

// startOn calls start; a process that it starts runs on the processors of list.
// A process inherits those of the thread that starts it.
func startOn(list []int, start func() error) error {
	runtime.LockOSThread()
	var before, set cpuSet
	if err := before.call(syscall.SYS_SCHED_GETAFFINITY); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	for _, n := range list {
		set[n/64] |= 1 << (n % 64)
	}
	if err := set.call(syscall.SYS_SCHED_SETAFFINITY); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("sched_setaffinity %v: %w", list, err)
	}
	err := start()
	// A thread that cannot be set back stays locked, and so ends with its
	// goroutine.
	if before.call(syscall.SYS_SCHED_SETAFFINITY) == nil {
		runtime.UnlockOSThread()
	}
	return err
}
