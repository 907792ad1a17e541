//go:build unix

package runner

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the signals of the terminal from a command.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// raiseFiles lets this process and those that it starts have as many files open
// as the system allows, and returns how many. Go's runtime does so for itself
// only.
func raiseFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	limit.Cur = limit.Max
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), 1<<30))
}
