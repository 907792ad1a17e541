package netloop

import (
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/lockorder"
)

// asyncConn is a net.Conn whose Write waits for the peer no longer than
// writeGrace: bytes that the kernel does not accept are buffered, and written
// by a goroutine that lives until the buffer is empty.
//
// A socket, or an end of a net.Pipe, is written to by Write itself, with a
// write deadline of a few milliseconds. Any other net.Conn is foreign, and is
// written to by the goroutine alone: it may be TLS in a struct of the
// application, for which a write deadline that expires is fatal, or have no
// deadlines. Write waits as long for the goroutine.
//
// Under TLS, the asyncConn is below TLS.
type asyncConn struct {
	net.Conn
	timeout time.Duration // without progress in writing; 0 or less: none
	foreign bool          // a write deadline may harm Conn, or have no effect
	limit   *timeLimit    // of the writes to a foreign Conn; nil: none

	recovered Recover // until there is an owner

	buffered atomic.Int64 // size, as the owner knows it
	replying atomic.Bool  // writes are replies to the input that was read last

	mu       lockorder.Socket // guards the rest
	state    endState         // changed by step
	owner    asyncOwner
	size     int        // bytes that Conn has not accepted
	out      *writeBuf  // of them, those of earlier Writes
	caller   []byte     // of them, those of a Write that has not returned
	settling bool       // a Write has not returned: the owner does not know of size
	reported bool       // the owner was told of a buffer that is not empty
	writing  bool       // the goroutine exists
	armed    time.Time  // the write deadline of a socket
	failed   error      // of writing
	changed  *sync.Cond // size, writing or failed has changed; nil until the first waiter
}

// asyncOwner is notified of changes of an asyncConn's write buffer, with its
// lock held.
type asyncOwner interface {
	bufferGrew(by int)
	flushed()
	panicked(value any) error
}

// A Write waits between one and two times writeGrace. It is as long as that so
// that it needs no new deadline each time.
const writeGrace = 2 * time.Millisecond

// pieceSize is how much the goroutine writes at once, in bytes: within the time
// limit it has to be accepted. It is a record of TLS.
const pieceSize = 16 << 10

// pieces lends memory for a piece.
var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

func newAsyncConn(nc net.Conn, timeout time.Duration, recovered Recover) *asyncConn {
	c := &asyncConn{Conn: nc, timeout: timeout, recovered: recovered, state: stateOpen, foreign: !isSocket(nc) && !isPipe(nc)}
	if c.foreign && timeout > 0 {
		c.limit = newTimeLimit(timeout, c.expire, c.acknowledged())
	}
	return c
}

// acknowledged returns a function that reports whether the peer has
// acknowledged bytes since its last call, nil if that cannot be known. A write
// that waits does not see that before a third of the socket's buffer is free.
func (c *asyncConn) acknowledged() func() bool {
	over, ok := c.Conn.(interface{ NetConn() net.Conn })
	if !ok {
		return nil
	}
	socket, last := over.NetConn(), -1
	if !isSocket(socket) {
		return nil
	}
	return func() bool {
		before := last
		last = unacknowledged(socket)
		return last >= 0 && last < before
	}
}

// isPipe reports whether nc is an end of a net.Pipe. Its type has no exported
// name, and making a pipe to compare with would link pipes into every program.
func isPipe(nc net.Conn) bool { return reflect.TypeOf(nc).String() == "*net.pipe" }

// isSocket reports whether nc is a socket of package net.
func isSocket(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// setOwner has o notified of the write buffer from now on.
func (c *asyncConn) setOwner(o asyncOwner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner = o
	if n := int(c.buffered.Load()); n > 0 {
		o.bufferGrew(n)
	}
}

// Read reads from the peer. Writes afterwards are replies, until the next Read:
// TLS replies by itself, inside its own Read.
func (c *asyncConn) Read(p []byte) (int, error) {
	c.replying.Store(false)
	n, err := c.Conn.Read(p)
	c.replying.Store(true)
	return n, err
}

// Write writes all of p or fails.
func (c *asyncConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	if !c.state.writes() {
		return 0, net.ErrClosed
	}
	began := time.Now()
	switch {
	case c.writing:
		c.keepCaller()
		c.enqueue(p)
	case c.foreign:
		c.writeByGoroutine(p, began)
		if c.failed != nil {
			return 0, c.failed
		}
	default:
		n, err := c.try(p, began)
		if err != nil {
			c.fail(err)
			return n, err
		}
		if n < len(p) {
			c.enqueue(p[n:])
			c.writing = true
			go c.write(began)
		}
	}
	return len(p), nil
}

// try writes to a socket as much as it accepts soon. The caller holds mu.
func (c *asyncConn) try(p []byte, now time.Time) (n int, err error) {
	if c.armed.Sub(now) < writeGrace {
		c.armed = now.Add(2 * writeGrace)
		c.Conn.SetWriteDeadline(c.armed)
	}
	n, err = c.Conn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}

// writeByGoroutine has p written by the goroutine, and waits until that has
// done it, but no longer than writeGrace. The caller holds mu, which is given
// up meanwhile.
func (c *asyncConn) writeByGoroutine(p []byte, now time.Time) {
	c.caller, c.size = p, len(p)
	c.settling, c.writing = true, true
	go c.write(now)
	grace := time.AfterFunc(writeGrace, c.wakeAll)
	for c.writing && c.failed == nil && time.Since(now) < writeGrace {
		c.wait()
	}
	grace.Stop()
	c.settling = false
	c.keepCaller()
	c.notify()
}

// enqueue adds p to the write buffer. The caller holds mu.
func (c *asyncConn) enqueue(p []byte) {
	c.out = c.out.add(p)
	c.size += len(p)
	c.notify()
}

// keepCaller copies the unwritten bytes of a Write that will return. The caller
// holds mu.
func (c *asyncConn) keepCaller() {
	if len(c.caller) > 0 {
		c.out = c.out.add(c.caller)
	}
	c.caller = nil // an empty slice too keeps the caller's buffer in memory
}

// notify notifies the owner of a change of the write buffer. The caller holds
// mu.
func (c *asyncConn) notify() {
	by := c.size - int(c.buffered.Load())
	if c.settling || by == 0 {
		return
	}
	c.buffered.Add(int64(by))
	c.reported = true
	if c.owner != nil {
		c.owner.bufferGrew(by)
	}
}

// write writes the buffer. Its goroutine is the only writer. No byte has been
// accepted since began.
func (c *asyncConn) write(began time.Time) {
	piece := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	returned := false
	defer func() {
		if !returned { // a method of Conn has panicked, or ended the goroutine
			c.giveUp(c.panicked(recover()))
		}
	}()
	for {
		n := c.next(piece[:])
		if n == 0 {
			if c.flush() {
				if err := c.closeWrite(); err != nil {
					c.giveUp(err)
				}
			}
			if c.finish() {
				continue
			}
			break
		}
		if err := c.writePiece(piece[:n], began); err != nil {
			c.giveUp(err)
			break
		}
		began = time.Now()
	}
	returned = true
}

// panicked returns the error for a method of Conn that did not return.
func (c *asyncConn) panicked(value any) error {
	if c.owner == nil {
		return c.recovered(value)
	}
	return c.owner.panicked(value)
}

// next copies the next bytes to be written to piece, and returns their number:
// 0 if there are none.
func (c *asyncConn) next(piece []byte) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out != nil {
		n = copy(piece, c.out.bytes())
		c.out = c.out.take(n)
		return n
	}
	n = copy(piece, c.caller)
	c.caller = c.caller[n:]
	return n
}

// writePiece writes p. Some of it has to be accepted within the time limit,
// again and again.
func (c *asyncConn) writePiece(p []byte, began time.Time) error {
	if c.foreign {
		return c.writeForeign(p)
	}
	for len(p) > 0 {
		n, err := c.writeUntil(p, began.Add(c.timeout))
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			// The kernel reports that a socket can be written to when a third
			// of its buffer is free, but accepts bytes before.
			n, err = c.writeUntil(p, time.Now().Add(writeGrace))
		}
		p, began = p[n:], time.Now()
		c.accepted(n)
		if err != nil && !(n > 0 && errors.Is(err, os.ErrDeadlineExceeded)) { // else it reads, if slowly
			return err
		}
	}
	return nil
}

// writeUntil writes to a socket, until the deadline if there is a time limit.
func (c *asyncConn) writeUntil(p []byte, deadline time.Time) (int, error) {
	if c.timeout <= 0 {
		deadline = time.Time{}
	}
	c.Conn.SetWriteDeadline(deadline)
	return c.Conn.Write(p)
}

// writeForeign is writePiece for a foreign Conn: it must accept all of p.
func (c *asyncConn) writeForeign(p []byte) error {
	if c.limit != nil {
		c.limit.begin()
		defer c.limit.end()
	}
	n, err := c.Conn.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite // such a net.Conn is wrong, but not to be believed
	}
	c.accepted(len(p))
	return err
}

// accepted notes that Conn has accepted n more bytes.
func (c *asyncConn) accepted(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.size -= n
		c.notify()
		c.wake()
	}
}

// step changes the state as endTable says, and returns the actions. The caller
// holds mu.
func (c *asyncConn) step(ev endEvent) endAction {
	t := endTable[c.state][ev]
	if t.next == 0 {
		return 0
	}
	c.state = t.next
	return t.do
}

// flush records that the buffer is empty, and reports whether to close the
// connection for writing.
func (c *asyncConn) flush() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size == 0 && c.failed == nil && c.step(eventFlushed)&doCloseWrite != 0
}

