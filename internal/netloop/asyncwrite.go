package netloop

import (
	"errors"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/lockorder"
)

// asyncConn is a net.Conn whose Write waits for the peer no longer than twice
// writeGrace: bytes that the kernel does not accept are buffered, and written
// by a goroutine that lives until the buffer is empty. Under TLS, the asyncConn
// is below TLS.
type asyncConn struct {
	net.Conn
	writer    asyncWriter // writes to Conn
	recovered Recover     // until there is an owner

	buffered atomic.Int64 // size of out, as the owner knows it
	replying atomic.Bool  // writes are replies to the input that was read last

	state   endState         // changed by step
	writing bool             // the goroutine exists
	mu      lockorder.Socket // guards state, writing and the rest, and the writer while no goroutine writes
	owner   asyncOwner
	out     *writeBuf  // bytes that Conn has not accepted
	failed  error      // of writing
	changed *sync.Cond // out, writing or failed has changed; nil until the first waiter
}

// asyncWriter is the part of a Transport that writes.
type asyncWriter interface {
	Write(p []byte) (int, error)
	SetWriteTimeout(limit WriteTimeout)
	TimedOut() error
	CloseWrite() error
	Abort() error

	// try writes as much of p as is accepted within twice writeGrace. The next
	// call of Write or try must begin with the rest.
	try(p []byte) (int, error)
}

// asyncOwner is notified of changes of an asyncConn's write buffer, with its
// lock held.
type asyncOwner interface {
	bufferGrew(by int)
	flushed()
	panicked(value any) error
}

// writeGrace is how long an asyncConn waits for the peer: up to twice of it, so
// that a socket needs no new deadline each time.
const writeGrace = 2 * time.Millisecond

// newAsyncConn returns an asyncConn for nc. calls lends foreignCalls.
func newAsyncConn(nc net.Conn, limit WriteTimeout, calls *sync.Pool, recovered Recover) *asyncConn {
	var c *asyncConn
	switch {
	case isSocket(nc):
		c = newAsyncSocket(nc)
	case isPipe(nc):
		c = &asyncConn{writer: &systemConn{Conn: nc}}
	default:
		c = new(asyncConn)
		c.writer = newForeignConn(nc, calls, c.panicked)
	}
	c.Conn, c.recovered, c.state = nc, recovered, stateOpen
	c.writer.SetWriteTimeout(limit)
	return c
}

// newAsyncSocket returns an asyncConn with the writer of a socket. They are used
// together, and so are next to each other in memory.
func newAsyncSocket(socket net.Conn) *asyncConn {
	s := new(struct {
		async  asyncConn
		system systemConn
		direct directConn
	})
	s.direct.init(socket)
	s.system.Conn = &s.direct
	s.async.writer = &s.system
	return &s.async
}

// isPipe reports whether nc is an end of a net.Pipe. Its type has no exported
// name, and making a pipe to compare with would link pipes into every program.
func isPipe(nc net.Conn) bool { return reflect.TypeOf(nc).String() == "*net.pipe" }

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
func (c *asyncConn) Write(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failed != nil:
		return 0, c.failed
	case !c.state.writes():
		return 0, net.ErrClosed
	case !c.writing:
		if n, err = c.writer.try(p); err != nil {
			c.fail(err)
			if _, socket := c.writer.(*systemConn); !socket {
				c.writer.Abort() // a socket may have input before its own error
			}
			return n, err
		}
	}
	if n < len(p) {
		c.out = c.out.add(p[n:])
		c.notify()
		c.startWriting()
	}
	return len(p), nil
}

// startWriting starts the goroutine if it does not exist. The caller holds mu.
func (c *asyncConn) startWriting() {
	if !c.writing {
		c.writing = true
		go c.write()
	}
}

// notify notifies the owner of a change of the write buffer. The caller holds
// mu.
func (c *asyncConn) notify() {
	by := c.out.size() - int(c.buffered.Load())
	c.buffered.Add(int64(by))
	if c.owner != nil && by != 0 {
		c.owner.bufferGrew(by)
	}
}

// write writes the buffer and then, after CloseWrite, closes the connection for
// writing. Its goroutine is the only writer.
func (c *asyncConn) write() {
	piece := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	for wrote := false; ; {
		n, more := c.next(piece[:], wrote)
		if !more {
			return
		}
		var err error
		if wrote = wrote || n > 0; n > 0 {
			n, err = c.writer.Write(piece[:n])
			c.accepted(n)
		} else {
			err = c.closeWriter()
		}
		if err != nil {
			c.giveUp(err)
			return
		}
	}
}

