package server

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// This file is how a connection of the goroutineLoop costs little while nothing
// comes. It is then served by a goroutine that does next to nothing, so that its
// stack stays as small as it began. Two take turns:
//
//	resting  waits until something comes           least stack, no buffer
//	working  reads and runs handlers, until all    stack as they need it, a buffer
//	         that has come is done                 that is lent
//
// A stack that has grown is not given back whole as long as its goroutine lives:
// that is why each of the two starts the other and ends.
//
// A socket is waited for without reading from it, because TLS may lie on it. So it
// must be known that TLS itself holds nothing that the client has sent, such as a
// message that came together with the end of the handshake: it is asked by a read
// whose deadline is over. What is no socket is waited for by a read of a few bytes.

// readBufferSize is what a connection reads at once, in bytes.
const readBufferSize = 4 << 10

// readBuffers lends what is read into.
var readBuffers = sync.Pool{New: func() any { return new([readBufferSize]byte) }}

// restingRead is how much of what is no socket is read while it rests, in bytes: no
// less than the Pong of a heartbeat.
const restingRead = 16

// A connection that is woken busyWakes times within a tick is busy: it goes on
// working until nothing has come for linger, or half of that.
const (
	busyWakes = 4
	linger    = 2 * time.Second
)

func (t *goroutineTransport) resting() {
	b, err := t.rest()
	t.run(func() { t.working(b, err) })
}

func (t *goroutineTransport) working(b []byte, err error) {
	if t.work(b, err) {
		t.run(t.resting)
	}
}

// run runs f on a goroutine of its own, as the one that serves the connection. If
// f does not return, because a function of the application has panicked or called
// runtime.Goexit, the connection ends.
func (t *goroutineTransport) run(f func()) {
	go func() {
		returned := false
		defer func() {
			if !returned {
				value := recover()
				t.run(func() { t.abandon(value) })
			}
		}()
		f()
		returned = true
	}()
}

// abandon ends a connection whose goroutine has ended because of a panic with
// value, or because of runtime.Goexit if value is nil.
func (t *goroutineTransport) abandon(value any) {
	var why error
	if value != nil || t.conn.phase.load() != phaseEnded { // else Conn has reported it
		why = t.broken(value)
	}
	if !t.over {
		t.end(why)
	}
}

// broken fails the connection because a method of its net.Conn, or a function of
// Server.TLS that this has called, did not return. The error is the reason if the
// connection was not open yet.
func (t *goroutineTransport) broken(value any) error {
	t.turn.Lock()
	defer t.turn.Unlock()
	if t.conn.isOpening() {
		return t.conn.server.caught(value)
	}
	t.conn.panicked(value)
	return nil
}

// rest returns when something has come, with what has been read of it, or by what
// the connection has ended.
func (t *goroutineTransport) rest() ([]byte, error) {
	if socket, _ := t.bottom(); socket != nil {
		t.prompt.answering.Store(false)
		return nil, awaitReadable(socket)
	}
	b := make([]byte, restingRead)
	n, err := t.Read(b)
	return b[:n], err
}

// bottom returns the socket that the connection goes through, nil if it cannot be
// waited for, and whether TLS lies on it.
func (t *goroutineTransport) bottom() (socket net.Conn, secure bool) {
	nc := t.Conn.Conn
	if prompt, ok := nc.(*promptConn); ok {
		nc = prompt.Conn
	}
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc, secure = over.NetConn(), true
	}
	if prompt, ok := nc.(*promptConn); ok {
		nc = prompt.Conn
	}
	if !canAwaitReadable || !isSocket(nc) {
		return nil, secure
	}
	return nc, secure
}

// work has received what has come: b, and then what is read until there is no
// more. It reports whether the connection is to rest then. Otherwise it has ended;
// so it does by err, if that is not nil.
func (t *goroutineTransport) work(b []byte, err error) (rests bool) {
	buf := readBuffers.Get().(*[readBufferSize]byte)
	defer readBuffers.Put(buf)
	s := t.stint()
	for {
		if !t.receiveAll(b) {
			t.end(nil)
			return false
		}
		if err != nil {
			if err == io.EOF {
				t.awaitServed()
			}
			t.end(err)
			return false
		}
		var n int
		if n, err = s.read(buf[:], len(b)); err == errRest {
			return true
		}
		b = buf[:n]
	}
}

// wake notes that the connection is woken, and reports whether it is busy.
func (t *goroutineTransport) wake() (busy bool) {
	if now := t.conn.server.clock.now(); t.wokenAt != now {
		t.wokenAt, t.wakes = now, 0
	}
	t.wakes = min(t.wakes+1, busyWakes)
	return t.wakes == busyWakes
}

// A stint is what a connection does from one rest to the next.
type stint struct {
	*goroutineTransport
	due     bool // the socket has something
	asks    bool // TLS may hold something
	busy    bool // the connection is not to rest soon
	limited tick // when a read deadline was set; 0: there is none
}

func (t *goroutineTransport) stint() stint {
	socket, secure := t.bottom()
	return stint{goroutineTransport: t, due: socket != nil, asks: socket != nil && secure, busy: t.wake()}
}

// errRest says that the connection is to rest.
var errRest = errors.New("nothing is there")

// read reads what has come, and waits for what has to. last is how many bytes it
// was the last time.
func (s *stint) read(buf []byte, last int) (n int, err error) {
	for {
		mayRest := s.mayRest(last)
		switch {
		case s.busy:
			s.limit(linger)
		case mayRest && s.asks:
			s.limit(0)
		case mayRest:
			return 0, errRest
		}
		s.due = false
		s.prompt.answering.Store(true) // TLS may hold requests for new keys that it answers before it reads
		n, err = s.Read(buf)
		if n > 0 || s.limited == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		s.busy, s.limited = false, 0
		s.SetReadDeadline(time.Time{})
		if mayRest {
			return 0, errRest
		}
	}
}

// mayRest reports whether nothing has to come. A frame that is under way has to:
// the one who waits for the rest of it has a buffer.
func (s *stint) mayRest(last int) bool {
	if s.due || !s.conn.isOpen() {
		return false
	}
	return !s.underWay && (last < readBufferSize || s.asks)
}

// limit has reads wait no longer than wait. It is not set anew with each read.
func (s *stint) limit(wait time.Duration) {
	if now := s.conn.server.clock.now(); s.limited != now {
		s.limited = now
		s.SetReadDeadline(time.Now().Add(wait))
	}
}
