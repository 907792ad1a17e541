package netloop

import (
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/lockorder"
)

// goroutineSocket is a socket that is served by goroutines, one at a time,
// which read from it and run the handlers: see park.go. It works with every
// net.Conn, on every system.
type goroutineSocket struct {
	NetConn
	async *asyncConn // the same or, for a connection with TLS, the connection below
	conn  Conn
	loop  *Loop

	replies       atomic.Int64       // bytes of replies that were buffered since the buffer was empty
	handlers      lockorder.Handlers // held while handlers run
	writableCalls atomic.Int32       // of Conn.Writable that have not returned
	flags         atomic.Uint32      // goroutineBlocked and so on

	wokenAt uint32 // the tick of the last wake-up
	wakes   uint8  // number of wake-ups since that tick began, up to busyWakes
	over    bool   // Closed has been called

	partial     bool          // Conn.Partial, after the last Received; the reader's own
	collectFrom int32         // bytes of input from which on the replies are collected; the reader's own
	writes      atomic.Uint32 // calls of Write and Writev

	ready atomic.Pointer[readiness]  // nil until the first wait for Conn.Ready
	ended chan struct{}              // closed at the end; nil if no caller waits
	abort atomic.Pointer[time.Timer] // aborts the connection; abortDone after the end
}

// Flags of a goroutineSocket.
const (
	goroutineBlocked    uint32 = 1 << iota // Write is called for a sender that waits for space
	goroutinePaused                        // reading is paused because of replies
	goroutineBothClosed                    // CloseWrite was called, and the peer has closed the connection too
	goroutineAnswering                     // the input has ended: awaitAnswered waits
)

// has reports whether flag is set.
func (t *goroutineSocket) has(flag uint32) bool { return t.flags.Load()&flag != 0 }

// readiness is where a goroutine waits for Conn.Ready.
type readiness struct {
	mu      sync.Mutex
	changed sync.Cond
}

// abortDone stands for the timer of a closed connection.
var abortDone = new(time.Timer)

// newGoroutineSocket returns a socket for nc.
func (l *Loop) newGoroutineSocket(nc net.Conn) *goroutineSocket {
	t := &goroutineSocket{loop: l, collectFrom: math.MaxInt32}
	if t.async = asyncBelow(nc); t.async != nil {
		t.NetConn.Conn = nc
	} else {
		t.async = newAsyncConn(nc, l.cfg.WriteTimeout, l.calls, nil) // start sets the owner before it is used
		t.NetConn.Conn = t.async
	}
	return t
}

// start opens the connection.
func (t *goroutineSocket) start(open Open) {
	t.partial = true // the handshake
	t.conn, _ = open(false)
	t.async.setOwner(t)
	t.conn.Started(t)
}

// asyncBelow returns the asyncConn of an [AsyncListener] below nc, nil if there
// is none.
func asyncBelow(nc net.Conn) *asyncConn {
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		if async, ok := secure.NetConn().(*asyncConn); ok {
			return async
		}
	}
	return nil
}

// Resume wakes the goroutine that waits in awaitReady or awaitAnswered.
func (t *goroutineSocket) Resume() {
	if t.has(goroutineAnswering) {
		t.async.wakeAll()
		return
	}
	if r := t.ready.Load(); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changed.Broadcast()
	}
}

