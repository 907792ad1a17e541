//go:build unix

package load

import (
	"syscall"
	"time"
)

// processUsage is the processor time of this process so far.
func processUsage() (user, system time.Duration) { return usageOf(syscall.RUSAGE_SELF) }

func usageOf(who int) (user, system time.Duration) {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}
