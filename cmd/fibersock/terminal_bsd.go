//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package main

import "syscall"

// Requests of ioctl, with a syscall.Termios.
const (
	getTermios = syscall.TIOCGETA
	setTermios = syscall.TIOCSETA
)
