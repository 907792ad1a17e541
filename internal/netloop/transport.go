package netloop

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Transport is a net.Conn on which every call returns: a Read at its deadline
// or when the connection is aborted, a Write when the peer has accepted no byte
// for the write timeout, Close and Abort soon. Read belongs to one goroutine at
// a time, and so does Write.
type Transport interface {
	net.Conn

	// SetWriteTimeout sets the time limit of writes. By default there is none.
	// It must not be called during another call.
	SetWriteTimeout(limit WriteTimeout)

	// TimedOut returns WriteTimeout.Err if a Write has timed out, nil
	// otherwise. TLS that had to write within a Read reports another error.
	TimedOut() error

	// CloseWrite closes the connection for writing. The error is
	// errors.ErrUnsupported if it cannot be closed so.
	CloseWrite() error

	// Abort closes the connection below all TLS, without close_notify.
	Abort() error
}

// NewTransport returns nc, which carries bytes for WebSocket or TLS, as a
// transport.
//
// The deadlines of TCP and Unix connections are relied on. Those of other types
// may not work, as with the channels of SSH, or may destroy a TLS connection
// inside. Methods of other types run on other goroutines: recovered returns the
// error of one that does not return.
func NewTransport(nc net.Conn, recovered Recover) Transport {
	if isSocket(nc) {
		return NewSocketTransport(nc)
	}
	return newForeignTransport(nc, recovered)
}

// NewSocketTransport is NewTransport for a TCP or Unix connection of package
// net. A program that calls only this has no code for other types.
func NewSocketTransport(nc net.Conn) Transport { return &systemConn{Conn: nc} }

