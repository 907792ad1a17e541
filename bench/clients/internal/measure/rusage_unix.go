//go:build unix

package measure

import (
	"os"
	"syscall"
	"time"
)

// processorTime returns the processor time of this process.
func processorTime() (user, sys time.Duration, err error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, 0, os.NewSyscallError("getrusage", err)
	}
	return time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano()), nil
}