// next copies the next bytes to be written to piece, and returns their number:
// 0 if the connection is to be closed for writing. If more is false, the
// goroutine has no more to do, and must end. wrote reports whether it has
// written.
func (c *asyncConn) next(piece []byte, wrote bool) (n int, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out != nil {
		return copy(piece, c.out.bytes()), true
	}
	if c.failed == nil && c.step(eventFlushed)&doCloseWrite != 0 {
		return 0, true
	}
	c.writing = false
	c.wake()
	if wrote && c.failed == nil && c.owner != nil {
		c.owner.flushed()
	}
	return 0, false
}

// panicked returns the error for a method of Conn that did not return.
func (c *asyncConn) panicked(value any) error {
	if c.owner == nil {
		return c.recovered(value)
	}
	return c.owner.panicked(value)
}

// accepted notes that Conn has accepted n more bytes.
func (c *asyncConn) accepted(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.out = c.out.take(n)
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

// giveUp closes the connection, because writing has failed by err.
func (c *asyncConn) giveUp(err error) {
	c.mu.Lock()
	c.writing = false
	c.fail(err)
	c.mu.Unlock()
	c.writer.Abort() // the reader should not wait for a peer that does not read
}

// fail makes every write fail. The caller holds mu.
func (c *asyncConn) fail(err error) {
	if c.failed == nil {
		c.failed = err
	}
	c.out.free()
	c.out = nil
	c.notify()
	c.wake()
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
	if late := c.writer.TimedOut(); late != nil {
		return late // of which failed may not be told yet
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == net.ErrClosed {
		return nil
	}
	return c.failed
}

// await returns when done reports true, which is called with mu held, or the
// connection cannot be written to any more.
func (c *asyncConn) await(done func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.failed == nil && !done() {
		if c.changed == nil {
			c.changed = sync.NewCond(&c.mu)
		}
		c.changed.Wait()
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

// CloseWrite closes the connection for writing, after the buffer was written. A
// net.Conn that cannot be closed so is closed.
func (c *asyncConn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	if c.step(eventCloseWrite); c.state != stateFlushing {
		return nil
	}
	if _, socket := c.writer.(*systemConn); !socket || c.writing || c.out != nil {
		c.startWriting()
		return nil
	}
	if c.step(eventFlushed)&doCloseWrite != 0 { // it cannot block
		if err := c.closeWriter(); err != nil {
			c.fail(err)
			c.writer.Abort()
		}
		c.wake()
	}
	return nil
}

// closeWriter closes Conn for writing, or altogether if it cannot be closed so.
func (c *asyncConn) closeWriter() error {
	err := c.writer.CloseWrite()
	if err == errors.ErrUnsupported {
		err = c.writer.Abort()
	}
	return err
}

// awaitFinished is called after CloseWrite. It waits until all output, with
// FIN, is written, and reports false if that has failed.
func (c *asyncConn) awaitFinished() (ok bool) {
	c.await(func() bool {
		ok = c.state == stateLingering && !c.writing
		return ok
	})
	return ok
}

// Close closes the connection, below TLS if it is TLS. The buffer is discarded.
func (c *asyncConn) Close() error {
	err := c.writer.Abort() // first, because a Write that waits has the lock
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step(eventAbort)
	c.fail(net.ErrClosed)
	return err
}

// AsyncListener returns ln with connections that TLS can use: a Write of them
// does not wait for the peer. limit is Config.WriteTimeout. recovered
// returns the error of a net.Conn's method that does not return, for a
// connection that is not served yet.
func AsyncListener(ln net.Listener, limit WriteTimeout, recovered Recover) net.Listener {
	return asyncListener{ln, limit, newForeignCalls(), recovered}
}

type asyncListener struct {
	net.Listener
	limit     WriteTimeout
	calls     *sync.Pool
	recovered Recover
}

func (l asyncListener) Accept() (net.Conn, error) {
	nc, err := acceptEndable(l.Listener)
	if err != nil {
		return nil, err
	}
	return newAsyncConn(nc, l.limit, l.calls, l.recovered), nil
}
