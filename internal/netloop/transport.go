package netloop

import (
	"errors"
	"io"
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

	// SetWriteTimeout bounds the time in which the peer accepts no bytes: then
	// a Write fails with a TimeoutError, and the connection is aborted. 0 or
	// less means no limit, which is the default. It must not be called during
	// another call.
	SetWriteTimeout(timeout time.Duration)

	// TimedOut returns the error of the Write that timed out, nil if none did.
	// TLS that had to write within a Read reports another error.
	TimedOut() *TimeoutError

	// CloseWrite closes the connection for writing, if it can be closed so.
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
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return &systemConn{Conn: nc}
	}
	return newForeignConn(nc, recovered)
}

// bounded returns a timeout from 0, which means none, to one with which no sum
// overflows.
func bounded(timeout time.Duration) time.Duration {
	const longest = 100 * 365 * 24 * time.Hour
	return min(max(timeout, 0), longest)
}

// Over returns tls, a TLS connection that is made over below, as a transport.
func Over(tls net.Conn, below Transport, recovered Recover) Transport {
	return &tlsConn{Conn: tls, reader: newReader(tls, nil, recovered), below: below}
}

// aborter is a transport whose Close aborts. A Conn closes it in place of the
// TLS or foreign connection above.
type aborter struct{ Transport }

func (c aborter) Close() error { return c.Abort() }

// systemConn is a TCP or Unix connection.
type systemConn struct {
	net.Conn

	timeout time.Duration // 0: none
	armed   time.Time     // the write deadline that is set for timeout
	limited bool          // a write deadline was set by SetWriteDeadline
	late    atomic.Pointer[TimeoutError]
}

// Write writes all of p or fails. A blocked Write looks for progress every
// quarter of the timeout.
func (c *systemConn) Write(p []byte) (written int, err error) {
	var progress time.Time
	if c.timeout > 0 {
		progress = time.Now()
		c.arm(progress)
	}
	for {
		var n int
		n, err = c.Conn.Write(p[written:])
		written += n
		if err == nil || c.timeout == 0 || c.limited || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		now := time.Now()
		if n > 0 {
			progress = now
		} else if now.Sub(progress) >= c.timeout {
			late := &TimeoutError{After: c.timeout, Bytes: len(p), Written: written}
			c.late.Store(late) // before the effect can be seen
			c.Abort()
			return written, late
		}
		c.arm(now)
	}
}

// arm sets a write deadline between an eighth and a quarter of the timeout
// away, so that a busy connection sets it rarely.
func (c *systemConn) arm(now time.Time) {
	if c.limited || c.armed.Sub(now) >= c.timeout/8 {
		return
	}
	c.armed = now.Add(c.timeout / 4)
	c.Conn.SetWriteDeadline(c.armed)
}

// SetWriteDeadline sets a deadline in place of the write timeout. It is
// not called while a Write is under way.
func (c *systemConn) SetWriteDeadline(t time.Time) error {
	c.limited, c.armed = !t.IsZero(), time.Time{}
	return c.Conn.SetWriteDeadline(t)
}

func (c *systemConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *systemConn) SetWriteTimeout(timeout time.Duration) { c.timeout = bounded(timeout) }

func (c *systemConn) TimedOut() *TimeoutError { return c.late.Load() }

func (c *systemConn) CloseWrite() error { return closeWrite(c.Conn) }

func (c *systemConn) Abort() error { return c.Close() }

// closeWrite closes nc for writing.
func closeWrite(nc net.Conn) error {
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// tlsConn is a TLS connection over a transport. A Read of TLS may have to
// write, and then waits for the peer, or for a Write that does: it is detached.
type tlsConn struct {
	net.Conn
	*reader
	below Transport
}

func (c *tlsConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func (c *tlsConn) SetReadDeadline(t time.Time) error {
	c.reader.deadline.set(t)
	return nil
}

func (c *tlsConn) SetDeadline(t time.Time) error {
	c.reader.deadline.set(t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *tlsConn) SetWriteTimeout(timeout time.Duration) { c.below.SetWriteTimeout(timeout) }

func (c *tlsConn) TimedOut() *TimeoutError { return c.below.TimedOut() }

func (c *tlsConn) CloseWrite() error { return closeWrite(c.Conn) }

func (c *tlsConn) Abort() error { return c.below.Abort() }

// NetConn returns the connection below TLS.
func (c *tlsConn) NetConn() net.Conn { return aborter{c.below} }

// reader reads on goroutines of its own, so that a Read can be given up. Bytes
// that arrive after that are kept for the next Read.
type reader struct {
	deadline deadline

	from    io.Reader
	recover Recover
	aborted <-chan struct{} // closed when the connection is aborted; may be nil
	buffer  Buffer
	results chan readResult
	start   func() // reads once into p; made once, so that a goroutine costs no closure
	reading bool   // the goroutine runs
	p       []byte // the goroutine's
	rest    []byte // bytes that have been read and not been returned
	err     error  // of the Read after rest
}

type readResult struct {
	n   int
	err error
}

func newReader(from io.Reader, aborted <-chan struct{}, recovered Recover) *reader {
	r := &reader{from: from, recover: recovered, aborted: aborted, results: make(chan readResult, 1)}
	r.start = r.readOnce
	return r
}

func (r *reader) readOnce() {
	var result readResult
	returned := false
	defer func() {
		if !returned {
			result = readResult{0, r.recover(recover())}
		}
		r.results <- result
	}()
	result.n, result.err = r.from.Read(r.p)
	returned = true
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
			r.p = r.buffer.Get(len(p))
			r.reading = true
			go r.start()
		}
		select {
		case result := <-r.results:
			r.reading = false
			if result.n < 0 || result.n > len(r.p) {
				result = readResult{0, errors.New("websocket: the net.Conn read more bytes than it was asked for")}
			}
			if result.err != nil && isClosed(r.aborted) {
				result.err = net.ErrClosed // result.err is the effect of the abort
			}
			r.rest, r.err = r.p[:result.n], result.err
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
