package load

import (
	"errors"
	"fmt"
	"syscall"
)

// A Fault is the first thing on any connection that was not as it should be. It
// ends the run.
type Fault struct {
	Conn    int    // which connection, from 0 in the order of opening
	Replies int64  // right replies that this connection had before
	Want    string // the expected input
	Got     string // the actual input
	Err     error  // the error of the operating system or of TLS; may be nil
}

func (f *Fault) Error() string {
	return fmt.Sprintf("load: connection %d, after %d right replies: expected %s; got %s", f.Conn, f.Replies, f.Want, f.Got)
}

func (f *Fault) Unwrap() error { return f.Err }

// quote is text of the server's in an error, at most 60 bytes of it.
func quote(p []byte) string {
	const most = 60
	if len(p) > most {
		return fmt.Sprintf("%q…", p[:most])
	}
	return fmt.Sprintf("%q", p)
}

// limitOf names the limit of the system that a connection has met, for the end
// of a sentence; empty for another error.
func limitOf(err error) string {
	for _, limit := range []struct {
		of   error
		name string
	}{
		{syscall.EMFILE, "open files of a process (ulimit -n)"},
		{syscall.ENFILE, "open files of the system (fs.file-max)"},
		{syscall.EADDRNOTAVAIL, "local ports to one address (net.ipv4.ip_local_port_range)"},
		{syscall.ENOBUFS, "memory of the kernel for sockets (net.ipv4.tcp_mem)"},
		{syscall.ENOMEM, "memory of the kernel"},
	} {
		if errors.Is(err, limit.of) {
			return ", the limit of " + limit.name
		}
	}
	return ""
}
