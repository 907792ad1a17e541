//go:build unix

package usage

import (
	"syscall"
	"time"
)

// CPU returns the processor time of this process, 0 if it is unknown.
func CPU() (user, system time.Duration) { return cpuOf(syscall.RUSAGE_SELF) }

// ThreadCPU is CPU for the current thread, on Linux.
func ThreadCPU() (user, system time.Duration) {
	const rusageThread = 1
	return cpuOf(rusageThread)
}

func cpuOf(who int) (user, system time.Duration) {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}
