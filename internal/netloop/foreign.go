package netloop

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// foreignConn is a net.Conn of any type. Only its byte stream is relied on. Its
// calls run on goroutines of their own and can be abandoned.
type foreignConn struct {
	Conn   net.Conn
	reader *reader // nil if only the methods that write are used
	writeLimit

	recovered  Recover
	deadline   deadline         // of a write
	timer      *time.Timer      // of a write; made by the first
	progressed func() bool      // see acknowledged
	chunk      int              // the most bytes that are written at once
	out        *[pieceSize]byte // the goroutine's; nil: no goroutine runs
	size, n    int              // bytes in out, and of them those that are written
	began      time.Time        // the goroutine's start
	write      *detached        // writes out once, n bytes
	failed     error            // why writing ended

	closed  atomic.Bool
	aborted chan struct{} // closed by Close and Abort
}

// The progress of a Write that cannot be interrupted is known when it returns.
// So a connection is written to in chunks, which are small until the connection
// is known to be fast.
const (
	firstChunk = 4 << 10 // bytes; a whole ClientHello or request
	minChunk   = 1 << 10
)

// pieceSize is how many bytes are written at once. It is a record of TLS.
const pieceSize = 16 << 10

// pieces lends memory for a piece.
var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

func newForeignConn(nc net.Conn, recovered Recover) *foreignConn {
	c := &foreignConn{
		Conn:       nc,
		recovered:  recovered,
		progressed: acknowledged(nc),
		chunk:      firstChunk,
		aborted:    make(chan struct{}),
	}
	c.write = newDetached(func() (err error) {
		c.n, err = nc.Write(c.out[:c.size])
		return err
	}, recovered)
	return c
}

