package server

import (
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/socket"
)

// promptConn is a net.Conn whose Write does not wait for the peer, or not for
// long: the bytes that the system does not take are buffered, and written by a
// goroutine that lives until the buffer is empty.
//
// A socket, or an end of a net.Pipe, is written to by Write itself, with a write
// deadline of a few milliseconds. Any other net.Conn is foreign, and is written to
// by the goroutine alone: it may be TLS in a struct of somebody else, for which a
// write deadline that expires is fatal, or have no deadlines. Write waits as long
// for the goroutine.
//
// Where the server puts TLS on a connection, the promptConn lies under it.
type promptConn struct {
	net.Conn
	timeout time.Duration // without progress in writing; 0 or less: none
	foreign bool          // a write deadline may harm Conn, or do nothing
	limit   *socket.Limit // of the writes to a foreign Conn; nil: none

	waiting   atomic.Int64 // size, as the owner knows it
	answering atomic.Bool  // writes are answers to what was read last

	mu       sync.Mutex // guards the rest
	owner    owner
	size     int        // bytes that Conn has not taken
	backlog  *backlog   // of them, those of earlier Writes
	caller   []byte     // of them, those of a Write that has not returned
	settling bool       // a Write has not returned: the owner does not know of size
	told     bool       // the owner knows of a backlog
	writing  bool       // the goroutine exists
	half     bool       // it closes for writing at the end
	closed   bool       // Close was called
	armed    time.Time  // the write deadline of a socket
	failed   error      // of writing
	changed  *sync.Cond // size has changed, or writing, or failed; nil: nobody ever waited for that
}

// owner is told about the backlog of a promptConn, with the lock of that.
type owner interface {
	backlogged(by int)
	drained()
	caught(value any) *PanicError
}

// A Write waits between one and two times promptness. It is as long as that so that
// it needs no new deadline each time.
const promptness = 2 * time.Millisecond

// pieceSize is how much the goroutine writes at once, in bytes: within the time
// limit it has to be taken. It is a record of TLS.
const pieceSize = 16 << 10

// pieces lends room for a piece.
var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

func newPromptConn(nc net.Conn, timeout time.Duration) *promptConn {
	c := &promptConn{Conn: nc, timeout: timeout, foreign: !isSocket(nc) && reflect.TypeOf(nc) != pipeType}
	if c.foreign && timeout > 0 {
		c.limit = socket.NewMovingLimit(timeout, c.expire, c.moved())
	}
	return c
}

// moved returns a function that reports whether the peer has acknowledged bytes
// since its last call, nil if that cannot be known. A write that waits does not see
// that before a third of the socket's buffer is free.
func (c *promptConn) moved() func() bool {
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
		last = queued(socket)
		return last >= 0 && last < before
	}
}

// pipeType is the type of what net.Pipe returns.
var pipeType = func() reflect.Type {
	end, _ := net.Pipe()
	return reflect.TypeOf(end)
}()

// isSocket reports whether nc is a socket of package net.
func isSocket(nc net.Conn) bool {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// ownedBy has o told about the backlog from now on.
func (c *promptConn) ownedBy(o owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner = o
	if n := int(c.waiting.Load()); n > 0 {
		o.backlogged(n)
	}
}

// Read reads from the peer. What is written afterwards is an answer, until the next
// Read: TLS answers by itself, inside its own Read.
func (c *promptConn) Read(p []byte) (int, error) {
	c.answering.Store(false)
	n, err := c.Conn.Read(p)
	c.answering.Store(true)
	return n, err
}

// Write takes all of p, or fails.
func (c *promptConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	began := time.Now()
	switch {
	case c.writing:
		c.keepCaller()
		c.keep(p)
	case c.foreign:
		c.writeElsewhere(p, began)
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
			c.keep(p[n:])
			c.writing = true
			go c.write(began)
		}
	}
	return len(p), nil
}

// try writes to a socket what it takes soon. The caller holds mu.
func (c *promptConn) try(p []byte, now time.Time) (n int, err error) {
	if c.armed.Sub(now) < promptness {
		c.armed = now.Add(2 * promptness)
		c.Conn.SetWriteDeadline(c.armed)
	}
	n, err = c.Conn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}

