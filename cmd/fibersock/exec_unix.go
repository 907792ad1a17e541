//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// shell returns a command line for the system's shell, in a process group of
// its own.
func shell(command string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// terminateGroup asks the group of p to end.
func terminateGroup(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGTERM) }

// killGroup kills the group of p. It does nothing if the group is empty.
func killGroup(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }
