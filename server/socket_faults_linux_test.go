//go:build !portable

package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/sockbuf"
	"github.com/fibersock/fibersock/wire"
)

// Faults of the epoll loop that are seen from inside.

// A serving is a server with the epoll loop, and what its handlers were told.
type serving struct {
	*Server
	addr   string
	opened chan *Conn
	ended  chan error // what Error was told
}

func newServing(t *testing.T, s *Server) *serving {
	t.Helper()
	r := &serving{Server: s, opened: make(chan *Conn, 1), ended: make(chan error, 1)}
	s.Handler.Open = func(c *Conn) { r.opened <- c }
	s.Handler.Error = func(_ *Conn, err error) { r.ended <- err }
	ln, err := sockbuf.Listen()
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		<-served
	})
	return r
}

// open returns both ends of a connection that has opened.
func (r *serving) open(t *testing.T) (*net.TCPConn, *Conn) {
	t.Helper()
	nc, err := sockbuf.Dial(r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := nc.Write([]byte(upgradeRequests["minimal"])); err != nil {
		t.Fatal(err)
	}
	c := <-r.opened
	last, b := "", make([]byte, 1)
	for last != "\r\n\r\n" { // the response ends with an empty line
		if _, err := io.ReadFull(nc, b); err != nil {
			t.Fatal(err)
		}
		last = (last + string(b))[max(len(last)-3, 0):]
	}
	return nc.(*net.TCPConn), c
}

// message returns a message of a client.
func message(p string) []byte {
	return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Text, Masked: true}, []byte(p))
}

