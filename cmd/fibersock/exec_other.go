//go:build !unix

package main

import (
	"os"
	"os/exec"
	"runtime"
)

// shell returns a command line for the system's shell. There are no process
// groups.
func shell(command string) *exec.Cmd {
	if runtime.GOOS == "windows" {
		return exec.Command("cmd", "/c", command)
	}
	return exec.Command("/bin/sh", "-c", command)
}

// terminateGroup does nothing: the end of standard input asks p to end.
func terminateGroup(*os.Process) {}

// killGroup kills p, and not its children.
func killGroup(p *os.Process) { p.Kill() }
