package serve

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// cpuSet is the kernel's cpu_set_t: a bit for each of 1024 processors.
type cpuSet [1024 / 64]uint64

// Pin makes the process run on the processors of list, such as "0" or "0,2-3";
// on all of them if list is empty. Go's runtime then sees only those. Pin
// executes the program again, and must be called first.
func Pin(list string) error {
	if list == "" {
		return nil
	}
	want, err := parseCPUs(list)
	if err != nil {
		return err
	}
	// A thread hands its processors on to those that it starts and to the
	// program that it executes, and nothing changes those of the threads that
	// there are: hence one thread, and Exec.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var have cpuSet
	if err := affinity(syscall.SYS_SCHED_GETAFFINITY, &have); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	if have == want {
		return nil
	}
	if err := affinity(syscall.SYS_SCHED_SETAFFINITY, &want); err != nil {
		return fmt.Errorf("sched_setaffinity %s: %w", list, err)
	}
	// The kernel leaves out processors that are not there, and would do so
	// again.
	if err := affinity(syscall.SYS_SCHED_GETAFFINITY, &have); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	if have != want {
		return fmt.Errorf("-cpus %s: not all of them are available to the process", list)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}

func affinity(call uintptr, set *cpuSet) error {
	_, _, errno := syscall.RawSyscall(call, 0, unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
	if errno != 0 {
		return errno
	}
	return nil
}

func parseCPUs(list string) (set cpuSet, err error) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		low, err1 := strconv.ParseUint(from, 10, 10)
		high, err2 := strconv.ParseUint(to, 10, 10)
		if err1 != nil || err2 != nil || low > high {
			return set, fmt.Errorf("-cpus: %q is no list of processors such as 0,2-3", list)
		}
		for n := low; n <= high; n++ {
			set[n/64] |= 1 << (n % 64)
		}
	}
	return set, nil
}
