package netloop

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// This file makes idle connections cheap without the polled loop. The goroutine
// of an idle connection does almost nothing, so that its stack keeps its initial
// size. Two goroutines alternate:
//
//	parked  waits until the socket is readable   smallest stack, no buffer
//	active  reads and runs handlers, until       a stack of any size, a
//	        all input is handled                 borrowed buffer
//
// The memory of a stack that has grown is not all freed while its goroutine
// lives: so each of the two starts the other and exits.
//
// The parked goroutine waits without reading from the socket, because TLS may
// run over it. TLS itself must then hold no data of the peer, such as a message
// that arrived together with the end of the handshake: a read with a deadline
// in the past checks that. For a net.Conn that is no socket, it waits in a
// read of a few bytes.
//
// A connection that is woken often stays active while it waits. If it is a
// socket without TLS, it waits in RawConn.Read, without a buffer, and handlers
// run there: a read of net.Conn would take locks for each input.

// activeReadSize is the size of the buffer of an active connection in bytes.
const activeReadSize = 4 << 10

// readBuffers lends buffers to active connections.
var readBuffers = sync.Pool{New: func() any { return new([activeReadSize]byte) }}

// parkedReadSize is the size of the read of a parked net.Conn that is no
// socket, in bytes: no less than the Pong of a heartbeat.
const parkedReadSize = 16

// A connection that is woken busyWakes times within a tick is busy: it stays
// active until nothing has been read for idleGrace, or half of that.
const (
	busyWakes = 4
	idleGrace = 2 * time.Second
)

func (t *goroutineSocket) parked() {
	b, err := t.park()
	if len(b) == 0 && err == nil {
		t.run((*goroutineSocket).begin)
		return
	}
	t.run(func(t *goroutineSocket) { t.active(b, err) })
}

// begin is active for a socket whose input is unread.
func (t *goroutineSocket) begin() { t.active(nil, nil) }

func (t *goroutineSocket) active(b []byte, err error) {
	growStack()
	if t.work(b, err) {
		t.run((*goroutineSocket).parked)
	}
}

// growStack has the stack of the caller's goroutine grow to the size that
// handlers need. While the stack is shallow, the runtime copies little.
//
//go:noinline
func growStack() {
	var frame [handlersStack]byte
	runtime.KeepAlive(&frame)
}

// handlersStack is a size in bytes with which a stack grows to 8 KiB at once.
const handlersStack = 5 << 10

// run runs f on a goroutine of its own, as the one that serves the connection.
// If f does not return, because a function of the application has panicked or
// called runtime.Goexit, the connection ends. A method in place of a closure
// saves an allocation.
func (t *goroutineSocket) run(f func(*goroutineSocket)) {
	go func() {
		returned := false
		defer func() {
			if !returned {
				value := recover()
				t.run(func(t *goroutineSocket) { t.abandon(value) })
			}
		}()
		f(t)
		returned = true
	}()
}

// abandon ends a connection whose goroutine has ended by a panic with value, or
// by runtime.Goexit if value is nil.
func (t *goroutineSocket) abandon(value any) {
	t.handlers.Lock()
	err := t.conn.Panicked(value, true)
	t.handlers.Unlock()
	if !t.over {
		t.end(err)
	}
}

// park returns when something is readable, with the bytes that were read, or
// when the input has ended, with the reason.
func (t *goroutineSocket) park() ([]byte, error) {
	if socket, _ := t.pollable(); socket != nil {
		t.async.replying.Store(false)
		return nil, awaitReadable(socket)
	}
	b := make([]byte, parkedReadSize)
	n, err := t.Conn.Read(b)
	return b[:n], err
}

// pollable returns the socket of the connection, nil if awaitReadable cannot
// wait for it, and whether TLS lies on it.
func (t *goroutineSocket) pollable() (socket net.Conn, secure bool) {
	nc := t.NetConn.Conn
	if async, ok := nc.(*asyncConn); ok {
		nc = async.Conn
	}
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc, secure = over.NetConn(), true
	}
	if async, ok := nc.(*asyncConn); ok {
		nc = async.Conn
	}
	if !canAwaitReadable || !isSocket(nc) {
		return nil, secure
	}
	return nc, secure
}

// work handles b, and then reads and handles input until there is none. It
// reports whether the connection parks then. Otherwise it has ended: by err, if
// that is not nil.
func (t *goroutineSocket) work(b []byte, err error) (parks bool) {
	s := t.newBurst()
	if err = s.handleInput(b, err); err == errPark {
		return true
	}
	switch err {
	case errRefused:
		err = nil
	case io.EOF:
		t.awaitAnswered()
	}
	t.end(err)
	return false
}

