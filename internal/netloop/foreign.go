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
	Conn net.Conn
	writeLimit

	recovered Recover
	chunk     int        // the most bytes that are written at once
	failed    error      // why writing ended
	calls     *sync.Pool // lends values of *foreignCall

	closed atomic.Bool
	call   atomic.Pointer[foreignCall] // of the writer; nil: none runs
	client *foreignClient              // nil if only the methods that write are used
}

// foreignClient is the part of a foreignConn that only a client's Transport
// needs.
type foreignClient struct {
	deadline deadline // of a write
	reader   *reader
	aborted  chan struct{} // closed by Close and Abort
}

// foreignCall is a call of a net.Conn's Write or CloseWrite. It is lent for the
// time of the call, so that an idle connection has none.
type foreignCall struct {
	*detached
	conn    net.Conn
	out     [pieceSize]byte // the goroutine's
	size, n int             // bytes in out, and of them those that are written
	fin     bool            // the call is one of CloseWrite
	began   time.Time       // the goroutine's start
	timer   *time.Timer     // stopped between calls
	aborted chan struct{}   // Close and Abort send a value, possibly one of an earlier call
}

// newForeignCalls returns a pool of foreignCalls. They hold channels: a pool
// must not be shared by the bubbles of package synctest.
func newForeignCalls() *sync.Pool {
	return &sync.Pool{New: func() any {
		call := &foreignCall{timer: time.NewTimer(0), aborted: make(chan struct{}, 1)}
		call.timer.Stop()
		call.detached = newDetached(call.do, nil)
		return call
	}}
}

