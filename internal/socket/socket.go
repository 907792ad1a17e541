// Package socket is what client and server do alike with a net.Conn: write
// within a time limit, and close in a way that lets the last frame arrive.
package socket

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"time"
)

// Conn is a net.Conn whose writes are bounded in time. Writes must not overlap;
// the engine's lock sees to that.
type Conn struct {
	net.Conn

	timeout time.Duration
	limit   *Limit // of writes; nil: none
}

// New returns nc with a limit on writes: each may take timeout without progress,
// and a quarter more; 0 or less means no limit. It needs no deadlines of nc, which
// may have none, and which crypto/tls does not survive.
func New(nc net.Conn, timeout time.Duration) *Conn {
	c := &Conn{Conn: nc, timeout: timeout}
	if timeout > 0 {
		const longest = 100 * 365 * 24 * time.Hour // so that no sum overflows
		most := min(timeout, longest)
		// A quarter more, because it cannot be seen that a part of a piece was taken.
		c.limit = NewLimit(most+most/4, func() { Cut(nc) })
	}
	return c
}

// Background runs f on a goroutine of its own. It is what an endpoint that writes
// to a Conn needs, because such a write may wait for the peer.
func Background(f func()) { go f() }

// TimeoutError says that the peer took nothing of a write for the time of the
// limit. It is os.ErrDeadlineExceeded under errors.Is.
type TimeoutError struct {
	After   time.Duration
	Bytes   int // the size of the write, or of the backlog
	Written int // how much of it the system took
}

// Error names the limit, its value and the option that sets it.
func (e *TimeoutError) Error() string {
	return "websocket: the peer does not read: no progress in writing for " + e.After.String() + " (WriteTimeout)"
}

// Timeout reports true, as net.Error has it.
func (e *TimeoutError) Timeout() bool { return true }

// Unwrap returns os.ErrDeadlineExceeded.
func (e *TimeoutError) Unwrap() error { return os.ErrDeadlineExceeded }

// pieceSize is the most, in bytes, that has to be written within one timeout. More
// than that is written in pieces, each of which is progress.
const pieceSize = 32 << 10

// Write writes all of p or fails. After a timeout the connection is closed: the
// peer has part of a frame, and a reader should not wait for a peer that does not
// read.
func (c *Conn) Write(p []byte) (n int, err error) {
	if c.limit == nil {
		return c.writePiece(p)
	}
	for {
		c.limit.Begin()
		m, err := c.writePiece(p[n:min(len(p), n+pieceSize)])
		n += m
		if c.limit.End() && err != nil {
			err = &TimeoutError{After: c.timeout, Bytes: len(p), Written: n}
		}
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// writePiece writes p without a limit.
func (c *Conn) writePiece(p []byte) (n int, err error) {
	n, err = c.Conn.Write(p)
	switch {
	case err != nil && errors.Is(err, os.ErrDeadlineExceeded):
		c.Close() // nc has a limit of its own
	case err == nil && n < len(p):
		err = io.ErrShortWrite // such a net.Conn is wrong, but not to be believed
	}
	return n, err
}

// Close cuts the connection. It does not wait: a TLS connection is cut below TLS,
// because telling the peer could take as long as the peer likes.
func (c *Conn) Close() error {
	err := Cut(c.Conn)
	c.limit.Stop()
	return err
}

// Cut closes nc, or, if nc is a TLS connection, the connection below TLS.
func Cut(nc net.Conn) error {
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		if below := secure.NetConn(); below != nil {
			nc = below
		}
	}
	return nc.Close()
}

// Limit is a time limit for something that happens again and again, such as a
// write. It sets its timer once in that time at most.
type Limit struct {
	time   time.Duration
	expire func()
	moved  func() bool // nil: not known

	mu      sync.Mutex // guards the rest
	since   time.Time  // the beginning, or when it moved last; zero: nothing has begun
	timer   *time.Timer
	armed   bool // timer will fire
	expired bool
}

// NewLimit returns a limit that calls expire, once, when something has begun and
// not ended within d.
func NewLimit(d time.Duration, expire func()) *Limit { return &Limit{time: d, expire: expire} }

// NewMovingLimit is NewLimit for something that may move on before it ends: moved
// reports whether it has since the last call. The limit is on time without that.
func NewMovingLimit(d time.Duration, expire func(), moved func() bool) *Limit {
	return &Limit{time: d, expire: expire, moved: moved}
}

// interval is how often the timer looks.
func (l *Limit) interval() time.Duration {
	if l.moved == nil {
		return l.time
	}
	return max(l.time/4, 1)
}

// Begin starts the time.
func (l *Limit) Begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Now()
	if l.armed {
		return
	}
	l.armed = true
	if l.timer == nil {
		l.timer = time.AfterFunc(l.interval(), l.fire)
	} else {
		l.timer.Reset(l.interval())
	}
}

// End stops the time, and reports whether it was over.
func (l *Limit) End() (expired bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Time{}
	return l.expired
}

// Stop releases the timer, at the end of the connection.
func (l *Limit) Stop() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.armed && l.timer.Stop() {
		l.armed = false
	}
}

// fire looks whether the time is over, and otherwise waits for the rest of it.
func (l *Limit) fire() {
	l.mu.Lock()
	if l.moved != nil && !l.since.IsZero() && l.moved() {
		l.since = time.Now()
	}
	switch left := l.time - time.Since(l.since); {
	case l.since.IsZero():
		l.armed = false
	case left > 0:
		l.timer.Reset(min(left, l.interval()))
	default:
		l.expired = true
	}
	expired := l.expired
	l.mu.Unlock()
	if expired {
		l.expire()
	}
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
		limit := min(wait, math.MaxInt64/2) * 2
		if c.Conn.SetReadDeadline(deadline) != nil {
			limit = wait
		}
		defer time.AfterFunc(limit, func() { c.Close() }).Stop() // the deadline may do nothing
	} else {
		c.Conn.SetReadDeadline(deadline)
	}
	// Not io.Copy, which would bring splice and sendfile into every binary.
	var scrap [512]byte
	for drained := 0; drained < maxDrain; {
		n, err := c.Conn.Read(scrap[:])
		if err != nil {
			break
		}
		drained += n
	}
	_ = c.Conn.Close() // it is closed in any case
	c.limit.Stop()
}