// writeElsewhere has p written by the goroutine, and waits for a moment until that
// has done it. The caller holds mu, which is given up meanwhile.
func (c *promptConn) writeElsewhere(p []byte, now time.Time) {
	c.caller, c.size = p, len(p)
	c.settling, c.writing = true, true
	go c.write(now)
	moment := time.AfterFunc(promptness, c.wakeAll)
	for c.writing && c.failed == nil && time.Since(now) < promptness {
		c.wait()
	}
	moment.Stop()
	c.settling = false
	c.keepCaller()
	c.tell()
}

// keep adds p to the backlog. The caller holds mu.
func (c *promptConn) keep(p []byte) {
	c.backlog = c.backlog.add(p)
	c.size += len(p)
	c.tell()
}

// keepCaller copies what is left of a Write that will return. The caller holds mu.
func (c *promptConn) keepCaller() {
	if len(c.caller) > 0 {
		c.backlog = c.backlog.add(c.caller)
	}
	c.caller = nil // an empty slice too keeps the caller's buffer in memory
}

// tell tells the owner how the backlog has changed. The caller holds mu.
func (c *promptConn) tell() {
	by := c.size - int(c.waiting.Load())
	if c.settling || by == 0 {
		return
	}
	c.waiting.Add(int64(by))
	c.told = true
	if c.owner != nil {
		c.owner.backlogged(by)
	}
}

// write writes the backlog, as the one goroutine that writes meanwhile. Nothing has
// been taken since began.
func (c *promptConn) write(began time.Time) {
	room := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(room)
	returned := false
	defer func() {
		if !returned { // a method of Conn has panicked, or ended the goroutine
			c.giveUp(c.owner.caught(recover()))
		}
	}()
	for {
		n := c.next(room[:])
		if n == 0 {
			if c.takeHalf() {
				if err := c.closeWrite(); err != nil {
					c.giveUp(err)
				}
			}
			if c.finish() {
				continue
			}
			break
		}
		if err := c.writePiece(room[:n], began); err != nil {
			c.giveUp(err)
			break
		}
		began = time.Now()
	}
	returned = true
}

// next copies to room what is to be written, and returns its size: 0 if there is no
// more.
func (c *promptConn) next(room []byte) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.backlog != nil {
		n = copy(room, c.backlog.rest())
		c.backlog = c.backlog.take(n)
		return n
	}
	n = copy(room, c.caller)
	c.caller = c.caller[n:]
	return n
}

// writePiece writes p. Something of it has to be taken within the time limit, again
// and again.
func (c *promptConn) writePiece(p []byte, began time.Time) error {
	if c.foreign {
		return c.writeForeign(p)
	}
	for len(p) > 0 {
		n, err := c.writeUntil(p, began.Add(c.timeout))
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			// The system says that a socket can be written to when a third of
			// its buffer is free, but takes what there is room for before.
			n, err = c.writeUntil(p, time.Now().Add(promptness))
		}
		p, began = p[n:], time.Now()
		c.taken(n)
		if err != nil && !(n > 0 && errors.Is(err, os.ErrDeadlineExceeded)) { // else it reads, if slowly
			return err
		}
	}
	return nil
}

// writeUntil writes to a socket, until the deadline if there is a time limit.
func (c *promptConn) writeUntil(p []byte, deadline time.Time) (int, error) {
	if c.timeout <= 0 {
		deadline = time.Time{}
	}
	c.Conn.SetWriteDeadline(deadline)
	return c.Conn.Write(p)
}

// writeForeign is writePiece for what is no socket: all of p has to be taken.
func (c *promptConn) writeForeign(p []byte) error {
	if c.limit != nil {
		c.limit.Begin()
		defer c.limit.End()
	}
	n, err := c.Conn.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite // such a net.Conn is wrong, but not to be believed
	}
	c.taken(len(p))
	return err
}

// taken notes that Conn has taken n bytes more.
func (c *promptConn) taken(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.size -= n
		c.tell()
		c.wake()
	}
}

// takeHalf reports whether it is time to close for writing.
func (c *promptConn) takeHalf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	half := c.half && c.size == 0 && c.failed == nil
	if half {
		c.half = false
	}
	return half
}