// finish ends the goroutine if there are no bytes to be written: it reports
// whether there are.
func (c *asyncConn) finish() (more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.size > 0 || c.state == stateFlushing && c.failed == nil {
		return true
	}
	c.writing, c.armed = false, time.Time{}
	c.wake()
	if c.reported && c.failed == nil {
		c.reported = false
		if c.owner != nil {
			c.owner.flushed()
		}
	}
	return false
}

// giveUp closes the connection, because writing has failed by err.
func (c *asyncConn) giveUp(err error) {
	c.mu.Lock()
	if errors.Is(err, os.ErrDeadlineExceeded) && !c.foreign {
		err = &TimeoutError{After: c.timeout, Bytes: c.size}
	}
	c.writing = false
	c.fail(err)
	c.mu.Unlock()
	c.abort() // the reader should not wait for a peer that does not read
}

// expire is called when a foreign Conn has accepted no byte within the time
// limit.
func (c *asyncConn) expire() { c.giveUp(&TimeoutError{After: c.timeout, Bytes: c.bufferSize()}) }

// bufferSize returns the size of the write buffer in bytes.
func (c *asyncConn) bufferSize() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// fail makes every write fail. The caller holds mu.
func (c *asyncConn) fail(err error) {
	if c.failed == nil {
		c.failed = err
	}
	c.out.free()
	c.out, c.caller, c.size = nil, nil, 0
	c.limit.stop()
	c.notify()
	c.wake()
}

// wait returns when something has changed. The caller holds mu.
func (c *asyncConn) wait() {
	if c.changed == nil {
		c.changed = sync.NewCond(&c.mu)
	}
	c.changed.Wait()
}

// wake wakes all waiters. The caller holds mu.
func (c *asyncConn) wake() {
	if c.changed != nil {
		c.changed.Broadcast()
	}
}

// failure returns why writing failed, nil if it has not, or because the
// connection was closed.
func (c *asyncConn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == net.ErrClosed {
		return nil
	}
	return c.failed
}

// await returns when enough reports true for the size of the write buffer, or
// the connection cannot be written to any more.
func (c *asyncConn) await(enough func(buffered int) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.failed == nil && !enough(int(c.buffered.Load())) {
		c.wait()
	}
}

// awaitFlushed returns when the write buffer is empty, the owner knows that,
// and done reports true, or the connection cannot be written to any more.
func (c *asyncConn) awaitFlushed(done func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.failed == nil && (c.writing || !done()) {
		c.wait()
	}
}

// wakeAll wakes all waiters.
func (c *asyncConn) wakeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake()
}

// SetWriteDeadline has no effect: Write does not wait. TLS sets a deadline when
// it closes, and one in the past afterwards.
func (c *asyncConn) SetWriteDeadline(time.Time) error { return nil }

// CloseWrite closes the connection for writing, after the buffer was written.
func (c *asyncConn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	c.step(eventCloseWrite)
	switch {
	case c.writing, c.state != stateFlushing: // else the goroutine does it, or it is done
	case c.foreign:
		c.writing = true
		go c.write(time.Now())
	case c.step(eventFlushed)&doCloseWrite != 0:
		return c.closeWrite()
	}
	return nil
}

// finished reports whether CloseWrite has been called and all output, with FIN,
// is written.
func (c *asyncConn) finished() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateLingering && !c.writing && c.failed == nil
}

// closeWrite calls CloseWrite, or Close for a net.Conn without it.
func (c *asyncConn) closeWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	switch {
	case ok:
		return half.CloseWrite()
	case c.foreign:
		return c.abort()
	}
	return c.Conn.Close()
}

// Close closes the connection. The buffer is discarded.
func (c *asyncConn) Close() error {
	err := c.abort() // first, because a Write that waits has the lock
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step(eventAbort)
	c.fail(net.ErrClosed)
	return err
}

// abort closes Conn, below TLS if it is TLS. It does not wait for a foreign
// Close, which may block as that of crypto/tls does.
func (c *asyncConn) abort() error {
	nc := c.Conn
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = secure.NetConn()
	}
	if isSocket(nc) {
		return nc.Close()
	}
	c.mu.Lock()
	first := c.step(eventAbort) != 0
	c.mu.Unlock()
	if !first {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			if !returned {
				done <- c.panicked(recover())
			}
		}()
		done <- nc.Close()
		returned = true
	}()
	grace := time.NewTimer(writeGrace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		return nil
	}
}

// AsyncListener returns ln with connections that TLS can use: a Write of them
// does not wait for the peer. timeout is that of Config.WriteTimeout. recovered
// returns the error of a net.Conn's method that does not return, for a connection
// that is not served yet.
func AsyncListener(ln net.Listener, timeout time.Duration, recovered Recover) net.Listener {
	return asyncListener{ln, timeout, recovered}
}

type asyncListener struct {
	net.Listener
	timeout   time.Duration
	recovered Recover
}

func (l asyncListener) Accept() (net.Conn, error) {
	setNonblock(l.Listener)
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newAsyncConn(nc, l.timeout, l.recovered), nil
}
