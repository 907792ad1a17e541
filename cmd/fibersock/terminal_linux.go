package main

import "syscall"

// Requests of ioctl, with a syscall.Termios.
const (
	getTermios = syscall.TCGETS
	setTermios = syscall.TCSETS
)
