package runner

import (
	"os"
	"syscall"
	"time"
)

func readNoise() (noise, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return noise{}, err
	}
	n := noise{at: time.Now()}
	if n.busy, n.stolen, err = parseMachine(string(text)); err != nil {
		return noise{}, err
	}
	for _, group := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(group, &u); err != nil {
			return noise{}, os.NewSyscallError("getrusage", err)
		}
		n.own += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return n, nil
}
