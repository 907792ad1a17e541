//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

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

	"github.com/fibersock/fibersock/internal/test/check"
)

// events returns the number of events that the pollers have handled.
func (l *polledLoop) events() (n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pollers {
		n += p.progress.Load() >> indexBits & (1<<countBits - 1)
	}
	return n
}

// A reset of a connection whose handlers are busy is reported once, and causes
// the poller no more work than any event. It used to be reported over and over,
// and each time the input that the connection was not ready for was copied:
// more than one processor and gigabytes of garbage a second.
func TestResetWhileHandlersAreBusyIsReportedOnce(t *testing.T) {
	for _, style := range []string{"in a handler", "not ready"} {
		for _, half := range []bool{false, true} {
			t.Run(fmt.Sprint(style, half), func(t *testing.T) {
				entered, release := make(chan struct{}, 100), make(chan struct{})
				var busy atomic.Bool
				l := newTestLoop(t, Config{MaxBlocked: 10}, listen(t), func() *testConn {
					return &testConn{
						received: func(c *testConn, b []byte) ([]byte, bool) {
							entered <- struct{}{}
							if style == "in a handler" {
								<-release
								return nil, true
							}
							busy.Store(true)
							return b[1:], true
						},
						ready: func() bool { return !busy.Load() },
					}
				})
				nc, _ := l.connect(t)
				clock, _ := newTestLoop(t, Config{MaxBlocked: 10}, listen(t), nil).connect(t)
				for range 50 {
					nc.Write(make([]byte, 2000))
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
				before := l.pollers().events()
				echoes(t, clock, rounds)
				if n := l.pollers().events() - before; n > 20 {
					t.Errorf("while another connection echoed %d times, there were %d events of the one that was reset", rounds, n)
				}
				close(release)
				if err := <-l.closed; !errors.Is(err, syscall.ECONNRESET) && !(half && (errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE))) {
					t.Errorf("closed by %v", err)
				}
			})
		}
	}
}

// Leaders that got no processor for a while, and were replaced, still have
// events of input from before reading was paused. They used to read once each,
// so that the replies exceeded every limit.
func TestOldEventsOfInputAreNotReadWhilePaused(t *testing.T) {
	var received atomic.Int64
	var full atomic.Bool // the kernel accepts no output
	full.Store(true)
	l := newTestLoop(t, Config{MaxBlocked: 10, Limit: WriteLimit{PauseRead: 64 << 10}}, nil, nil)
	calls := *kernel
	calls.write = func(fd int32, p []byte) (int, error) {
		if full.Load() {
			return 0, syscall.EAGAIN
		}
		return kernel.write(fd, p)
	}
	calls.writev = func(fd int32, a, b []byte) (int, error) {
		if full.Load() {
			return 0, syscall.EAGAIN
		}
		return kernel.writev(fd, a, b)
	}
	l.pollers().sys = &calls
	a, nc := tcpPair(t)
	defer nc.Close()
	l.Start(a, l.open(func() *testConn {
		return &testConn{received: func(c *testConn, b []byte) ([]byte, bool) {
			received.Add(int64(len(b)))
			return nil, c.socket.Writev(nil, b) == nil
		}}
	}), nil, nil)
	s := (<-l.started).socket.(*PolledSocket)
	const size = 8 << 20 // more than the loop reads before it pauses
	written := make(chan error, 1)
	go func() { written <- check.Err(nc.Write(make([]byte, size))) }()
	unread := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		n, _, _ := syscall.Recvfrom(int(s.fd), make([]byte, 1), syscall.MSG_PEEK)
		return n > 0
	}
	for !s.ReadPaused() || s.owner.Load() != ownerNone || !unread() {
		runtime.Gosched()
	}
	before := received.Load()
	w := l.pollers().newWorker()
	w.leads = s.poller
	for range 5 {
		s.ready(w, readyInput)
	}
	if n := received.Load() - before; n > 0 {
		t.Errorf("%d bytes were received while reading was paused", n)
	}
	full.Store(false)
	check.Must(t, check.Err(io.CopyN(io.Discard, nc, size)))
	check.OK(t, <-written)
	nc.Close()
	<-l.closed
}

// A timer that fires too late, because the goroutine that flushes the write
// buffer holds the lock, aborts nothing: the peer has received all bytes. The
// connection used to be aborted with io.EOF as the reason.
func TestTimerThatFiresLateAbortsNothing(t *testing.T) {
	l := newTestLoop(t, Config{WriteTimeout: WriteTimeout{After: time.Hour, Err: errLate}, MaxBlocked: 10}, listen(t), nil)
	nc, c := l.connect(t)
	s := c.socket.(*PolledSocket)
	const size = 900 << 10
	check.Must(t, s.Writev(nil, make([]byte, size)))
	if s.Buffered() == 0 {
		t.Fatal("nothing is buffered")
	}
	s.expire() // the deadline has been moved
	check.Must(t, check.Err(io.CopyN(io.Discard, nc, size)))
	for s.Buffered() > 0 {
		runtime.Gosched()
	}
	s.expire() // the deadline was removed
	echoes(t, nc, 1)

	// The time is over, but the peer has read, and the poller has not handled
	// that.
	check.Must(t, s.Writev(nil, make([]byte, size)))
	s.mu.Lock()
	buffered := s.out.size()
	s.ext.deadline = time.Now().Add(-time.Hour)
	check.Must(t, check.Err(io.CopyN(io.Discard, nc, int64(size-buffered))))
	s.expired()
	s.mu.Unlock()
	if _, err := io.CopyN(io.Discard, nc, int64(buffered)); err != nil {
		t.Errorf("aborted: %v", err)
	}
	echoes(t, nc, 1)
	nc.Close()
	<-l.closed
}

