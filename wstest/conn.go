package wstest

import (
	"errors"
	"io"
	"net"
	"time"
)

// Conn is one end of a connection in memory. It behaves like a *net.TCPConn:
// Write blocks while the buffer is full; CloseWrite closes one direction; a
// Close with unread input resets the connection, as does a Write to a peer that
// has closed. Errors other than io.EOF are a *net.OpError that wraps
// net.ErrClosed, os.ErrDeadlineExceeded or ErrReset. Its methods may be called
// from any goroutine.
//
// A goroutine that a Conn blocks is durably blocked in the sense of
// testing/synctest.
type Conn struct {
	link          *Link
	in, out       *Flow
	local, remote net.Addr
	abort         bool // Close resets the connection; link.mu guards it
}

// Pipe returns the two ends of a connection in memory with the faults of p.
func Pipe(p Plan) (client, server *Conn) { return ends(newLink(p), 0) }

// ends returns the ends of a link, the n-th of its kind.
func ends(l *Link, n int) (client, server *Conn) {
	from := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1024 + n%60000}
	client = &Conn{link: l, in: l.ToClient, out: l.ToServer, local: from, remote: serverAddr}
	server = &Conn{link: l, in: l.ToServer, out: l.ToClient, local: serverAddr, remote: from}
	return client, server
}

// serverAddr is the address of all servers in memory, one for documentation
// (RFC 5737). It is a TCP address, because programs examine it.
var serverAddr = &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 80}

// Link returns the link between the two ends.
func (c *Conn) Link() *Link { return c.link }

// Read reads bytes that have arrived. Faults.Split limits it to one piece.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.get(p)
	return n, c.error("read", err)
}

// Write writes all of p, or returns the number of written bytes and an error.
// It blocks while the buffer is full.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.put(p)
	return n, c.error("write", err)
}

// CloseWrite closes this end's direction. The peer reads the written bytes and
// then io.EOF.
func (c *Conn) CloseWrite() error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.out.writer.closed {
		return c.error("close", net.ErrClosed)
	}
	c.out.finish()
	return nil
}

// Close closes both directions. The peer reads the written bytes and then
// io.EOF, or ErrReset if this end has unread input.
func (c *Conn) Close() error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.out.writer.closed {
		return c.error("close", net.ErrClosed)
	}
	c.out.writer.closed = true
	c.in.reader.closed = true
	if c.in.waiting > 0 || c.abort {
		c.link.reset()
	}
	c.out.finish()
	c.link.changed.Broadcast()
	return nil
}

// Reset closes the connection so that the peer's reads and writes fail with
// ErrReset.
func (c *Conn) Reset() {
	c.link.Reset()
	_ = c.Close() // it may be closed already
}

// SetLinger sets whether Close resets the connection: with 0 seconds it does,
// by default and with another number only if there is unread input.
func (c *Conn) SetLinger(seconds int) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	c.abort = seconds == 0
	return nil
}

// LocalAddr returns a *net.TCPAddr of a network for documentation (RFC 5737).
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the peer's LocalAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, &c.in.reader, &c.out.writer)
}

// SetReadDeadline sets the deadline of Read, also of a blocked one. Zero means
// no deadline.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.in.reader) }

// SetWriteDeadline sets the deadline of Write, also of a blocked one. Zero
// means no deadline.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.out.writer) }

func (c *Conn) setDeadlines(t time.Time, ends ...*end) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.out.writer.closed {
		return c.error("set", net.ErrClosed)
	}
	for _, e := range ends {
		e.deadline = t
	}
	c.link.changed.Broadcast()
	return nil
}

// error wraps err like package net.
func (c *Conn) error(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
