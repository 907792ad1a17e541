//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package main

import (
	"errors"
	"io"
)

type terminal struct{}

// openTerminal reports that this system's terminal edits lines by itself.
func openTerminal(io.Reader, func()) (*terminal, error) { return nil, errors.ErrUnsupported }

func (t *terminal) close() {}

func (t *terminal) columns() int { return 80 }
