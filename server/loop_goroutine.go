package server

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/socket"
)

// goroutineLoop serves every socket by goroutines, one at a time, that read from it
// and run the handlers: see rest.go. It works with everything that is a net.Conn, on
// every system.
type goroutineLoop struct {
	writeTimeout time.Duration
}

// goroutineTransport is a socket of a goroutineLoop.
type goroutineTransport struct {
	socket.Conn
	prompt *promptConn // the same, or, if the server has put TLS on it, the connection under that
	conn   Conn

	answers   atomic.Int64 // bytes of answers that were put into the backlog since it was empty
	turn      sync.Mutex   // held by who calls handlers
	receiving atomic.Bool  // a handler is called with what was received, or with the end
	pressed   atomic.Bool  // a frame is being written whose sender waits for room
	choked    atomic.Bool  // nothing is read because of answers
	draining  atomic.Int32 // calls of Handler.Drain that have not returned

	wokenAt tick  // when something last came to the connection at rest
	wakes   uint8 // how often it did since that tick began, up to busyWakes
	over    bool  // lost has been called

	underWay bool // a frame or message was incomplete after the last receive; the reader's own

	ended chan struct{}              // closed at the end, if somebody waits for that
	cut   atomic.Pointer[time.Timer] // closes the connection; cutDone after the end
}

// cutDone stands for the timer of a closed connection.
var cutDone = new(time.Timer)

// transport returns nc as a transport.
func (l *goroutineLoop) transport(nc net.Conn) *goroutineTransport {
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		if prompt, ok := secure.NetConn().(*promptConn); ok {
			return &goroutineTransport{Conn: *socket.New(nc, 0), prompt: prompt}
		}
	}
	prompt := newPromptConn(nc, l.writeTimeout)
	return &goroutineTransport{Conn: *socket.New(prompt, 0), prompt: prompt}
}

func (t *goroutineTransport) attach(*Conn) { t.prompt.ownedBy(t) }

// Resume does nothing: the goroutine that reads waits for the program itself.
func (*goroutineTransport) Resume() {}

// Buffered returns the size of the backlog in bytes.
func (t *goroutineTransport) Buffered() int { return int(t.prompt.waiting.Load()) }

// AwaitBacklog waits for a backlog of another size.
func (t *goroutineTransport) AwaitBacklog(enough func(size int) bool) { t.prompt.await(enough) }

// Unacknowledged returns how many bytes the client's system has not acknowledged.
func (t *goroutineTransport) Unacknowledged() int {
	socket, _ := t.bottom()
	if socket == nil {
		return -1
	}
	return queued(socket)
}

// Choked reports whether nothing is read because the client does not take the
// answers.
func (t *goroutineTransport) Choked() bool { return t.choked.Load() }

// Write takes all of p, or fails.
func (t *goroutineTransport) Write(p []byte) (int, error) {
	if t.conn.endpoint.WriteBlocked() {
		t.pressed.Store(true)
		defer t.pressed.Store(false)
	}
	return t.Conn.Write(p)
}

// backlogged notes that the backlog has grown, or shrunk, by so many bytes. Answers
// whose sender waits for room do not count as such.
func (t *goroutineTransport) backlogged(by int) {
	t.conn.server.counters.backlogged(by)
	if by > 0 && t.prompt.answering.Load() && !t.pressed.Load() {
		t.answers.Add(int64(by))
	}
}

// caught reports a method of the connection that did not return.
func (t *goroutineTransport) caught(value any) *PanicError { return t.conn.server.caught(value) }

// drained notes that the backlog has become empty.
func (t *goroutineTransport) drained() {
	t.answers.Store(0)
	if t.conn.drained() {
		t.draining.Add(1)
		go t.tellDrained()
	}
}

// tellDrained tells the application that the backlog has become empty. If its
// handler panics or ends the goroutine, the connection has failed, and the client
// has some time to end it: the goroutine that reads waits for that.
func (t *goroutineTransport) tellDrained() {
	more := false
	defer func() {
		t.draining.Add(-1)
		t.prompt.wakeAll()
		if !more {
			t.closeAfter(t.conn.lingerTime())
		}
	}()
	t.turn.Lock()
	defer t.turn.Unlock()
	more = t.conn.drain()
}

// receive has b received.
func (t *goroutineTransport) receive(b []byte) (rest []byte, more bool) {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.receiving.Store(true)
	defer t.receiving.Store(false)
	t.prompt.answering.Store(true)
	defer t.prompt.answering.Store(false)
	rest, more = t.conn.receive(b)
	_, t.underWay = t.conn.endpoint.Progress()
	return rest, more
}

