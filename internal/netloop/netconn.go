package netloop

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"time"
)

// NetConn is a net.Conn that is written to whole frames at a time, and closed
// such that the last frame arrives. Writes must not overlap.
type NetConn struct{ Conn net.Conn }

// Write writes all of p or fails. After a timeout of the net.Conn itself the
// connection is closed, because the peer has half a frame.
func (c *NetConn) Write(p []byte) (n int, err error) {
	n, err = c.Conn.Write(p)
	switch {
	case err != nil && errors.Is(err, os.ErrDeadlineExceeded):
		c.Close()
	case err == nil && n < len(p):
		err = io.ErrShortWrite // such a net.Conn is wrong, but not to be believed
	}
	return n, err
}

// Close closes the connection and does not wait: a TLS connection is closed
// below TLS, because telling the peer could take as long as the peer likes.
//
//go:noinline
func (c *NetConn) Close() error {
	if transport, ok := c.Conn.(interface{ Abort() error }); ok {
		return transport.Abort()
	}
	low, _ := lowest(c.Conn)
	return low.Close()
}

// maxDiscarded bounds, in bytes, the input that is discarded at a connection's
// end.
const maxDiscarded = 1 << 20

// CloseWriteWithin closes the connection for writing, after the last frame was
// written. If that takes longer than limit, the connection is closed; 0 or less
// means no limit. A net.Conn that cannot be closed for writing alone is closed.
func (c *NetConn) CloseWriteWithin(limit time.Duration) {
	timer := c.CloseAfter(limit) // TLS sets a deadline of its own, which is longer
	if closeWrite(c.Conn) != nil {
		c.Close()
	}
	timer.Stop()
}

// CloseTimer closes a connection unless it is stopped before.
type CloseTimer struct{ timer *time.Timer } // nil: never

// CloseAfter returns a timer that closes the connection after limit. 0 or less
// means no limit.
func (c *NetConn) CloseAfter(limit time.Duration) CloseTimer {
	if limit <= 0 {
		return CloseTimer{}
	}
	return CloseTimer{time.AfterFunc(limit, func() { c.Close() })}
}

// Stop stops t.
func (t CloseTimer) Stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// Linger reads and discards input until the peer closes its side or limit is
// over, and closes the connection. A plain close with unread input makes the
// kernel send a reset, which can destroy the Close frame on its way to the peer
// (RFC 6455, Section 7.1.1). To send its own closing message, TLS has the same
// time again. 0 or less means no limit. No other goroutine may be reading.
func (c *NetConn) Linger(limit time.Duration) {
	var deadline time.Time
	most := limit
	if limit > 0 {
		deadline = time.Now().Add(limit)
		most = min(limit, math.MaxInt64/2) * 2
	}
	if c.Conn.SetReadDeadline(deadline) != nil {
		most = limit
	}
	timer := c.CloseAfter(most) // the deadline may have no effect
	// Not io.Copy, which would link splice and sendfile into every binary.
	var scrap [512]byte
	for discarded := 0; discarded < maxDiscarded; {
		n, err := c.Conn.Read(scrap[:])
		if err != nil {
			break
		}
		discarded += n
	}
	_ = c.Conn.Close() // it is closed in any case
	timer.Stop()
}
