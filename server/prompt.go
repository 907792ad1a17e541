package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/socket"
)

// promptConn is a net.Conn whose Write does not wait for the peer, or not for
// long: what the system does not take is kept, and written by a goroutine that
// lives until it is. It lies under TLS, where that is, because a write of TLS
// cannot be interrupted and taken up again.
type promptConn struct {
	net.Conn
	timeout time.Duration // within which something has to be taken; 0 or less: none

	waiting atomic.Int64 // size of backlog, and of what is being written of it

	mu       sync.Mutex // guards the rest
	owner    owner
	backlog  *backlog
	flushing bool      // the goroutine is there
	half     bool      // it closes for writing at the end
	armed    time.Time // the write deadline that is set
	failed   error
	room     *sync.Cond // something has been taken, or cannot be any more; nil: nobody ever waited for that
}

// owner is who has to know about the backlog of a promptConn. It is called with the
// lock of that.
type owner interface {
	backlogged(by int)
	drained()
}

// A Write waits between one and two times promptness. It is as long as that so that
// it needs no new deadline each time.
const promptness = 2 * time.Millisecond

// flushSize is how much is written at once of what has been kept, in bytes: within
// the time limit that has to be taken.
const flushSize = 64 << 10

func newPromptConn(nc net.Conn, timeout time.Duration) *promptConn {
	return &promptConn{Conn: nc, timeout: timeout}
}

// ownedBy has o told about the backlog from now on.
func (c *promptConn) ownedBy(o owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner = o
	o.backlogged(int(c.waiting.Load()))
}

// Write takes all of p, or fails.
func (c *promptConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	n := 0
	began := time.Now()
	if !c.flushing {
		if c.armed.Sub(began) < promptness {
			c.armed = began.Add(2 * promptness)
			c.Conn.SetWriteDeadline(c.armed)
		}
		var err error
		if n, err = c.Conn.Write(p); err == nil {
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			c.fail(err)
			return n, err
		}
		c.flushing = true
		go c.flush(began)
	}
	c.backlog = c.backlog.add(p[n:])
	c.recount(len(p) - n)
	return len(p), nil
}

// recount notes that the backlog has grown, or shrunk, by so many bytes. The
// caller holds mu.
func (c *promptConn) recount(by int) {
	c.waiting.Add(int64(by))
	if c.owner != nil {
		c.owner.backlogged(by)
	}
}

// flush writes what is kept, as the one goroutine that writes meanwhile. Nothing
// has been taken since began.
func (c *promptConn) flush(began time.Time) {
	for {
		b := c.next()
		if b == nil {
			return
		}
		err := c.writeAll(b, began)
		b.free()
		if err != nil {
			return
		}
		began = time.Now()
	}
}

// next returns what is to be written, nil if there is no more.
func (c *promptConn) next() *backlog {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.backlog
	c.backlog = nil
	if b != nil {
		return b
	}
	c.flushing, c.armed = false, time.Time{}
	c.wake()
	if c.half {
		c.closeWrite()
	}
	if c.owner != nil && c.failed == nil {
		c.owner.drained()
	}
	return nil
}

// writeAll writes b. Something of it has to be taken within the time limit, again
// and again.
func (c *promptConn) writeAll(b *backlog, began time.Time) error {
	for p := b.rest(); len(p) > 0; began = time.Now() {
		var deadline time.Time
		if c.timeout > 0 {
			deadline = began.Add(c.timeout)
		}
		c.Conn.SetWriteDeadline(deadline)
		n, err := c.Conn.Write(p[:min(len(p), flushSize)])
		p = p[n:]
		c.mu.Lock()
		if c.failed == nil {
			c.recount(-n)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && n == 0 {
			err = &socket.TimeoutError{After: c.timeout, Bytes: int(c.waiting.Load())}
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // it reads, if slowly
		}
		if err != nil {
			c.fail(err)
		}
		c.wake()
		c.mu.Unlock()
		if err != nil {
			c.Conn.Close() // who reads shall not wait for a peer that does not read
			return err
		}
	}
	return nil
}

// fail makes every write fail. The caller holds mu.
func (c *promptConn) fail(err error) {
	if c.failed == nil {
		c.failed = err
	}
	c.backlog.free()
	c.backlog = nil
	c.recount(-int(c.waiting.Load()))
	c.wake()
}

// wake lets those who await something look again. The caller holds mu.
func (c *promptConn) wake() {
	if c.room != nil {
		c.room.Broadcast()
	}
}

// failure returns why writing failed, nil if it has not.
func (c *promptConn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// await returns when enough says so of how many bytes wait, or no more can be
// written.
func (c *promptConn) await(enough func(waiting int) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room == nil {
		c.room = sync.NewCond(&c.mu)
	}
	for c.failed == nil && !enough(int(c.waiting.Load())) {
		c.room.Wait()
	}
}

// awaitFlushed returns when nothing waits, the owner knows that, and done reports
// true, or no more can be written.
func (c *promptConn) awaitFlushed(done func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room == nil {
		c.room = sync.NewCond(&c.mu)
	}
	for c.failed == nil && (c.flushing || !done()) {
		c.room.Wait()
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
	if c.flushing {
		c.half = true
		return nil
	}
	return c.closeWrite()
}

// closeWrite is CloseWrite for what can do that; what cannot is closed.
func (c *promptConn) closeWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// Close cuts the connection. What has been kept is lost.
func (c *promptConn) Close() error {
	err := c.Conn.Close() // first, because a Write that waits has the lock
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(net.ErrClosed)
	return err
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