// withoutEvents makes the registration of sockets of a loop fail, before it
// serves.
func withoutEvents(l *Loop, fails *atomic.Bool) {
	calls := *kernel
	calls.watch = func(queue int, fd int32, from, to interest) error {
		if fails.Load() {
			return syscall.EINVAL
		}
		return kernel.watch(queue, fd, from, to)
	}
	l.pollers().sys = &calls
}

// A connection that the kernel refuses to report ends: it used to be kept and
// never read.
func TestConnectionThatIsNotRegistered(t *testing.T) {
	var fails atomic.Bool
	fails.Store(true)
	idle := newTestLoop(t, Config{MaxBlocked: 10}, nil, nil)
	withoutEvents(idle.Loop, &fails)
	a, b := tcpPair(t)
	defer b.Close()
	idle.Start(a, idle.open(nil), nil, nil)
	if err := <-idle.closed; !errors.Is(err, syscall.EINVAL) {
		t.Errorf("closed by %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer got %v", err)
	}
}

// A connection whose registration cannot be changed ends too.
func TestConnectionWhoseRegistrationFails(t *testing.T) {
	var fails atomic.Bool
	l := newTestLoop(t, Config{MaxBlocked: 10}, nil, nil)
	withoutEvents(l.Loop, &fails)
	a, b := tcpPair(t)
	defer b.Close()
	l.Start(a, l.open(nil), nil, nil)
	s := (<-l.started).socket.(*PolledSocket)
	echoes(t, b, 1)
	fails.Store(true)
	s.mu.Lock()
	s.paused |= pausedConn
	s.arm()
	s.mu.Unlock()
	if err := <-l.closed; !errors.Is(err, syscall.EINVAL) {
		t.Errorf("closed by %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("the peer can still read")
	}
}

// Kicks beyond the number that a leader gets at once are not lost.
func TestKicksAreHandledInOrder(t *testing.T) {
	q := kickQueue{fds: []int32{1, 2, 3, 4, 5}}
	q.size.Store(5)
	var events [2]pollEvent
	var got []int32
	for n := q.appendTo(events[:]); n > 0; n = q.appendTo(events[:]) {
		for _, e := range events[:n] {
			if e.Events != kickEvent {
				t.Errorf("an event %#x", e.Events)
			}
			got = append(got, e.Fd)
		}
	}
	if len(got) != 5 || got[0] != 1 || got[4] != 5 {
		t.Errorf("handled: %d", got)
	}
}

// The table finds a socket by its descriptor, also the highest one, and no
// socket elsewhere.
func TestTableFindsByDescriptor(t *testing.T) {
	var table fdTable
	for _, fd := range []int32{0, 1, 1023, 1024, maxDescriptors - 1} {
		s := new(PolledSocket)
		table.put(fd, s)
		if table.get(fd) != s {
			t.Errorf("descriptor %d is not found", fd)
		}
		table.remove(fd)
		if table.get(fd) != nil {
			t.Errorf("descriptor %d is found after it was removed", fd)
		}
	}
	if table.get(77_777) != nil {
		t.Error("a socket is found at an unused descriptor")
	}
}

// A descriptor that the table has no place for is refused with the error of too
// many.
func TestDescriptorBeyondTheTableIsRefused(t *testing.T) {
	var l polledLoop
	if err := l.add(maxDescriptors, addrPair{}, nil, nil, nil); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("descriptor %d: %v, want EMFILE", maxDescriptors, err)
	}
}

// The generation of a poller's leader fits into a progress, for any number of
// leaders. After 2^24 hand-offs, a few hours of handlers that block, the next
// leader used to consider itself replaced, and the poller stopped.
func TestGenerationsOfLeadersAreReused(t *testing.T) {
	const most = 1<<(64-countBits-indexBits) - 1
	for _, generation := range []uint64{0, 1, most - 1, most} {
		next := nextGeneration(makeProgress(generation, 7, 3))
		if got := progressGeneration(makeProgress(next, 8, idleIndex)); got != next {
			t.Errorf("after generation %d: %d, in the progress %d", generation, next, got)
		}
	}
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	defer ln.Close()
	theirs, err := net.Dial("tcp", ln.Addr().String())
	check.Must(t, err)
	ours, err := ln.Accept()
	check.Must(t, err)
	return ours.(*net.TCPConn), theirs.(*net.TCPConn)
}
