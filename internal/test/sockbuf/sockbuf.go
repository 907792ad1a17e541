// Package sockbuf makes TCP sockets whose kernel buffers have a fixed size, for
// tests of peers that do not read. By default the kernel buffers 100 KiB to 36
// MiB, depending on its version and settings.
package sockbuf

import (
	"context"
	"net"
	"syscall"

	"github.com/fibersock/fibersock/internal/test/loopback"
)

// Size is the requested size of each buffer in bytes. Linux doubles it.
const Size = 64 << 10

// Most is more than the kernel buffers in one direction, in bytes: the send
// buffer of one end, the receive buffer of the other, and the overhead of both.
const Most = 8 * Size

// Listen listens on a port of [loopback.Address]. Accepted connections
// inherit the buffer sizes.
func Listen() (net.Listener, error) {
	cfg := net.ListenConfig{Control: control}
	return cfg.Listen(context.Background(), "tcp", loopback.Address())
}

// Dial connects to addr.
func Dial(addr string) (net.Conn, error) {
	d := net.Dialer{Control: control}
	return d.Dial("tcp", addr)
}

// control sets the buffer sizes of a socket before it connects or listens;
// later the kernel has promised the peer a larger window already.
func control(_, _ string, raw syscall.RawConn) error {
	var err error
	if controlErr := raw.Control(func(fd uintptr) { err = limit(fd) }); controlErr != nil {
		return controlErr
	}
	return err
}
