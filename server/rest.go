package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
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
// A connection rests on a read of a few bytes. TLS would need much stack for that:
// there it rests on what is below, and so it must be known that TLS itself holds
// nothing that the client has sent, such as a message that came together with the
// end of the handshake. It is asked by a read whose deadline is over.

// readBufferSize is what a connection reads at once, in bytes.
const readBufferSize = 4 << 10

// readBuffers lends what is read into.
var readBuffers = sync.Pool{New: func() any { return new([readBufferSize]byte) }}

// restingRead is how much a connection rests on, in bytes: no less than the Pong
// of a heartbeat.
const restingRead = 16

// A connection that is woken busyWakes times within a tick is busy: it goes on
// working until nothing has come for linger, or half of that.
const (
	busyWakes = 8
	linger    = 2 * time.Second
)

func (t *goroutineTransport) resting() {
	n, err := t.rest()
	go t.working(n, err)
}

func (t *goroutineTransport) working(n int, err error) {
	if t.work(n, err) {
		go t.resting()
	}
}

// rest returns when something has come, n bytes of which are in t.came, or by what
// the connection has ended.
func (t *goroutineTransport) rest() (n int, err error) {
	if below := t.belowTLS(); below != nil {
		return 0, awaitReadable(below)
	}
	return t.Read(t.came[:])
}

// belowTLS returns the socket that lies below TLS, nil if there is none, or if it
// cannot be waited for.
func (t *goroutineTransport) belowTLS() syscall.Conn {
	secure, ok := t.Conn.Conn.(interface{ NetConn() net.Conn })
	if !ok || !canAwaitReadable {
		return nil
	}
	below := secure.NetConn()
	if prompt, ok := below.(*promptConn); ok {
		below = prompt.Conn
	}
	switch below := below.(type) {
	case *net.TCPConn:
		return below
	case *net.UnixConn:
		return below
	}
	return nil
}

// work has received what has come: n bytes in t.came, and then what is read until
// there is no more. It reports whether the connection is to rest then. Otherwise
// it has ended; so it does by err, if that is not nil.
func (t *goroutineTransport) work(n int, err error) (rests bool) {
	buf := readBuffers.Get().(*[readBufferSize]byte)
	defer readBuffers.Put(buf)
	copy(buf[:], t.came[:n])
	s := stint{goroutineTransport: t, recorded: t.belowTLS() != nil, busy: t.wake()}
	s.woken = s.recorded
	for {
		if !t.receiveAll(buf[:n]) {
			t.end(nil)
			return false
		}
		if err != nil {
			t.end(err)
			return false
		}
		if n, err = s.read(buf[:], n); err == errRest {
			return true
		}
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
	recorded bool // it rests below TLS, which may hold something
	woken    bool // by something that TLS has not read
	busy     bool // it is not to rest soon
	limited  tick // when a read deadline was set; 0: there is none
}

// errRest says that the connection is to rest.
var errRest = errors.New("nothing is there")

// read reads what has come, and waits for what has to. last is how many bytes it
// was the last time.
func (s *stint) read(buf []byte, last int) (n int, err error) {
	for {
		mayRest := !s.woken && s.mayRest(last)
		s.woken = false
		switch {
		case s.busy:
			s.limit(linger)
		case mayRest && s.recorded:
			s.limit(0)
		case mayRest:
			return 0, errRest
		}
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
	if !s.conn.isOpen() {
		return false
	}
	_, underWay := s.conn.endpoint.UnderWay()
	return !underWay && (last < readBufferSize || s.recorded)
}

// limit has reads wait no longer than wait. It is not set anew with each read.
func (s *stint) limit(wait time.Duration) {
	if now := s.conn.server.clock.now(); s.limited != now {
		s.limited = now
		s.SetReadDeadline(time.Now().Add(wait))
	}
}
