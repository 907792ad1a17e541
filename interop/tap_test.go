package interop

import (
	"bytes"
	"net"

	"github.com/fibersock/fibersock/wire"
)

// A tap listens for one plain connection and reports the pongs that it
// receives.
type tap struct {
	*net.TCPListener
	pongs chan string
}

// Accept returns the next connection, tapped.
func (t *tap) Accept() (net.Conn, error) {
	conn, err := t.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return &tappedConn{TCPConn: conn, pongs: t.pongs}, nil
}

// A tappedConn is read by one goroutine at a time.
type tappedConn struct {
	*net.TCPConn
	pongs     chan<- string
	pending   []byte // read, and not a whole frame yet
	handshake bool   // has been parsed
}

// Read reads from the connection and parses the frames.
func (c *tappedConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.pending = append(c.pending, p[:n]...)
	if !c.handshake {
		if _, rest, found := bytes.Cut(c.pending, []byte("\r\n\r\n")); found {
			c.handshake, c.pending = true, rest
		}
	}
	for c.handshake {
		frame, used, err := wire.DecodeFrame(c.pending)
		if err != nil || used == 0 {
			break
		}
		if frame.Opcode == wire.Pong {
			c.pongs <- string(frame.Payload)
		}
		c.pending = c.pending[used:]
	}
	return n, err
}