// handleInput handles b, if err is nil, and then reads and handles input until
// there is none. It returns errPark, errRefused, or why the input has ended.
func (s *burst) handleInput(b []byte, err error) error {
	if !s.receiveAll(b) {
		return errRefused
	}
	if err != nil {
		return err
	}
	if s.busy && s.plain {
		if err := s.readDirectly(s.async.writer.(*systemConn).Conn.(*directConn)); err != os.ErrDeadlineExceeded {
			return err
		}
	}
	buf := readBuffers.Get().(*[activeReadSize]byte)
	defer readBuffers.Put(buf)
	full := false
	for {
		in := buf[:]
		if full { // probably there is more input: a read that waits needs no large buffer
			if large := s.readBuffer(); large != nil {
				in = large
			}
		}
		n, err := s.read(in, full)
		if n > 0 && !s.receiveAll(in[:n]) {
			return errRefused
		}
		if err != nil {
			return err
		}
		full = n == len(in)
	}
}

// readBuffer returns a buffer of the connection for the next read, nil if it has
// none. Writable may run at the same time.
func (t *goroutineSocket) readBuffer() []byte {
	t.handlers.Lock()
	defer t.handlers.Unlock()
	return t.conn.ReadBuffer(maxReadBuffer)
}

// noteWake counts a wake-up, and reports whether the connection is busy.
func (t *goroutineSocket) noteWake() (busy bool) {
	if now := t.loop.cfg.Clock.Load(); t.wokenAt != now {
		t.wokenAt, t.wakes = now, 0
	}
	t.wakes = min(t.wakes+1, busyWakes)
	return t.wakes == busyWakes
}

// A burst is the work of a connection from one park to the next.
type burst struct {
	*goroutineSocket
	readable bool   // the socket has input
	plain    bool   // the connection is a socket without TLS
	asks     bool   // TLS may hold input
	busy     bool   // the connection should not park soon
	limited  uint32 // the tick at which a read deadline was set; 0: none
}

func (t *goroutineSocket) newBurst() burst {
	socket, secure := t.pollable()
	readable := socket != nil
	return burst{goroutineSocket: t, readable: readable, plain: readable && !secure, asks: readable && secure, busy: t.noteWake()}
}

// The results of a burst, other than the end of the input.
var (
	errPark    = errors.New("websocket: no input")
	errRefused = errors.New("websocket: no input is accepted")
)

// directBurst is a burst whose handlers run inside RawConn.Read.
type directBurst struct {
	*burst
	buf     *[directReadSize]byte // borrowed; nil while the connection waits
	last    int                   // the size of the last buffer
	drained bool                  // the last read has probably left no input
}

// directReadSize is the size in bytes of the buffer of a directBurst. It has
// space for a frame of 16 KiB and its header.
const directReadSize = 20 << 10

// directBuffers lends buffers to directBursts.
var directBuffers = sync.Pool{New: func() any { return new([directReadSize]byte) }}

// readDirectly handles input until none has arrived for idleGrace, or half of
// that. The error is then errPark or, if input is missing,
// os.ErrDeadlineExceeded.
func (s *burst) readDirectly(socket *directConn) error {
	s.async.replying.Store(true)
	d := directBurst{burst: s, drained: true}
	err := socket.read(&d)
	switch {
	case err == nil:
		return errRefused
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	s.busy, s.limited, s.readable = false, 0, false
	s.Conn.SetReadDeadline(time.Time{})
	if s.mayPark(false) {
		return errPark
	}
	return os.ErrDeadlineExceeded
}

func (d *directBurst) buffer() (in []byte) {
	if !d.drained { // a read without input needs no large buffer
		in = d.readBuffer()
	}
	if in == nil {
		if d.buf == nil {
			d.buf = directBuffers.Get().(*[directReadSize]byte)
		}
		in = d.buf[:]
	}
	d.last = len(in)
	return in
}

func (d *directBurst) handle(b []byte) bool {
	d.drained = len(b) < d.last
	return d.receiveAll(b)
}

func (d *directBurst) waits() {
	if d.buf != nil {
		directBuffers.Put(d.buf)
		d.buf = nil
	}
	d.drained = false
	d.limit(idleGrace)
}

// read reads available input, and waits for input that is missing. full reports
// whether the last read has filled its buffer.
func (s *burst) read(buf []byte, full bool) (n int, err error) {
	for {
		mayPark := s.mayPark(full)
		switch {
		case s.busy:
			s.limit(idleGrace)
		case mayPark && s.asks:
			s.limit(0)
		case mayPark:
			return 0, errPark
		}
		s.readable = false
		s.async.replying.Store(true) // TLS may hold requests for new keys that it answers before it reads
		n, err = s.Conn.Read(buf)
		if n > 0 || s.limited == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		s.busy, s.limited = false, 0
		s.Conn.SetReadDeadline(time.Time{})
		if mayPark {
			return 0, errPark
		}
	}
}

// mayPark reports whether no input is missing. An incomplete frame misses its
// rest: it needs a goroutine with a buffer.
func (s *burst) mayPark(full bool) bool {
	return !s.readable && !s.partial && (!full || s.asks)
}

// limit bounds reads by wait. It sets the deadline once a tick, not with each
// read.
func (s *burst) limit(wait time.Duration) {
	if now := s.loop.cfg.Clock.Load(); s.limited != now {
		s.limited = now
		s.Conn.SetReadDeadline(time.Now().Add(wait))
	}
}
