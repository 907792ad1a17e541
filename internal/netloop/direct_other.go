//go:build !unix

package netloop

import "net"

// directIO stands in for the system calls that this system does not have. It
// has no socket.
type directIO struct{}

type directReader interface {
	buffer() []byte
	handle(b []byte) bool
	waits()
}

func (*directIO) open(net.Conn) {}

func (*directIO) works() bool { return false }

func (*directIO) write([]byte) (int, error) { return 0, nil }

func (*directIO) read(net.Conn, directReader) error { return net.ErrClosed }

func (*directIO) abort(net.Conn) bool { return false }