// echoes sends messages and awaits the echoes.
func echoes(t *testing.T, nc net.Conn, n int) {
	t.Helper()
	for range n {
		if _, err := nc.Write(message("?")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
	}
}

// events returns how many events the pollers have handled.
func (s *Server) events() (n uint64) {
	l := s.epoll()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pollers {
		n += p.claim.Load() >> indexBits & (1<<countBits - 1)
	}
	return n
}

// A reset of a connection whose handlers are busy is told once, and the poller has
// no more work from it than from any event: it used to be told over and over, and
// each time what Handler.Serve had not received yet was copied, which cost more than
// one processor and gigabytes of garbage a second.
func TestResetWhileHandlersAreBusyIsToldOnce(t *testing.T) {
	for name, handler := range map[string]func(block func()) Handler{
		"Message": func(block func()) Handler {
			return Handler{Message: func(*Conn, wire.Opcode, []byte) { block() }}
		},
		"Serve": func(block func()) Handler {
			return Handler{Serve: func(c *Conn) {
				c.Receive(t.Context())
				block()
			}}
		},
	} {
		for _, half := range []bool{false, true} {
			t.Run(fmt.Sprint(name, half), func(t *testing.T) {
				entered, release := make(chan struct{}, 100), make(chan struct{})
				h := handler(func() {
					entered <- struct{}{}
					<-release
				})
				r := newServing(t, &Server{Handler: h})
				nc, _ := r.open(t)
				clock, _ := newServing(t, &Server{Handler: Handler{Message: func(c *Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}).open(t)
				for range 50 {
					nc.Write(message(string(make([]byte, 2000))))
				}
				<-entered
				if half {
					nc.CloseWrite()
				}
				echoes(t, clock, 20)
				nc.SetLinger(0)
				nc.Close()
				echoes(t, clock, 20) // it has arrived
				const rounds = 500
				before := r.events()
				echoes(t, clock, rounds)
				if n := r.events() - before; n > 20 {
					t.Errorf("while another connection echoed %d times, there were %d events of the one that was reset", rounds, n)
				}
				if h.Serve != nil {
					err := <-r.ended
					if !errors.Is(err, syscall.ECONNRESET) && !(half && errors.Is(err, syscall.EPIPE)) { // as Linux has it
						t.Errorf("ended by %v", err)
					}
				}
				close(release)
			})
		}
	}
}

// What Handler.Serve is not ready for is kept once, however many times it takes some
// of it: 136 KiB of small messages used to cost 241 MiB of garbage.
func TestInputThatWaitsForServeIsNotCopied(t *testing.T) {
	const messages = 20_000
	all := make(chan struct{})
	r := newServing(t, &Server{Handler: Handler{Serve: func(c *Conn) {
		buf := make([]byte, 0, 10)
		for n := 1; ; n++ {
			var err error
			if _, buf, err = c.ReceiveInto(t.Context(), buf[:0]); err != nil {
				return
			}
			if n == messages {
				close(all)
			}
		}
	}}})
	nc, _ := r.open(t)
	var b []byte
	for range messages {
		b = append(b, message("x")...)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
	<-all
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d bytes allocated for %d bytes", n, len(b))
	}
	nc.Close()
	<-r.ended
}

// A timer of WriteTimeout that fires too late, because who empties the backlog has
// the lock, cuts nobody: the client has got everything. It used to be cut, and io.EOF
// was told as the reason.
func TestTimerThatFiresLateCutsNobody(t *testing.T) {
	r := newServing(t, &Server{
		WriteTimeout: time.Hour,
		Handler:      Handler{Message: func(c *Conn, op wire.Opcode, p []byte) { c.Send(op, p) }},
	})
	nc, c := r.open(t)
	s := c.transport.(*epollSocket)
	const size = 900 << 10
	if err := c.Send(wire.Binary, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if c.Buffered() == 0 {
		t.Fatal("nothing waits")
	}
	s.expire() // its time has been moved on
	if _, err := io.CopyN(io.Discard, nc, 10+size); err != nil {
		t.Fatal(err)
	}
	for c.Buffered() > 0 {
		time.Sleep(time.Millisecond)
	}
	s.expire() // there is nothing any more that it could be for
	echoes(t, nc, 1)

	// It is due, but the client has read, and the poller has not come to see that.
	if err := c.Send(wire.Binary, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	waited := s.backlog.size()
	s.more.deadline = time.Now().Add(-time.Hour)
	if _, err := io.CopyN(io.Discard, nc, int64(10+size-waited)); err != nil {
		t.Fatal(err)
	}
	s.expired()
	s.mu.Unlock()
	if _, err := io.CopyN(io.Discard, nc, int64(waited)); err != nil {
		t.Errorf("cut: %v", err)
	}
	echoes(t, nc, 1)
	nc.Close()
	<-r.ended
}

// A connection that epoll does not take is ended, and counted: it used to be kept,
// and nothing of it was ever read.
func TestConnectionThatEpollDoesNotTake(t *testing.T) {
	reported := make(chan error, 1)
	s := &Server{Log: func(err error) { reported <- err }}
	l := s.epoll()
	if _, err := l.enter(); err != nil {
		t.Fatal(err)
	}
	defer l.leave()
	a, b := tcpPair(t)
	defer b.Close()
	for _, p := range l.pollers {
		defer func(fd int) { p.fd = fd }(p.fd)
		p.fd = p.wakeup // is no epoll
	}
	fd, addrs, err := takeOver(a, &l.addrs)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	if err := l.add(fd, addrs, s.begin, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-reported; !errors.Is(err, syscall.EINVAL) {
		t.Errorf("reported: %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client got %v", err)
	}
	if st := s.Stats(); st.Opening != 0 || st.Unfinished != 1 {
		t.Errorf("%d in the opening handshake, %d unfinished", st.Opening, st.Unfinished)
	}
	if l.sockets.get(int32(fd)) != nil {
		t.Error("its socket is kept")
	}
}

// So is one that epoll does not serve any more.
func TestConnectionThatEpollLoses(t *testing.T) {
	r := newServing(t, new(Server))
	nc, c := r.open(t)
	s := c.transport.(*epollSocket)
	s.mu.Lock()
	fd := s.poller.fd
	s.poller.fd = s.poller.wakeup
	s.setPause(pausedProgram, 0)
	s.poller.fd = fd
	s.mu.Unlock()
	if err := <-r.ended; !errors.Is(err, syscall.EINVAL) {
		t.Errorf("ended by %v", err)
	}
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("the client can still read")
	}
}

// More kicks than a leader takes at once are not lost.
func TestKicksAreTakenInOrder(t *testing.T) {
	q := kickQueue{fds: []int32{1, 2, 3, 4, 5}}
	q.size.Store(5)
	var events [2]syscall.EpollEvent
	var got []int32
	for n := q.take(events[:]); n > 0; n = q.take(events[:]) {
		for _, e := range events[:n] {
			if e.Events != kickEvent {
				t.Errorf("an event %#x", e.Events)
			}
			got = append(got, e.Fd)
		}
	}
	if len(got) != 5 || got[0] != 1 || got[4] != 5 {
		t.Errorf("taken: %d", got)
	}
}

// A message is not held back by its handler, although the watchdog has given the
// poller to another leader before the message's answers were collected: the leader
// that was replaced collects none. Here a call of Handler.Drain is why it was.
func TestReplacedLeaderCollectsNothing(t *testing.T) {
	draining, drained, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r := newServing(t, &Server{Handler: Handler{
		Message: func(c *Conn, op wire.Opcode, p []byte) {
			if string(p) == "much" {
				c.Send(op, make([]byte, 900<<10))
				return
			}
			c.Send(op, p)
			<-release
		},
		Drain: func(*Conn) {
			close(draining)
			<-drained
		},
	}})
	nc, _ := r.open(t)
	nc.Write(message("much"))
	io.CopyN(io.Discard, nc, 10+900<<10)
	<-draining
	nc.Write(message("?"))
	for r.Stats().HandOffs == 0 {
		time.Sleep(time.Millisecond)
	}
	close(drained)
	if _, err := io.ReadFull(nc, make([]byte, 3)); err != nil {
		t.Errorf("while the handler runs, the client gets %v", err)
	}
	close(release)
	nc.Close()
	<-r.ended
}

// What a server takes over from package net does not block, although the program has
// made it blocking by File().Fd(): one client that did not read used to stop the
// process.
func TestAdoptedConnectionIsMadeNonBlocking(t *testing.T) {
	a, b := tcpPair(t)
	defer b.Close()
	f, err := a.File()
	if err != nil {
		t.Fatal(err)
	}
	f.Fd()
	f.Close()
	fd, _, err := takeOver(a, new(atomic.Pointer[addrs]))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	a.Close()
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
	if errno != 0 || flags&syscall.O_NONBLOCK == 0 {
		t.Errorf("its flags are %#x, %v", flags, errno)
	}
}
