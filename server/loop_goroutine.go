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

// Background returns socket.Background: Write may wait for the client.
func (goroutineTransport) Background() func(func()) { return socket.Background }

// readBufferSize is what a connection reads at once, in bytes.
const readBufferSize = 4 << 10

// serve accepts connections until ln is closed. An error that may pass, such as
// too many open files, is reported and waited out.
func (l *goroutineLoop) serve(ln net.Listener, open func(transport) *Conn, report func(error)) error {
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
			go func() {
				t := l.transport(nc)
				l.run(t, open(t), nil)
			}()
		}
	}
}

// passing reports whether accepting may work again after err.
func passing(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

// transport makes a transport of nc.
func (l *goroutineLoop) transport(nc net.Conn) goroutineTransport {
	return goroutineTransport{socket.New(nc, l.writeTimeout)}
}

// run serves one connection until it has ended. first, if it is not nil, is done
// before anything is read, and reports whether the connection goes on.
func (l *goroutineLoop) run(t goroutineTransport, c *Conn, first func() (more bool)) {
	more := first == nil || first()
	buf := make([]byte, readBufferSize)
	for more {
		n, err := t.Read(buf)
		if n > 0 {
			more = c.receive(buf[:n])
		}
		if err != nil && more {
			c.lost(err)
			t.Close()
			return
		}
	}
	t.Drain(drainTime)
	c.lost(nil)
}
