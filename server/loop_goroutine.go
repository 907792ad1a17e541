package server

import (
	"errors"
	"net"
	"time"

	"github.com/fibersock/fibersock/internal/socket"
)

// goroutineLoop serves every socket by a goroutine that reads from it and runs
// the handlers. It works with everything that is a net.Conn, on every system.
type goroutineLoop struct {
	writeTimeout time.Duration
}

// goroutineTransport is a socket of a goroutineLoop.
type goroutineTransport struct{ *socket.Conn }

// Resume does nothing: the goroutine that reads waits for the program itself.
func (goroutineTransport) Resume() {}

// Background returns socket.Background: Write may wait for the client.
func (goroutineTransport) Background() func(func()) { return socket.Background }

// readBufferSize is what a connection reads at once, in bytes.
const readBufferSize = 4 << 10

// serve serves what connects to ln, until that is closed.
func (l *goroutineLoop) serve(ln net.Listener, open func(transport) *Conn, report func(error)) error {
	return acceptAll(ln, report, func(nc net.Conn) { go l.serveOne(nc, open, nil) })
}

// acceptAll calls serve for what connects to ln, until that is closed. An error
// that may pass, such as too many open files, is reported and waited out.
func acceptAll(ln net.Listener, report func(error), serve func(net.Conn)) error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		nc, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil && !passing(err):
			return err
		case err != nil:
			report(err)
			time.Sleep(pause)
			pause = min(2*pause, longest)
		default:
			pause = shortest
			serve(nc)
		}
	}
}

// passing reports whether accepting may work again after err.
func passing(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

// serveOne serves one connection until it has ended. first, if it is not nil, is
// done before anything is read; it returns what has been read, and whether the
// connection goes on.
func (l *goroutineLoop) serveOne(nc net.Conn, open func(transport) *Conn, first func(*Conn) (rest []byte, more bool)) {
	t := goroutineTransport{socket.New(nc, l.writeTimeout)}
	c := open(t)
	more := true
	if first != nil {
		var rest []byte
		if rest, more = first(c); more {
			more = receiveAll(c, rest)
		}
	}
	buf := make([]byte, readBufferSize)
	for more {
		n, err := t.Read(buf)
		more = receiveAll(c, buf[:n])
		if err != nil && more {
			c.lost(err)
			t.Close()
			return
		}
	}
	t.Drain(drainTime)
	c.lost(nil)
}

// receiveAll has all of b received, and waits until the program takes more.
func receiveAll(c *Conn, b []byte) (more bool) {
	for more = true; len(b) > 0 && more; {
		b, more = c.receive(b)
		if more && c.fiber != nil {
			c.fiber.awaitRoom()
		}
	}
	return more
}
