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
type NetConn struct{ net.Conn }

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
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || c.within(limit, half.CloseWrite) != nil {
		c.Close()
	}
}

// within closes the connection if f, which closes it in some way, does not
// return within limit. TLS sets deadlines of its own there, which are longer.
func (c *NetConn) within(limit time.Duration, f func() error) error {
	if limit > 0 {
		defer time.AfterFunc(limit, func() { c.Close() }).Stop()
	}
	return f()
}

// Linger reads and discards input until the peer closes its side or limit is
// over, and closes the connection. A plain close with unread input makes the
// kernel send a reset, which can destroy the Close frame on its way to the peer
// (RFC 6455, Section 7.1.1). To send its own closing message, TLS has the same
// time again. 0 or less means no limit. No other goroutine may be reading.
func (c *NetConn) Linger(limit time.Duration) {
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
		most := min(limit, math.MaxInt64/2) * 2
		if c.Conn.SetReadDeadline(deadline) != nil {
			most = limit
		}
		defer time.AfterFunc(most, func() { c.Close() }).Stop() // the deadline may have no effect
	} else {
		c.Conn.SetReadDeadline(deadline)
	}
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
}
