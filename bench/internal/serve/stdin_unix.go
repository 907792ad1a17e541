//go:build unix

package serve

import (
	"os"
	"syscall"
	"time"
)

// stdin returns standard input as a file for Go's poller. Otherwise a thread
// that waits for a control line keeps the only processor of Go's runtime for up
// to 20 ms, in which no connection is served. A terminal, which other processes
// share, is left unchanged.
func stdin() *os.File {
	if os.Stdin.SetReadDeadline(time.Time{}) == nil {
		return os.Stdin // it does already, as after Pin has started the program anew
	}
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 || syscall.SetNonblock(0, true) != nil {
		return os.Stdin
	}
	return os.NewFile(0, "stdin")
}