// awaitReady waits until Conn.Ready reports true.
func (t *goroutineSocket) awaitReady() {
	if t.conn.Ready() {
		return
	}
	r := t.ready.Load()
	if r == nil { // only this goroutine sets it
		r = new(readiness)
		r.changed.L = &r.mu
		t.ready.Store(r)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for !t.conn.Ready() { // Resume, if it was called before Store, has made it true
		r.changed.Wait()
	}
}

// Shard returns -1: no poller serves the socket.
func (*goroutineSocket) Shard() int { return -1 }

// Buffered returns the size of the write buffer in bytes.
func (t *goroutineSocket) Buffered() int { return int(t.async.buffered.Load()) }

// Deferred returns false: no write is deferred.
func (t *goroutineSocket) Deferred() bool { return false }

// Flush does nothing: no write is deferred.
func (t *goroutineSocket) Flush() {}

// MoreInput does nothing: no write is deferred.
func (t *goroutineSocket) MoreInput(bool) {}

// Space returns how many of size bytes may be written.
func (t *goroutineSocket) Space(size int) int { return t.loop.cfg.Limit.Space(t.Buffered(), size) }

// AwaitSpace returns when some of size bytes may be written, or the socket
// cannot be written to any more.
func (t *goroutineSocket) AwaitSpace(size int) {
	t.async.await(func() bool { return t.Space(size) > 0 })
}

// Unacknowledged returns how many bytes the peer's kernel has not acknowledged,
// -1 if that is not known.
func (t *goroutineSocket) Unacknowledged() int {
	socket, _ := t.pollable()
	if socket == nil {
		return -1
	}
	return unacknowledged(socket)
}

// MustPause reports whether the peer does not read the replies: reading is to be
// paused.
func (t *goroutineSocket) MustPause() bool {
	limit := t.loop.cfg.Limit.PauseRead
	return limit > 0 && t.replies.Load() > int64(limit)
}

// ReadPaused reports whether reading is paused because the peer does not read
// the replies.
func (t *goroutineSocket) ReadPaused() bool { return t.has(goroutinePaused) }

// Write writes all of p or fails.
func (t *goroutineSocket) Write(p []byte) (int, error) {
	t.writes.Add(1)
	return t.write(p)
}

func (t *goroutineSocket) write(p []byte) (int, error) {
	if t.conn.WriterBlocked() {
		t.flags.Or(goroutineBlocked)
		defer t.flags.And(^goroutineBlocked)
	}
	n, err := t.NetConn.Write(p)
	if err != nil {
		err = t.cause(err)
	}
	return n, err
}

// cause returns the failure of the connection below TLS, which led to err, or
// err if there is none.
func (t *goroutineSocket) cause(err error) error {
	if failure := t.async.failure(); failure != nil {
		return failure
	}
	return err
}

// joinedSize is how many bytes of two pieces are written together. A frame with
// a payload of 16 KiB, and its header, fit.
const joinedSize = 32 << 10

// joinPieces returns two pieces, the first of which has the beginning of the
// second too, if it has room for that in joinedSize bytes: a write is a system
// call, or a record of TLS. The caller frees memory, which may be nil.
func joinPieces(head, payload []byte) (pieces [2][]byte, memory *writeBuf) {
	n := min(len(payload), joinedSize-len(head))
	if len(head) == 0 || n <= 0 { // the frames that the engine has collected may be longer than joinedSize
		return [2][]byte{head, payload}, nil
	}
	memory = borrowBuf(len(head) + n).add(head).add(payload[:n])
	return [2][]byte{memory.bytes(), payload[n:]}, memory
}

// Writev is Write for two pieces, each possibly empty.
func (t *goroutineSocket) Writev(head, payload []byte) error {
	pieces, memory := joinPieces(head, payload)
	defer memory.free()
	t.writes.Add(1)
	for _, p := range pieces {
		if len(p) > 0 {
			if _, err := t.write(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// bufferGrew counts bytes that were added to the write buffer, or removed if by
// is negative. Replies whose sender waits for space are not counted as replies.
func (t *goroutineSocket) bufferGrew(by int) {
	t.loop.cfg.Counters.Buffered.Add(by)
	if by > 0 && t.async.replying.Load() && !t.has(goroutineBlocked) {
		t.replies.Add(int64(by))
	}
}

// panicked returns the error for a method of the net.Conn that did not return.
func (t *goroutineSocket) panicked(value any) error { return t.conn.Panicked(value, false) }

// flushed is called when the write buffer has become empty.
func (t *goroutineSocket) flushed() {
	t.replies.Store(0)
	if t.conn.Flushed() {
		t.writableCalls.Add(1)
		go t.callWritable()
	}
}

// callWritable calls Conn.Writable. If the connection accepts no more input,
// the peer has some time to close it: the goroutine that reads waits for that.
func (t *goroutineSocket) callWritable() {
	ok := false
	defer func() {
		t.writableCalls.Add(-1)
		t.async.wakeAll()
		if !ok {
			t.abortAfter(t.linger())
		}
	}()
	t.handlers.Lock()
	defer t.handlers.Unlock()
	ok = t.conn.Writable()
}

// linger returns how long the socket stays open after the end.
func (t *goroutineSocket) linger() time.Duration {
	if t.conn.WriterBlocked() {
		return t.loop.cfg.BlockedLinger
	}
	return t.loop.cfg.Linger
}

// received passes b to the connection. The replies to several messages share a
// write, if b is as large as an earlier input that has led to several writes.
func (t *goroutineSocket) received(b []byte) (rest []byte, ok bool) {
	t.handlers.Lock()
	defer t.handlers.Unlock()
	t.async.replying.Store(true)
	defer t.async.replying.Store(false)
	if len(b) >= int(t.collectFrom) {
		batch, use := t.loop.batches.begin(t.conn)
		defer t.loop.batches.end(t.conn, batch, use)
	}
	before := t.writes.Load()
	rest, ok = t.conn.Received(b)
	if t.writes.Load()-before > 1 {
		t.collectFrom = int32(min(len(b), int(t.collectFrom)))
	}
	t.partial = t.conn.Partial()
	return rest, ok
}

// end ends the connection by err or, if that is nil, because the connection
// accepts no more input.
func (t *goroutineSocket) end(err error) {
	if t.ended != nil { // everything is deferred, because the application may end the goroutine
		defer close(t.ended)
	}
	defer t.Abort()
	if err == io.EOF {
		defer t.lingerBelowTLS()
	}
	defer t.callClosed(err)
	if err == nil && !t.exchanged() {
		t.Linger(t.linger())
	}
}

// lingerBelowTLS ends the output after close_notify of the peer, and discards
// input below TLS: the peer may send on, and the kernel answers unread input by
// a reset, which discards output at the peer. The other connections have no
// input behind its end.
func (t *goroutineSocket) lingerBelowTLS() {
	nc := t.NetConn.Conn
	if async, ok := nc.(*asyncConn); ok {
		nc = async.Conn
	}
	if low, below := lowest(nc); below {
		t.CloseWriteWithin(t.loop.cfg.Linger)
		(&NetConn{low}).Linger(t.loop.cfg.Linger)
	}
}

// exchanged waits until the output is written, if the peer has closed the
// connection too and expects no more (RFC 6455, Section 5.5.1). It reports
// whether the socket can then be closed at once, because no input is unread. A
// connection with TLS lingers, so that its close_notify arrives although the
// peer sends on.
func (t *goroutineSocket) exchanged() bool {
	if !t.has(goroutineBothClosed) {
		return false
	}
	socket, secure := t.pollable()
	return socket != nil && !secure && t.async.awaitFinished() && nothingUnread(socket)
}

// callClosed calls Conn.Closed.
func (t *goroutineSocket) callClosed(err error) {
	if err != nil {
		err = t.cause(err)
	}
	t.handlers.Lock()
	defer t.handlers.Unlock()
	t.over = true
	t.conn.Closed(err)
}

// awaitAnswered is called when the peer has closed its side. The peer may still
// read: awaitAnswered waits until its messages are answered, or cannot be.
func (t *goroutineSocket) awaitAnswered() {
	t.conn.InputClosed()
	t.flags.Or(goroutineAnswering)
	t.async.await(func() bool { return t.conn.Ready() && !t.async.writing && t.writableCalls.Load() == 0 })
}

// CloseWrite ends the output: see Socket. The time is bounded here, because
// the goroutine that reads may be waiting for a handler.
func (t *goroutineSocket) CloseWrite(exchanged bool) {
	t.conn.EndBatch()
	if exchanged {
		t.flags.Or(goroutineBothClosed)
	}
	t.abortAfter(2 * t.loop.cfg.Linger)
	limit := t.loop.cfg.Linger
	if t.NetConn.Conn == net.Conn(t.async) {
		limit = 0 // asyncConn.CloseWrite does not wait; that of TLS may
	}
	t.CloseWriteWithin(limit)
}

// abortAfter aborts the connection after d, unless it is closed earlier, or an
// earlier call has set a limit.
func (t *goroutineSocket) abortAfter(d time.Duration) {
	timer := time.AfterFunc(d, func() { t.Abort() })
	if !t.abort.CompareAndSwap(nil, timer) {
		timer.Stop()
	}
}

// Abort discards the write buffer and closes the connection. Its timer, which
// would keep the whole connection in memory, is stopped.
func (t *goroutineSocket) Abort() error {
	if timer := t.abort.Swap(abortDone); timer != nil && timer != abortDone {
		timer.Stop()
	}
	return t.NetConn.Close()
}

// RemoteAddr returns the address of the peer: an empty one if the kernel does
// not know it any more, as with a net.FileConn whose peer has closed.
func (t *goroutineSocket) RemoteAddr() net.Addr {
	if a := t.Conn.RemoteAddr(); a != nil {
		return a
	}
	return &net.TCPAddr{}
}

func (t *goroutineSocket) LocalAddr() net.Addr { return t.Conn.LocalAddr() }

// awaitRead waits, if the peer does not read the replies, until it has.
func (t *goroutineSocket) awaitRead() {
	if !t.MustPause() {
		return
	}
	t.flags.Or(goroutinePaused)
	defer t.flags.And(^goroutinePaused)
	t.async.await(func() bool { return t.Buffered() == 0 })
}

// serveGoroutines accepts connections from ln, until that is closed, and serves
// them by goroutines.
func (l *Loop) serveGoroutines(ln net.Listener, open Open) error {
	return acceptAll(ln, l.cfg.Log, func(nc net.Conn) {
		t := l.newGoroutineSocket(nc)
		t.run(func(t *goroutineSocket) {
			t.start(open)
			t.begin()
		})
	})
}

// acceptAll calls serve for the connections of ln, until that is closed. An
// error that may pass, such as too many open files, is logged and waited out.
func acceptAll(ln net.Listener, log func(error), serve func(net.Conn)) error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		nc, err := acceptEndable(ln)
		switch {
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil && !temporary(err):
			return err
		case err != nil:
			log(err)
			time.Sleep(pause)
			pause = min(2*pause, longest)
		default:
			pause = shortest
			serve(nc)
		}
	}
}

// acceptEndable accepts a connection from ln. Close of ln ends the call: see
// setNonblock.
func acceptEndable(ln net.Listener) (net.Conn, error) {
	setNonblock(ln)
	return ln.Accept()
}

// temporary reports whether Accept may succeed again after err.
func temporary(err error) bool {
	var e interface{ Temporary() bool }
	return errors.As(err, &e) && e.Temporary()
}

// startGoroutine serves nc: see Loop.Start.
func (l *Loop) startGoroutine(nc net.Conn, open Open, first []byte, ended chan struct{}) {
	t := l.newGoroutineSocket(nc)
	t.start(open)
	t.ended = ended
	t.run(func(t *goroutineSocket) {
		if t.receiveFirst(first) {
			t.begin()
		}
	})
}

// receiveFirst passes first to the connection. It reports whether the
// connection is still open; otherwise it has ended.
func (t *goroutineSocket) receiveFirst(first []byte) (ok bool) {
	rest, ok := t.received(first)
	if ok = ok && t.receiveAll(rest); !ok {
		t.end(nil)
	}
	return ok
}

// receiveAll passes b to the connection. Before each part, and at the end, it
// waits until the connection is ready for more and the peer has read the
// replies.
func (t *goroutineSocket) receiveAll(b []byte) (ok bool) {
	for {
		t.awaitReady()
		t.awaitRead()
		if len(b) == 0 {
			return true
		}
		if b, ok = t.received(b); !ok {
			return false
		}
	}
}
