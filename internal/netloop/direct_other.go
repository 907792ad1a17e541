//go:build !unix

package netloop

import "net"

// directConn stands in for the system calls that this system does not have.
type directConn struct{ net.Conn }

type directReader interface {
	buffer() []byte
	handle(b []byte) bool
	waits()
}

func (d *directConn) init(socket net.Conn) { d.Conn = socket }

func (*directConn) works() bool { return false }

func (*directConn) write([]byte) (int, error) { return 0, nil }

func (*directConn) read(directReader) error { return net.ErrClosed }

func (d *directConn) CloseWrite() error { return closeWrite(d.Conn) }