func (call *foreignCall) do() (err error) {
	if call.fin {
		return closeWrite(call.conn)
	}
	call.n, err = call.conn.Write(call.out[:call.size])
	return err
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

func newForeignConn(nc net.Conn, calls *sync.Pool, recovered Recover) *foreignConn {
	return &foreignConn{Conn: nc, recovered: recovered, chunk: firstChunk, calls: calls}
}

// newForeignTransport returns a foreignConn with the methods of a Transport.
func newForeignTransport(nc net.Conn, recovered Recover) *foreignConn {
	aborted := make(chan struct{})
	c := newForeignConn(nc, newForeignCalls(), recovered)
	c.client = &foreignClient{reader: newReader(nc, aborted, recovered), aborted: aborted}
	return c
}

func (c *foreignConn) Read(p []byte) (int, error) { return c.client.reader.Read(p) }

// lowestSocket returns the socket below nc if nc is TLS, nil if nc is not or
// nothing is known of the socket. A write that waits does not see progress
// before a third of the socket's buffer is free.
func lowestSocket(nc net.Conn) net.Conn {
	socket, below := lowest(nc)
	if !below || !isSocket(socket) {
		return nil
	}
	return socket
}

// start starts the writer's next call: a Write of up to c.chunk bytes of p or,
// if fin is true, CloseWrite.
func (c *foreignConn) start(p []byte, fin bool) *foreignCall {
	call := c.calls.Get().(*foreignCall)
	call.conn, call.recovered, call.fin = c.Conn, c.recovered, fin
	call.size, call.n = copy(call.out[:c.chunk], p), 0
	call.began = time.Now()
	c.call.Store(call)
	go call.start()
	return call
}

// release gives back the call, which has returned.
func (c *foreignConn) release(call *foreignCall) {
	c.call.Store(nil)
	call.conn, call.recovered = nil, nil
	c.calls.Put(call)
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
	var over <-chan struct{}
	if c.client != nil {
		over = c.client.deadline.over()
	}
	switch {
	case c.failed != nil:
		return 0, c.failed
	case c.closed.Load():
		return 0, net.ErrClosed
	case isClosed(over):
		return 0, os.ErrDeadlineExceeded
	}
	call := c.call.Load()
	if call == nil {
		call = c.start(p, false)
	}
	returned, err := c.await(call, end, over)
	if !returned && err != errBlocked {
		select {
		case err = <-call.done: // at the last moment
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
	return c.wrote(call, err)
}

// await waits for the call, and returns its error. If returned is false, err is
// the reason not to wait any longer.
func (c *foreignConn) await(call *foreignCall, end time.Time, over <-chan struct{}) (returned bool, err error) {
	progress := time.Now()
	wait := c.timeout.After
	var socket net.Conn // whose acknowledgements are progress; may be nil
	left := -1          // bytes that the peer has not acknowledged
	if !end.IsZero() {
		wait = max(end.Sub(progress), 1)
	} else if socket = lowestSocket(c.Conn); socket != nil {
		wait = c.interval()
		left = unacknowledged(socket)
	}
	if wait > 0 {
		call.timer.Reset(wait)
	}
	defer call.timer.Stop()
	for !c.closed.Load() {
		select {
		case err = <-call.done:
			return true, err
		case <-over:
			return false, os.ErrDeadlineExceeded
		case <-call.aborted:
			continue
		case <-call.timer.C:
		}
		if !end.IsZero() {
			return false, errBlocked
		}
		now := time.Now()
		if socket != nil {
			before := left
			if left = unacknowledged(socket); left >= 0 && left < before {
				progress = now
			}
		}
		rest := c.timeout.After - now.Sub(progress)
		if rest <= 0 {
			c.late.Store(true) // before the effect can be seen
			return false, c.timeout.Err
		}
		call.timer.Reset(min(rest, wait))
	}
	// The peer may have read everything, and have closed the connection before
	// the goroutine could report that.
	if end.IsZero() {
		call.timer.Reset(closeGrace)
	}
	select {
	case err = <-call.done:
		return true, err
	case <-call.timer.C:
		return false, net.ErrClosed
	}
}

// wrote returns the result of the call, with its error, as that of Write.
func (c *foreignConn) wrote(call *foreignCall, err error) (int, error) {
	n := call.n
	if n < 0 || n > call.size || err == nil && n < call.size {
		n, err = min(max(n, 0), call.size), io.ErrShortWrite // such a net.Conn is wrong, and not to be believed
	}
	if err != nil && c.closed.Load() {
		err = net.ErrClosed // err is the effect of the abort
	}
	c.adapt(time.Since(call.began))
	c.release(call)
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
	c.client.reader.deadline.set(t)
	return nil
}

func (c *foreignConn) SetWriteDeadline(t time.Time) error {
	c.client.deadline.set(t)
	return nil
}

func (c *foreignConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// CloseWrite closes the connection for writing, if it can be closed so. All
// writes have returned.
func (c *foreignConn) CloseWrite() error {
	call := c.start(nil, true)
	for !c.closed.Load() {
		select {
		case err := <-call.done:
			c.release(call)
			return err
		case <-call.aborted:
		}
	}
	return net.ErrClosed
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
	if call := c.call.Load(); call != nil {
		select {
		case call.aborted <- struct{}{}:
		default:
		}
	}
	if c.client != nil {
		close(c.client.aborted)
	}
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

// foreignTLS is a foreignConn that carries plaintext over below, which knows the
// progress of writes.
type foreignTLS struct {
	*foreignConn
	below Transport
}

// Write writes all of p or fails. TLS may wrap the error of a timeout.
func (c *foreignTLS) Write(p []byte) (int, error) {
	n, err := c.foreignConn.Write(p)
	if late := c.TimedOut(); err != nil && late != nil {
		err = late
	}
	return n, err
}

func (c *foreignTLS) SetWriteTimeout(limit WriteTimeout) { c.below.SetWriteTimeout(limit) }

func (c *foreignTLS) TimedOut() error { return c.below.TimedOut() }

// Close closes the TLS connection, and below, which TLS may have left open.
func (c *foreignTLS) Close() error {
	err := c.foreignConn.Close()
	c.below.Abort()
	return err
}

func (c *foreignTLS) Abort() error {
	err := c.below.Abort()
	c.foreignConn.Abort()
	return err
}
