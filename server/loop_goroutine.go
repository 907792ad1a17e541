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
	prompt *promptConn // the same, or what lies under its TLS; nil if that was put on by somebody else
	conn   Conn

	answers   atomic.Int64 // bytes that were put into the backlog while receiving, since it was empty
	turn      sync.Mutex   // held by who calls handlers
	receiving atomic.Bool  // a handler is called with what was received
	choked    atomic.Bool  // nothing is read because of answers

	wokenAt tick  // when something last came to the connection at rest
	wakes   uint8 // how often it did since that tick began, up to busyWakes
}

// transport returns nc as a transport.
func (l *goroutineLoop) transport(nc net.Conn) *goroutineTransport {
	secure, ok := nc.(interface{ NetConn() net.Conn })
	if !ok {
		prompt := newPromptConn(nc, l.writeTimeout)
		return &goroutineTransport{Conn: *socket.New(prompt, 0), prompt: prompt}
	}
	if prompt, ok := secure.NetConn().(*promptConn); ok {
		return &goroutineTransport{Conn: *socket.New(nc, 0), prompt: prompt}
	}
	return &goroutineTransport{Conn: *socket.New(nc, l.writeTimeout)}
}

func (t *goroutineTransport) attach(*Conn) {
	if t.prompt != nil {
		t.prompt.ownedBy(t)
	}
}

// Resume does nothing: the goroutine that reads waits for the program itself.
func (*goroutineTransport) Resume() {}

// Waits reports whether a Write might wait for the client for longer than it takes
// to see that the client does not read.
func (t *goroutineTransport) Waits() bool { return t.prompt == nil }

// Buffered returns the size of the backlog in bytes.
func (t *goroutineTransport) Buffered() int {
	if t.prompt == nil {
		return 0
	}
	return int(t.prompt.waiting.Load())
}

// AwaitBacklog waits for a backlog of another size.
func (t *goroutineTransport) AwaitBacklog(enough func(size int) bool) {
	if t.prompt != nil {
		t.prompt.await(enough)
	}
}

// Choked reports whether nothing is read because the client does not take the
// answers.
func (t *goroutineTransport) Choked() bool { return t.choked.Load() }

// Write takes all of p, or fails.
func (t *goroutineTransport) Write(p []byte) (int, error) {
	if t.prompt == nil {
		return t.Conn.Write(p)
	}
	before := t.Buffered()
	n, err := t.Conn.Write(p)
	if after := t.Buffered(); t.receiving.Load() && after > before && !t.conn.endpoint.Pressed() { // else the sender waits
		t.answers.Add(int64(after - before))
	}
	return n, err
}

// backlogged notes that the backlog has grown, or shrunk, by so many bytes.
func (t *goroutineTransport) backlogged(by int) { t.conn.server.counters.backlogged(by) }

// drained notes that the backlog has become empty.
func (t *goroutineTransport) drained() {
	t.answers.Store(0)
	if t.conn.drained() {
		go func() {
			t.turn.Lock()
			defer t.turn.Unlock()
			t.conn.drain()
		}()
	}
}

// receive has b received.
func (t *goroutineTransport) receive(b []byte) (rest []byte, more bool) {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.receiving.Store(true)
	defer t.receiving.Store(false)
	return t.conn.receive(b)
}

// end ends the connection: by err, or, if it is nil, because the connection wants
// no more.
func (t *goroutineTransport) end(err error) {
	if err == nil {
		t.Drain(t.conn.lingerTime())
		t.lost(nil)
		return
	}
	t.lost(err)
	t.Close()
}

// lost ends the connection, by err if that is not nil.
func (t *goroutineTransport) lost(err error) {
	if t.prompt != nil && err != nil {
		if late, ok := t.prompt.failure().(*socket.TimeoutError); ok {
			err = late // of which this is only the effect
		}
	}
	t.turn.Lock()
	defer t.turn.Unlock()
	t.conn.lost(err)
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
	return acceptAll(ln, report, func(nc net.Conn) { go func() { l.begin(nc, open).working(nil, nil) }() })
}

// acceptAll calls serve for what connects to ln, until that is closed. An error
// that may pass, such as too many open files, is reported and waited out.
func acceptAll(ln net.Listener, report func(error), serve func(net.Conn)) error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
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

// serve serves the connection until it has ended. start has been read already, and
// is received even if it is empty.
func (t *goroutineTransport) serve(start []byte) {
	if !t.receiveStart(start) {
		return
	}
	var b []byte
	var err error
	for t.work(b, err) {
		b, err = t.rest()
	}
}

// serveElsewhere is serve on goroutines of its own.
func (t *goroutineTransport) serveElsewhere(start []byte) {
	go func() {
		if t.receiveStart(start) {
			t.working(nil, nil)
		}
	}()
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
