package netloop

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// foreignConn is a net.Conn of any type. Only its byte stream is relied on. Its
// calls run on goroutines of their own and can be abandoned.
type foreignConn struct {
	net.Conn
	*reader

	timeout  time.Duration // of a write; 0: none
	deadline deadline      // of a write
	timer    *time.Timer   // of a write; made by the first
	chunk    int           // the most bytes that are written at once
	out      []byte        // the chunk that the goroutine writes
	results  chan writeResult
	start    func() // writes out; made once, so that a goroutine costs no closure
	failed   error  // why writing ended
	late     atomic.Pointer[TimeoutError]

	closed  atomic.Bool
	aborted chan struct{} // closed by Close and Abort
}

type writeResult struct {
	n   int
	err error
}

// The progress of a Write that cannot be interrupted is known when it returns.
// So a connection is written to in chunks, which are small until the connection
// is known to be fast.
const (
	maxChunk   = 32 << 10 // bytes
	firstChunk = 4 << 10  // a whole ClientHello or request
	minChunk   = 1 << 10
)

func newForeignConn(nc net.Conn, recovered Recover) *foreignConn {
	c := &foreignConn{
		Conn:    nc,
		chunk:   firstChunk,
		results: make(chan writeResult, 1),
		aborted: make(chan struct{}),
	}
	c.reader = newReader(nc, c.aborted, recovered)
	c.start = c.writeOnce
	return c
}

func (c *foreignConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func (c *foreignConn) writeOnce() {
	var result writeResult
	returned := false
	defer func() {
		if !returned {
			result = writeResult{0, c.recover(recover())}
		}
		c.results <- result
	}()
	result.n, result.err = c.Conn.Write(c.out)
	returned = true
}

// Write writes all of p or fails. After an error all later calls fail too,
// because the goroutine may still be writing.
func (c *foreignConn) Write(p []byte) (written int, err error) {
	for {
		n, err := c.writeChunk(p, written)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// writeChunk writes the next bytes of p, from offset written on.
func (c *foreignConn) writeChunk(p []byte, written int) (int, error) {
	over := c.deadline.over()
	switch {
	case c.failed != nil:
		return 0, c.failed
	case isClosed(c.aborted):
		return 0, net.ErrClosed
	case isClosed(over):
		return 0, os.ErrDeadlineExceeded
	}
	c.out = append(c.out[:0], p[written:min(len(p), written+c.chunk)]...)
	var late <-chan time.Time
	var began time.Time
	if c.timeout > 0 {
		began = time.Now()
		if c.timer == nil {
			c.timer = time.NewTimer(c.timeout)
		} else {
			c.timer.Reset(c.timeout)
		}
		defer c.timer.Stop()
		late = c.timer.C
	}
	go c.start()
	select {
	case result := <-c.results:
		return c.wrote(result, began)
	case <-late:
		late := &TimeoutError{After: c.timeout, Bytes: len(p), Written: written}
		c.failed = late
		c.late.Store(late) // before the effect can be seen
	case <-over:
		c.failed = os.ErrDeadlineExceeded
	case <-c.aborted:
		// The peer may have read everything, and have closed the connection
		// before the goroutine could report that.
		grace := time.NewTimer(closeGrace)
		defer grace.Stop()
		select {
		case result := <-c.results:
			return c.wrote(result, began)
		case <-grace.C:
		}
		c.failed = net.ErrClosed
	}
	select {
	case result := <-c.results: // at the last moment
		c.failed = nil
		c.late.Store(nil)
		return c.wrote(result, began)
	default:
	}
	c.Abort() // the peer may have half a frame, and the reader should not wait for it
	return 0, c.failed
}

// wrote returns the result of the goroutine as that of Write.
func (c *foreignConn) wrote(result writeResult, began time.Time) (int, error) {
	n, err := result.n, result.err
	if n < 0 || n > len(c.out) || err == nil && n < len(c.out) {
		n, err = min(max(n, 0), len(c.out)), io.ErrShortWrite // such a net.Conn is wrong, and not to be believed
	}
	if err != nil && isClosed(c.aborted) {
		err = net.ErrClosed // err is the effect of the abort
	}
	if c.timeout > 0 {
		c.adapt(time.Since(began))
	}
	c.failed = err
	return n, err
}

// adapt sets the size of chunks such that one needs a small fraction of the
// timeout.
func (c *foreignConn) adapt(took time.Duration) {
	switch {
	case took > c.timeout/8:
		c.chunk = max(c.chunk/2, minChunk)
	case took < c.timeout/64:
		c.chunk = min(c.chunk*2, maxChunk)
	}
}

func (c *foreignConn) SetReadDeadline(t time.Time) error {
	c.reader.deadline.set(t)
	return nil
}

func (c *foreignConn) SetWriteDeadline(t time.Time) error {
	c.deadline.set(t)
	return nil
}

func (c *foreignConn) SetDeadline(t time.Time) error {
	c.reader.deadline.set(t)
	c.deadline.set(t)
	return nil
}

// SetWriteTimeout sets the time limit of a write.
func (c *foreignConn) SetWriteTimeout(timeout time.Duration) { c.timeout = bounded(timeout) }

// TimedOut returns the error of the Write that timed out.
func (c *foreignConn) TimedOut() *TimeoutError { return c.late.Load() }

// CloseWrite closes the connection for writing, if it can be closed so.
func (c *foreignConn) CloseWrite() error {
	select {
	case err := <-Detach(func() error { return closeWrite(c.Conn) }, c.recover):
		return err
	case <-c.aborted:
		return net.ErrClosed
	}
}

// Close calls the connection's own Close: TLS sends close_notify. It waits at
// most closeGrace for that.
func (c *foreignConn) Close() error { return c.end(c.Conn.Close) }

// Abort closes the connection below TLS, as far as it can be seen, and then
// that above it, which may have to release something.
func (c *foreignConn) Abort() error {
	return c.end(func() error {
		low, below := lowest(c.Conn)
		err := low.Close()
		if below {
			Detach(c.Conn.Close, c.recover)
		}
		return err
	})
}

// NetConn returns c with a Close that sends nothing.
func (c *foreignConn) NetConn() net.Conn { return aborter{c} }

// lowest returns the connection below all TLS that reveals it, and whether that
// is not nc itself.
func lowest(nc net.Conn) (low net.Conn, below bool) {
	const most = 16 // layers; a connection may return itself
	for range most {
		tls, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		next := tls.NetConn()
		if next == nil {
			break
		}
		nc, below = next, true
	}
	return nc, below
}

// closeGrace is the longest wait for the Close of a foreign connection, and
// after it for a Write.
const closeGrace = 100 * time.Millisecond

// end closes the connection by shut. Later calls do not wait for the first.
func (c *foreignConn) end(shut func() error) error {
	if !c.closed.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	close(c.aborted)
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case err := <-Detach(shut, c.recover):
		return err
	case <-grace.C:
		// TLS inside may be telling a peer that does not read.
		Detach(func() error {
			low, _ := lowest(c.Conn)
			low.SetDeadline(longAgo)
			return low.Close()
		}, c.recover)
		return nil
	}
}