func (c *foreignConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// acknowledged returns a function that reports whether the peer of nc, which is
// TLS over a socket, has acknowledged bytes since its last call. It is nil if
// that cannot be known. A write that waits does not see that before a third of
// the socket's buffer is free.
func acknowledged(nc net.Conn) func() bool {
	socket, below := lowest(nc)
	if !below || !isSocket(socket) {
		return nil
	}
	last := -1
	return func() bool {
		before := last
		last = unacknowledged(socket)
		return last >= 0 && last < before
	}
}

// Write writes all of p or fails. After an error all later calls fail too,
// because the goroutine may still be writing.
func (c *foreignConn) Write(p []byte) (int, error) { return c.writeUntil(time.Time{}, p) }

// try writes as much of p as the connection accepts soon. The next call of
// Write or try must begin with the rest.
func (c *foreignConn) try(p []byte) (int, error) {
	n, err := c.writeUntil(time.Now().Add(writeGrace), p)
	if err == errBlocked {
		err = nil
	}
	return n, err
}

// errBlocked says that a write is not complete at its end.
var errBlocked = errors.New("websocket: the write is blocked")

// writeUntil writes p. It returns errBlocked at end, if that is not zero.
func (c *foreignConn) writeUntil(end time.Time, p []byte) (written int, err error) {
	for {
		n, err := c.writeChunk(end, p[written:])
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// writeChunk writes the next bytes of p.
func (c *foreignConn) writeChunk(end time.Time, p []byte) (int, error) {
	over := c.deadline.over()
	switch {
	case c.failed != nil:
		return 0, c.failed
	case isClosed(c.aborted):
		return 0, net.ErrClosed
	case isClosed(over):
		return 0, os.ErrDeadlineExceeded
	}
	if c.out == nil {
		c.out = pieces.Get().(*[pieceSize]byte)
		c.size, c.n = copy(c.out[:c.chunk], p), 0
		c.began = time.Now()
		go c.write.start()
	}
	returned, err := c.await(end, over)
	if !returned && err != errBlocked {
		select {
		case err = <-c.write.done: // at the last moment
			returned = true
			c.late.Store(false)
		default:
			c.failed = err
			c.Abort() // the peer may have half a frame, and the reader should not wait for it
		}
	}
	if !returned {
		return 0, err
	}
	return c.wrote(err)
}

// await waits for the goroutine, and returns its error. If returned is false,
// err is the reason not to wait any longer.
func (c *foreignConn) await(end time.Time, over <-chan struct{}) (returned bool, err error) {
	progress := time.Now()
	wait := c.timeout.After
	switch {
	case !end.IsZero():
		wait = max(end.Sub(progress), 1)
	case c.progressed != nil:
		wait = c.interval()
		c.progressed() // from now on
	}
	var expired <-chan time.Time
	if wait > 0 {
		c.setTimer(wait)
		defer c.timer.Stop()
		expired = c.timer.C
	}
	for {
		select {
		case err = <-c.write.done:
			return true, err
		case <-over:
			return false, os.ErrDeadlineExceeded
		case <-c.aborted:
			// The peer may have read everything, and have closed the connection
			// before the goroutine could report that.
			if end.IsZero() {
				c.setTimer(closeGrace)
			}
			select {
			case err = <-c.write.done:
				return true, err
			case <-c.timer.C:
				return false, net.ErrClosed
			}
		case <-expired:
			if !end.IsZero() {
				return false, errBlocked
			}
			now := time.Now()
			if c.progressed != nil && c.progressed() {
				progress = now
			}
			left := c.timeout.After - now.Sub(progress)
			if left <= 0 {
				c.late.Store(true) // before the effect can be seen
				return false, c.timeout.Err
			}
			c.setTimer(min(left, wait))
		}
	}
}

// setTimer makes the timer fire after wait.
func (c *foreignConn) setTimer(wait time.Duration) {
	if c.timer == nil {
		c.timer = time.NewTimer(wait)
	} else {
		c.timer.Reset(wait)
	}
}

// wrote returns the result of the goroutine, with its error, as that of Write.
func (c *foreignConn) wrote(err error) (int, error) {
	n := c.n
	if n < 0 || n > c.size || err == nil && n < c.size {
		n, err = min(max(n, 0), c.size), io.ErrShortWrite // such a net.Conn is wrong, and not to be believed
	}
	if err != nil && isClosed(c.aborted) {
		err = net.ErrClosed // err is the effect of the abort
	}
	pieces.Put(c.out)
	c.out = nil
	c.adapt(time.Since(c.began))
	c.failed = err
	return n, err
}

// adapt sets the size of chunks such that one needs a small fraction of the
// timeout.
func (c *foreignConn) adapt(took time.Duration) {
	switch timeout := c.timeout.After; {
	case timeout == 0 || took < timeout/64:
		c.chunk = min(c.chunk*2, pieceSize)
	case took > timeout/8:
		c.chunk = max(c.chunk/2, minChunk)
	}
}

func (c *foreignConn) LocalAddr() net.Addr  { return c.Conn.LocalAddr() }
func (c *foreignConn) RemoteAddr() net.Addr { return c.Conn.RemoteAddr() }

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
	return c.SetWriteDeadline(t)
}

// CloseWrite closes the connection for writing, if it can be closed so.
func (c *foreignConn) CloseWrite() error {
	select {
	case err := <-Detach(func() error { return closeWrite(c.Conn) }, c.recovered):
		return err
	case <-c.aborted:
		return net.ErrClosed
	}
}

// Close calls the connection's own Close: TLS sends close_notify. It waits at
// most closeGrace for that.
func (c *foreignConn) Close() error { return c.end(c.Conn.Close, closeGrace) }

// Abort closes the connection below TLS, as far as it can be seen, and then
// that above it, which may have to release something.
func (c *foreignConn) Abort() error { return c.end(c.closeAll, writeGrace) }

func (c *foreignConn) closeAll() error {
	low, below := lowest(c.Conn)
	err := low.Close()
	if below {
		Detach(c.Conn.Close, c.recovered)
	}
	return err
}

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

// end closes the connection by shut, and waits for that no longer than wait.
// Later calls do not wait for the first.
func (c *foreignConn) end(shut func() error, wait time.Duration) error {
	if !c.closed.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	close(c.aborted)
	select {
	case err := <-Detach(shut, c.recovered):
		return err
	case <-time.After(wait):
		// TLS inside may be telling a peer that does not read.
		Detach(func() error {
			low, _ := lowest(c.Conn)
			low.SetDeadline(longAgo)
			return low.Close()
		}, c.recovered)
		return nil
	}
}