// end ends the connection: by err, or, if it is nil, because the connection wants
// no more.
func (t *goroutineTransport) end(err error) {
	if t.ended != nil { // everything is deferred, because the application may end the goroutine
		defer close(t.ended)
	}
	defer t.Close()
	defer t.lost(err)
	if err == nil {
		t.Drain(t.conn.lingerTime())
	}
}

// lost ends the connection, by err if that is not nil.
func (t *goroutineTransport) lost(err error) {
	if failure := t.prompt.failure(); failure != nil && err != nil {
		err = failure // of which this is only the effect
	}
	t.turn.Lock()
	defer t.turn.Unlock()
	t.receiving.Store(true)
	t.over = true
	t.conn.lost(err)
}

// awaitServed is called when the client has ended its side. The client may still
// read: awaitServed waits until the client has got the answers to its messages.
func (t *goroutineTransport) awaitServed() {
	t.conn.inputEnded()
	if f := t.conn.fiber(); f != nil {
		f.awaitEnd()
	}
	t.prompt.awaitFlushed(func() bool { return t.draining.Load() == 0 })
}

// Finish says that nothing more will be written: see transport. If nobody is there
// to drain the connection then, because the handlers have not ended it, its time is
// bounded here.
func (t *goroutineTransport) Finish(wait time.Duration) {
	t.closeAfter(2 * wait)
	t.Conn.Finish(wait)
}

// closeAfter closes the connection after d, unless it is closed earlier or by an
// earlier call.
func (t *goroutineTransport) closeAfter(d time.Duration) {
	timer := time.AfterFunc(d, func() { t.Close() })
	if !t.cut.CompareAndSwap(nil, timer) {
		timer.Stop()
	}
}

// Close closes the connection. Its timer, which would keep the whole connection in
// memory, is stopped.
func (t *goroutineTransport) Close() error {
	if timer := t.cut.Swap(cutDone); timer != nil && timer != cutDone {
		timer.Stop()
	}
	return t.Conn.Close()
}

// RemoteAddr returns the address of the client: an empty one if the system does
// not know it any more, as with a net.FileConn whose client has gone.
func (t *goroutineTransport) RemoteAddr() net.Addr {
	if a := t.Conn.RemoteAddr(); a != nil {
		return a
	}
	return &net.TCPAddr{}
}

// awaitTaken waits, if the client does not take the answers, until it has.
func (t *goroutineTransport) awaitTaken() {
	if t.answers.Load() <= int64(t.conn.server.chokedAt()) {
		return
	}
	t.choked.Store(true)
	defer t.choked.Store(false)
	t.prompt.await(func(waiting int) bool { return waiting == 0 })
}

// serve serves what connects to ln, until that is closed.
func (l *goroutineLoop) serve(ln net.Listener, open func(*Conn, transport), report func(error)) error {
	return acceptAll(ln, report, func(nc net.Conn) {
		t := l.transport(nc)
		t.run(func() {
			open(&t.conn, t)
			t.working(nil, nil)
		})
	})
}

// acceptAll calls serve for what connects to ln, until that is closed. An error
// that may pass, such as too many open files, is reported and waited out.
func acceptAll(ln net.Listener, report func(error), serve func(net.Conn)) error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		setNonblock(ln)
		nc, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil && !passing(err):
			return err
		case err != nil:
			report(err)
			time.Sleep(pause)
			pause = min(2*pause, longest)
		default:
			pause = shortest
			serve(nc)
		}
	}
}

// passing reports whether accepting may work again after err.
func passing(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

// begin makes nc a connection, which is to be served.
func (l *goroutineLoop) begin(nc net.Conn, open func(*Conn, transport)) *goroutineTransport {
	t := l.transport(nc)
	open(&t.conn, t)
	return t
}

// serveElsewhere serves the connection on goroutines of its own. start has been read
// already, and is received even if it is empty. ended, if it is not nil, is closed
// when the connection has ended.
func (t *goroutineTransport) serveElsewhere(start []byte, ended chan struct{}) {
	t.ended = ended
	t.run(func() {
		if t.receiveStart(start) {
			t.working(nil, nil)
		}
	})
}

// receiveStart has start received, which opens the connection. It reports whether
// the connection goes on; otherwise it has ended.
func (t *goroutineTransport) receiveStart(start []byte) (more bool) {
	rest, more := t.receive(start)
	if more = more && t.receiveAll(rest); !more {
		t.end(nil)
	}
	return more
}

// receiveAll has all of b received, and waits until the program takes more and the
// client the answers.
func (t *goroutineTransport) receiveAll(b []byte) (more bool) {
	for more = true; len(b) > 0 && more; {
		if f := t.conn.fiber(); f != nil {
			f.awaitRoom()
		}
		b, more = t.receive(b)
	}
	if f := t.conn.fiber(); more && f != nil {
		f.awaitRoom()
	}
	if more {
		t.awaitTaken()
	}
	return more
}
