//go:build unix

package main

import (
	"errors"
	"os/signal"
	"syscall"
)

// ignoreBrokenPipes makes a write to a pipe without a reader return EPIPE, so
// that the connection can be closed. By default SIGPIPE ends the process.
func ignoreBrokenPipes() { signal.Ignore(syscall.SIGPIPE) }

// isBrokenPipe reports whether a write failed because the pipe has no reader.
func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