// isSocket reports whether nc is a socket of package net.
func isSocket(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// WriteTimeout bounds the time in which the peer accepts no byte of a blocked
// write: then the write fails with Err, and the connection is aborted. Zero or
// negative After means no limit.
type WriteTimeout struct {
	_ [0]func() // not comparable: programs are smaller

	After time.Duration
	Err   error
}

// writeLimit is the WriteTimeout of a transport.
type writeLimit struct {
	_       [0]func()    // not comparable: programs are smaller
	timeout WriteTimeout // After is from 0, which means none, to longestTimeout
	late    atomic.Bool  // a write has timed out
}

// longestTimeout is a time with which no sum overflows.
const longestTimeout = 100 * 365 * 24 * time.Hour

//go:noinline
func (l *writeLimit) SetWriteTimeout(limit WriteTimeout) {
	limit.After = min(max(limit.After, 0), longestTimeout)
	l.timeout = limit
}

// interval is how often a blocked write looks for progress, 0 if there is no
// time limit.
func (l *writeLimit) interval() time.Duration { return (l.timeout.After + 3) / 4 }

func (l *writeLimit) TimedOut() error {
	if l.late.Load() {
		return l.timeout.Err
	}
	return nil
}

// Over returns tls, a TLS connection that is made over below, as a transport.
func Over(tls net.Conn, below Transport, recovered Recover) Transport {
	return &tlsConn{Conn: tls, reader: newReader(tls, nil, recovered), below: below}
}

// OverForeign is Over for a TLS connection of any type, made by the application.
// Its methods run on other goroutines, which may not return when below is
// aborted, and it is closed even if below is aborted, because it may have to
// release something.
func OverForeign(tls net.Conn, below Transport, recovered Recover) Transport {
	if tls == net.Conn(below) {
		return below
	}
	return &foreignTLS{newForeignTransport(tls, recovered), below}
}

// systemConn is a connection whose deadlines work, such as a TCP connection.
type systemConn struct {
	Conn net.Conn
	writeLimit

	armed time.Duration // the write deadline that arm has set, after processStart; or one of those below
}

// Values of systemConn.armed that are no time.
const (
	armedNot     = 0  // there is no write deadline
	armedByOwner = -1 // SetWriteDeadline has set one
)

// processStart is the moment to which times are relative, so that each has 8
// bytes in place of 24.
var processStart = time.Now()

// Write writes all of p or fails. A blocked Write looks for progress again and
// again, and once more after the timeout: the kernel reports that a
// socket can be written to when a third of its buffer is free, but accepts
// bytes before.
func (c *systemConn) Write(p []byte) (written int, err error) {
	wait := c.interval()
	progress := c.arm(wait)
	for last := false; ; {
		n, err := c.Conn.Write(p[written:])
		written += n
		if err == nil || wait == 0 || c.armed == armedByOwner || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		now := time.Now()
		switch {
		case n > 0:
			progress = now
		case last:
			c.late.Store(true) // before the effect can be seen
			c.Abort()
			return written, c.timeout.Err
		}
		if last = now.Sub(progress) >= c.timeout.After; last {
			c.arm(writeGrace)
		} else {
			c.arm(wait)
		}
	}
}

// try writes to the connection as much as it accepts soon. A socket with space
// for p needs no deadline.
func (c *systemConn) try(p []byte) (n int, err error) {
	if direct, ok := c.Conn.(*directConn); ok && direct.works() {
		c.arm(0) // a deadline that has passed would fail
		if n, err = direct.write(p); err != nil || n == len(p) {
			return n, err
		}
	}
	c.arm(2 * writeGrace)
	m, err := c.Conn.Write(p[n:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n + m, err
}

// arm sets a write deadline between half of wait and wait away, so that a busy
// connection sets it rarely, or none if wait is 0. It returns the time.
func (c *systemConn) arm(wait time.Duration) (now time.Time) {
	if c.armed == armedByOwner || wait == 0 && c.armed == armedNot {
		return now
	}
	now = time.Now()
	since := now.Sub(processStart)
	left := c.armed - since
	switch {
	case wait == 0:
		c.armed = armedNot
		c.Conn.SetWriteDeadline(time.Time{})
	case left < wait/2 || left > wait:
		c.armed = since + wait
		c.Conn.SetWriteDeadline(now.Add(wait))
	}
	return now
}

// SetWriteDeadline sets a deadline in place of the write timeout. It is
// not called while a Write is under way.
func (c *systemConn) SetWriteDeadline(t time.Time) error {
	c.armed = armedByOwner
	if t.IsZero() {
		c.armed = armedNot
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *systemConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *systemConn) Read(p []byte) (int, error)        { return c.Conn.Read(p) }
func (c *systemConn) SetReadDeadline(t time.Time) error { return c.Conn.SetReadDeadline(t) }
func (c *systemConn) LocalAddr() net.Addr               { return c.Conn.LocalAddr() }
func (c *systemConn) RemoteAddr() net.Addr              { return c.Conn.RemoteAddr() }

func (c *systemConn) CloseWrite() error { return closeWrite(c.Conn) }

func (c *systemConn) Close() error { return c.Conn.Close() }

func (c *systemConn) Abort() error { return c.Conn.Close() }

// closeWrite closes nc for writing.
//
//go:noinline
func closeWrite(nc net.Conn) error {
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// tlsConn is a TLS connection over a transport. A Read of TLS may have to
// write, and then waits for the peer, or for a Write that does: it is detached.
type tlsConn struct {
	_      [0]func() // not comparable: programs are smaller
	Conn   net.Conn
	reader *reader
	below  Transport
}

func (c *tlsConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// Write writes all of p or fails. TLS wraps the error of a timeout.
func (c *tlsConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if late := c.TimedOut(); err != nil && late != nil {
		err = late
	}
	return n, err
}

func (c *tlsConn) LocalAddr() net.Addr                { return c.Conn.LocalAddr() }
func (c *tlsConn) RemoteAddr() net.Addr               { return c.Conn.RemoteAddr() }
func (c *tlsConn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(t) }
func (c *tlsConn) Close() error                       { return c.Conn.Close() }

func (c *tlsConn) SetReadDeadline(t time.Time) error {
	c.reader.deadline.set(t)
	return nil
}

func (c *tlsConn) SetDeadline(t time.Time) error {
	c.reader.deadline.set(t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *tlsConn) SetWriteTimeout(limit WriteTimeout) { c.below.SetWriteTimeout(limit) }

func (c *tlsConn) TimedOut() error { return c.below.TimedOut() }

func (c *tlsConn) CloseWrite() error { return closeWrite(c.Conn) }

func (c *tlsConn) Abort() error { return c.below.Abort() }

// reader reads on goroutines of its own, so that a Read can be given up. Bytes
// that arrive after that are kept for the next Read.
type reader struct {
	deadline deadline

	aborted <-chan struct{} // closed when the connection is aborted; may be nil
	buffer  Buffer
	read    *detached // reads once into p, n bytes
	reading bool      // the goroutine runs: p and n are its own
	p       []byte
	n       int
	rest    []byte // bytes that have been read and not been returned
	err     error  // of the Read after rest
}

//go:noinline
func newReader(from net.Conn, aborted <-chan struct{}, recovered Recover) *reader {
	r := &reader{aborted: aborted}
	r.read = newDetached(func() (err error) {
		r.n, err = from.Read(r.p)
		return err
	}, recovered)
	return r
}

func (r *reader) Read(p []byte) (int, error) {
	over := r.deadline.over()
	switch {
	case isClosed(r.aborted):
		return 0, net.ErrClosed
	case isClosed(over):
		return 0, os.ErrDeadlineExceeded
	case len(p) == 0:
		return 0, nil
	}
	if len(r.rest) == 0 && r.err == nil {
		if !r.reading {
			r.p, r.n = r.buffer.Get(len(p)), 0
			r.reading = true
			go r.read.start()
		}
		select {
		case err := <-r.read.done:
			r.reading = false
			if r.n < 0 || r.n > len(r.p) {
				r.n, err = 0, errors.New("websocket: the net.Conn read more bytes than it was asked for")
			}
			if err != nil && isClosed(r.aborted) {
				err = net.ErrClosed // err is the effect of the abort
			}
			r.rest, r.err = r.p[:r.n], err
		case <-over:
			return 0, os.ErrDeadlineExceeded
		case <-r.aborted:
			return 0, net.ErrClosed
		}
	}
	if len(r.rest) == 0 {
		err := r.err
		r.err = nil
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
