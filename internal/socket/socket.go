// Package socket is what client and server do alike with a net.Conn: write
// within a time limit, and close in a way that lets the last frame arrive.
package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// Conn is a net.Conn whose writes are bounded in time. Writes must not overlap;
// the engine's lock sees to that.
type Conn struct {
	net.Conn

	timeout time.Duration // per Write; 0: none
	armed   time.Time     // the write deadline that is set
}

// New returns nc with writes that get timeout, and take at most a quarter more; 0
// or less means no limit.
func New(nc net.Conn, timeout time.Duration) *Conn {
	const longest = 100 * 365 * 24 * time.Hour // so that no sum overflows
	return &Conn{Conn: nc, timeout: min(max(timeout, 0), longest)}
}

// Background runs f on a goroutine of its own. It is what an endpoint that writes
// to a Conn needs, because such a write may wait for the peer.
func Background(f func()) { go f() }

// TimeoutError says that the peer did not take what was written in time. It is
// os.ErrDeadlineExceeded under errors.Is.
type TimeoutError struct {
	After   time.Duration
	Bytes   int // the size of the write
	Written int // how much of it the system took
}

// Error names the limit, its value and the option that sets it.
func (e *TimeoutError) Error() string {
	return "websocket: the peer does not read: a write was not done within " + e.After.String() + " (WriteTimeout)"
}

// Timeout reports true, as net.Error has it.
func (e *TimeoutError) Timeout() bool { return true }

// Unwrap returns os.ErrDeadlineExceeded.
func (e *TimeoutError) Unwrap() error { return os.ErrDeadlineExceeded }

// Write writes all of p or fails. After a timeout the connection is closed: the
// peer has part of a frame, and whoever reads should not wait for a peer that
// does not read.
func (c *Conn) Write(p []byte) (int, error) {
	if c.timeout > 0 {
		c.arm(time.Now())
	}
	n, err := c.Conn.Write(p)
	switch {
	case err != nil && errors.Is(err, os.ErrDeadlineExceeded):
		c.Close()
		var known *TimeoutError
		if !errors.As(err, &known) { // else what lies below has a limit of its own
			err = &TimeoutError{After: c.timeout, Bytes: len(p), Written: n}
		}
	case err == nil && n < len(p):
		err = io.ErrShortWrite // such a net.Conn is wrong, but not to be believed
	}
	if c.timeout > 0 && c.below() != nil {
		c.disarm()
	}
	return n, err
}

// Close cuts the connection. It does not wait: a TLS connection is cut below TLS,
// because telling the peer could take as long as the peer likes.
func (c *Conn) Close() error {
	if below := c.below(); below != nil {
		return below.Close()
	}
	return c.Conn.Close()
}

// below returns the connection below a TLS connection, nil if it is none.
func (c *Conn) below() net.Conn {
	if secure, ok := c.Conn.(interface{ NetConn() net.Conn }); ok {
		return secure.NetConn()
	}
	return nil
}

// arm sees to it that the write deadline is at least one timeout away. It sets
// it a quarter further than needed, so that a busy connection sets it rarely.
func (c *Conn) arm(now time.Time) {
	if c.armed.Sub(now) >= c.timeout {
		return
	}
	c.armed = now.Add(c.timeout + c.timeout/4)
	c.Conn.SetWriteDeadline(c.armed)
}

// disarm takes the write deadline away. TLS also writes when it reads, if the peer
// wants a new key, and a deadline long past would break the connection there.
func (c *Conn) disarm() {
	c.armed = time.Time{}
	c.Conn.SetWriteDeadline(c.armed)
}

// maxDrain bounds, in bytes, what is read and thrown away at a connection's end.
const maxDrain = 1 << 20

// Finish says to the peer, after the last frame was written, that no more will
// come. If that is not done within wait, the connection is cut; 0 or less means
// no limit. What cannot be closed for writing alone is closed.
func (c *Conn) Finish(wait time.Duration) {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || c.within(wait, half.CloseWrite) != nil {
		c.Close()
	}
}

// within cuts the connection if f, which closes it in some way, is not done
// within wait. TLS sets deadlines of its own there, which are longer.
func (c *Conn) within(wait time.Duration, f func() error) error {
	if wait > 0 {
		defer time.AfterFunc(wait, func() { c.Close() }).Stop()
	}
	return f()
}

// Drain reads and throws away what the peer still sends, until the peer closes
// too or wait is over, and closes the connection. A plain close with unread
// input makes the system send a reset, which can destroy the Close frame on its
// way to the peer (RFC 6455, Section 7.1.1). To say goodbye, as TLS does, the
// peer has the same time again. 0 or less means no limit. Nobody else may be
// reading.
func (c *Conn) Drain(wait time.Duration) {
	var deadline time.Time
	if wait > 0 {
		deadline = time.Now().Add(wait)
	}
	c.Conn.SetReadDeadline(deadline)
	// Not io.Copy, which would bring splice and sendfile into every binary.
	var scrap [512]byte
	for drained := 0; drained < maxDrain; {
		n, err := c.Conn.Read(scrap[:])
		if err != nil {
			break
		}
		drained += n
	}
	_ = c.within(wait, c.Conn.Close) // it is closed in any case
}