// finish ends the goroutine, if there is nothing to be written: it reports whether
// there is.
func (c *promptConn) finish() (more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.size > 0 || c.half && c.failed == nil {
		return true
	}
	c.writing, c.armed = false, time.Time{}
	c.wake()
	if c.told && c.failed == nil {
		c.told = false
		if c.owner != nil {
			c.owner.drained()
		}
	}
	return false
}

// giveUp closes the connection, because writing has failed by err.
func (c *promptConn) giveUp(err error) {
	c.mu.Lock()
	if errors.Is(err, os.ErrDeadlineExceeded) && !c.foreign {
		err = &socket.TimeoutError{After: c.timeout, Bytes: c.size}
	}
	c.writing = false
	c.fail(err)
	c.mu.Unlock()
	c.cut() // who reads shall not wait for a peer that does not read
}

// expire is called when a foreign Conn has taken nothing within the time limit.
func (c *promptConn) expire() { c.giveUp(&socket.TimeoutError{After: c.timeout, Bytes: c.buffered()}) }

// buffered returns the size of the backlog, in bytes.
func (c *promptConn) buffered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// fail makes every write fail. The caller holds mu.
func (c *promptConn) fail(err error) {
	if c.failed == nil {
		c.failed = err
	}
	c.backlog.free()
	c.backlog, c.caller, c.size = nil, nil, 0
	c.limit.Stop()
	c.tell()
	c.wake()
}

// wait returns when something has changed. The caller holds mu.
func (c *promptConn) wait() {
	if c.changed == nil {
		c.changed = sync.NewCond(&c.mu)
	}
	c.changed.Wait()
}

// wake lets all who wait look again. The caller holds mu.
func (c *promptConn) wake() {
	if c.changed != nil {
		c.changed.Broadcast()
	}
}

// failure returns why writing failed, nil if it has not, or because the connection
// was closed.
func (c *promptConn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == net.ErrClosed {
		return nil
	}
	return c.failed
}

// await returns when enough says so of how many bytes wait, or no more can be
// written.
func (c *promptConn) await(enough func(waiting int) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.failed == nil && !enough(int(c.waiting.Load())) {
		c.wait()
	}
}

// awaitFlushed returns when nothing waits, the owner knows that, and done reports
// true, or no more can be written.
func (c *promptConn) awaitFlushed(done func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.failed == nil && (c.writing || !done()) {
		c.wait()
	}
}

// wakeAll lets those who await something look again.
func (c *promptConn) wakeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake()
}

// SetWriteDeadline does nothing: Write does not wait. TLS sets one when it says
// goodbye, and one long past after that.
func (c *promptConn) SetWriteDeadline(time.Time) error { return nil }

// CloseWrite tells the peer that no more will come, after what has been kept.
func (c *promptConn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failed != nil:
		return c.failed
	case c.writing:
		c.half = true
	case !c.foreign:
		return c.closeWrite()
	default:
		c.half, c.writing = true, true
		go c.write(time.Now())
	}
	return nil
}

// closeWrite is CloseWrite for a connection that has that; another is closed.
func (c *promptConn) closeWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	switch {
	case ok:
		return half.CloseWrite()
	case c.foreign:
		return c.cut()
	}
	return c.Conn.Close()
}

// Close cuts the connection. What has been kept is lost.
func (c *promptConn) Close() error {
	err := c.cut() // first, because a Write that waits has the lock
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(net.ErrClosed)
	return err
}

// cut closes Conn, below TLS if it is that. A Close of somebody else may wait, as
// that of crypto/tls does: it is not waited for.
func (c *promptConn) cut() error {
	nc := c.Conn
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = secure.NetConn()
	}
	if isSocket(nc) {
		return nc.Close()
	}
	c.mu.Lock()
	again := c.closed
	c.closed = true
	c.mu.Unlock()
	if again {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			if !returned {
				done <- c.owner.caught(recover())
			}
		}()
		done <- nc.Close()
		returned = true
	}()
	moment := time.NewTimer(promptness)
	defer moment.Stop()
	select {
	case err := <-done:
		return err
	case <-moment.C:
		return nil
	}
}

// promptListener makes connections prompt, before TLS is put on them.
type promptListener struct {
	net.Listener
	timeout time.Duration
}

func (l promptListener) Accept() (net.Conn, error) {
	setNonblock(l.Listener)
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newPromptConn(nc, l.timeout), nil
}
