//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
)

// A fanout is a loop with a connection whose handler is a test's, and a
// receiver whose writes are counted. Its watchdog interrupts no handler, however
// long the goroutine of one gets no processor, unless Config.WatchPeriod is set.
type fanout struct {
	*testLoop
	sender   *net.TCPConn
	receiver *net.TCPConn
	from, to *PolledSocket
	full     atomic.Bool  // the kernel accepts no output to the receiver
	writes   atomic.Int32 // system calls that write to the receiver
	handler  func(b []byte)
	handled  chan struct{} // for each return of handler
	watched  bool          // the watchdog may interrupt handler
}

func newFanout(t *testing.T, cfg Config, handler func(f *fanout, b []byte)) *fanout {
	t.Helper()
	f := &fanout{handled: make(chan struct{}, 100)}
	f.handler = func(b []byte) { handler(f, b) }
	if f.watched = cfg.WatchPeriod != 0; !f.watched {
		cfg.WatchPeriod = time.Hour
	}
	f.testLoop = newTestLoop(t, cfg, nil, nil)
	calls := *kernel
	accepts := func(fd int32) error {
		if to := f.to; to != nil && fd == to.fd {
			if f.full.Load() {
				return syscall.EAGAIN
			}
			f.writes.Add(1)
		}
		return nil
	}
	calls.write = func(fd int32, p []byte) (int, error) {
		if err := accepts(fd); err != nil {
			return 0, err
		}
		return kernel.write(fd, p)
	}
	calls.writev = func(fd int32, a, b []byte) (int, error) {
		if err := accepts(fd); err != nil {
			return 0, err
		}
		return kernel.writev(fd, a, b)
	}
	f.pollers().sys = &calls
	f.receiver, f.to = f.connect(t)
	f.sender, f.from = f.connect(t)
	return f
}

// connect makes another connection with the same handler. It returns when that
// is registered and no leader handles an event: a socket whose own handler runs
// defers nothing, and a leader whose stack has grown since it began may pass for
// another one.
func (f *fanout) connect(t *testing.T) (*net.TCPConn, *PolledSocket) {
	t.Helper()
	a, b := tcpPair(t)
	b.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { b.Close() })
	f.Start(a, f.open(func() *testConn {
		return &testConn{closed: func(*testConn, error) {}, received: func(c *testConn, b []byte) ([]byte, bool) {
			if len(b) > 0 {
				defer func() { f.handled <- struct{}{} }()
				if !f.watched {
					settle(c.socket.(*PolledSocket).poller)
				}
				f.handler(b)
			}
			return nil, true
		}}
	}), nil, nil)
	s := (<-f.started).socket.(*PolledSocket)
	f.runFor(t, b, func() {})
	f.awaitIdle()
	return b, s
}

// awaitIdle returns when no leader handles an event.
func (l *testLoop) awaitIdle() {
	for l.pollers().guard.anyBusy() {
		runtime.Gosched()
	}
}

// settle has the stack of the leader of p, which calls it, grow to the size that
// the handler needs. The runtime may have shrunk it since the last handler.
func settle(p *poller) {
	deep(stackRoom, func() {})
	p.beginDeferring(p.progress.Load(), false)
}

// run calls g in a handler of the sender.
func (f *fanout) run(t *testing.T, g func()) {
	t.Helper()
	f.runFor(t, f.sender, g)
}

// runFor calls g in a handler of the socket whose peer is nc.
func (f *fanout) runFor(t *testing.T, nc net.Conn, g func()) {
	t.Helper()
	handler := f.handler
	f.handler = func([]byte) { g() }
	check.Must(t, check.Err(nc.Write([]byte("?"))))
	<-f.handled
	f.handler = handler
}

// send calls the handler with input, and returns when it has returned.
func (f *fanout) send(t *testing.T, input string) {
	t.Helper()
	check.Must(t, check.Err(f.sender.Write([]byte(input))))
	<-f.handled
}

// want reads text from the receiver.
func (f *fanout) want(t *testing.T, text string) {
	t.Helper()
	got := make([]byte, len(text))
	_, err := io.ReadFull(f.receiver, got)
	if err != nil || string(got) != text {
		t.Fatalf("received %.80q and %v, want %.80q", got, err, text)
	}
	f.to.Flush() // returns when the write has been counted
}

// write writes text to the receiver.
func (f *fanout) write(t *testing.T, text string) {
	t.Helper()
	check.OK(t, f.to.Writev(nil, []byte(text)))
}

// Output of a handler to another connection is written once, in order, when the
// batch has been handled. It is counted as buffered until then.
func TestOutputToOthersIsWrittenOnce(t *testing.T) {
	f := newFanout(t, Config{MaxBlocked: 10}, func(f *fanout, b []byte) {
		f.from.MoreInput(true)
		f.write(t, "1")
		f.to.Writev([]byte("2"), []byte("3"))
		if n := f.to.Buffered(); n != 3 || !f.to.Deferred() || f.buffered.Load() != 3 {
			t.Errorf("%d bytes buffered, %d in all; deferred: %v", n, f.buffered.Load(), f.to.Deferred())
		}
		f.from.MoreInput(false)
		f.write(t, "4")
	})
	f.send(t, "?")
	f.want(t, "1234")
	if n := f.writes.Load(); n != 1 {
		t.Errorf("written in %d calls", n)
	}
	f.to.mu.Lock()
	defer f.to.mu.Unlock()
	if f.to.ext != nil && f.to.ext.timer != nil {
		t.Error("deferred output has set a timer")
	}
}

// If nothing more follows in the batch, nothing is deferred.
func TestLastOutputOfABatchIsWrittenAtOnce(t *testing.T) {
	f := newFanout(t, Config{MaxBlocked: 10}, func(f *fanout, b []byte) {
		f.write(t, "1")
		if f.to.Buffered() != 0 || f.writes.Load() != 1 {
			t.Errorf("%d bytes buffered after %d writes", f.to.Buffered(), f.writes.Load())
		}
	})
	f.send(t, "?")
	f.want(t, "1")
}

// A goroutine that leads no poller writes at once, and behind output that was
// deferred.
func TestOutputOfOtherGoroutinesIsWrittenAtOnce(t *testing.T) {
	f := newFanout(t, Config{MaxBlocked: 10}, func(f *fanout, b []byte) {
		f.from.MoreInput(true)
		f.write(t, "1")
		deferred := f.to.Deferred()
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.write(t, "2")
			if !deferred || f.to.Buffered() != 0 {
				t.Errorf("deferred before: %v; %d bytes buffered", deferred, f.to.Buffered())
			}
		}()
		<-done
	})
	f.send(t, "?")
	f.want(t, "12")
}

// Output that is large is written at once, behind the deferred one.
func TestLargeOutputIsNotDeferred(t *testing.T) {
	large := string(make([]byte, maxDeferred))
	f := newFanout(t, Config{MaxBlocked: 10}, func(f *fanout, b []byte) {
		f.from.MoreInput(true)
		f.write(t, "1")
		f.write(t, large)
		if f.to.Deferred() {
			t.Error("deferred")
		}
		f.write(t, "2")
	})
	f.send(t, "?")
	f.want(t, "1"+large+"2")
}

// A poller defers no more than maxDeferredTotal.
func TestDeferredOutputIsBounded(t *testing.T) {
	f := newFanout(t, Config{MaxBlocked: 10}, func(f *fanout, b []byte) {
		f.from.MoreInput(true)
		f.from.poller.deferrals.bytes = maxDeferredTotal - smallBuf
		f.write(t, "1")
		deferred := f.to.Deferred()
		f.write(t, "2")
		if !deferred || f.to.Deferred() {
			t.Errorf("deferred before the limit: %v, beyond it: %v", deferred, f.to.Deferred())
		}
	})
	f.send(t, "?")
	f.want(t, "12")
}

// Deferred output reaches the receiver while the handler that has written it
// blocks, whether its poller gets another leader or not. After that the handler
// defers nothing.
func TestHandlerThatBlocksDelaysNoOutput(t *testing.T) {
	for name, most := range map[string]int{"handed off": 10, "refused": 0} {
		t.Run(name, func(t *testing.T) {
			received := make(chan struct{})
			f := newFanout(t, Config{MaxBlocked: most, WatchPeriod: watchPeriod}, func(f *fanout, b []byte) {
				f.from.MoreInput(true)
				f.write(t, "1")
				<-received
				f.write(t, "2")
				if f.to.Deferred() {
					t.Error("deferred by a handler that has blocked")
				}
			})
			f.sender.Write([]byte("?"))
			f.want(t, "1")
			close(received)
			f.want(t, "2")
			<-f.handled
		})
	}
}

// A hand-off may be refused before the handler of the same event collects its
// output, here while Writable runs. The output used to wait until the handler
// returned.
func TestHandlerThatCollectsAfterARefusedHandOff(t *testing.T) {
	const size = 4 << 20 // more than the kernel buffers
	sent, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	l := newTestLoop(t, Config{WatchPeriod: watchPeriod}, listen(t), func() *testConn {
		c := newCollecting(func(c *collecting, b []byte) {
			c.send(string(b))
			<-release
		})
		c.writable = func(*testConn) bool {
			<-sent
			return true
		}
		return &c.testConn
	})
	nc, conn := l.connect(t)
	check.Must(t, conn.socket.Writev(nil, make([]byte, size)))
	check.Must(t, check.Err(io.CopyN(io.Discard, nc, size)))
	for l.counters.HandOffsRefused.Load() == 0 { // Writable is called
		runtime.Gosched()
	}
	check.Must(t, check.Err(nc.Write([]byte("reply"))))
	close(sent)
	reads(t, nc, "reply")
}

// The output of a handler that blocks is written although a hand-off is refused,
// also if another leader, which had no processor since it was replaced, begins
// with its event meanwhile. The watchdog used to write the output of that one.
func TestRefusedHandOffBesideALeaderThatWasReplaced(t *testing.T) {
	entered, release := make(chan *testConn), make(chan struct{})
	var calls atomic.Int32
	var ended atomic.Pointer[testConn]
	l := newTestLoop(t, Config{MaxBlocked: 1, WatchPeriod: time.Hour}, listen(t), func() *testConn {
		c := &testConn{received: func(c *testConn, _ []byte) ([]byte, bool) {
			returns := calls.Add(1) == 1
			if entered <- c; !returns {
				<-release
			}
			return nil, true
		}}
		c.end = func() { ended.Store(c) }
		return c
	})
	type end struct {
		nc   *net.TCPConn
		conn *testConn
	}
	of := make(map[*poller]end)
	var first, second end
	for second.conn == nil { // until a poller has two connections
		nc, c := l.connect(t)
		p := c.socket.(*PolledSocket).poller
		if first = of[p]; first.conn != nil {
			second = end{nc, c}
		}
		of[p] = end{nc, c}
	}
	s := first.conn.socket.(*PolledSocket)
	p := s.poller
	await := func(what string, done func() bool) {
		t.Helper()
		for began := time.Now(); !done(); runtime.Gosched() {
			if time.Since(began) > 30*time.Second {
				t.Fatal(what)
			}
		}
	}
	enters := func(e end) {
		t.Helper()
		select {
		case c := <-entered:
			if c != e.conn {
				t.Fatal("the handler of another connection was called")
			}
		case <-time.After(30 * time.Second):
			t.Fatal("no handler was called")
		}
	}
	defer close(release)
	p.loop.mu.Lock() // after the start of the leaders
	p.guard.alarm <- struct{}{}
	p.guard.asleep.Store(true) // a leader waits with the alarm, as without a processor
	p.loop.mu.Unlock()
	check.Must(t, check.Err(first.nc.Write([]byte("?"))))
	await("no leader", func() bool { return !p.idle() && !p.guard.asleep.Load() })
	p.handOff(p.progress.Load())
	enters(first) // by the new leader
	check.Must(t, check.Err(second.nc.Write([]byte("?"))))
	enters(second)
	check.Must(t, check.Err(first.nc.Write([]byte("?"))))
	await("no input", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		n, _, _ := syscall.Recvfrom(int(s.fd), make([]byte, 1), syscall.MSG_PEEK)
		return n > 0
	})
	<-p.guard.alarm
	enters(first) // by the leader that was replaced
	p.handOff(p.progress.Load())
	if n := l.counters.HandOffsRefused.Load(); n != 1 {
		t.Errorf("%d hand-offs were refused, want 1", n)
	}
	if ended.Load() != second.conn {
		t.Error("the output of another handler was written")
	}
}

// Deferred output is written although the handler ends its goroutine.
func TestHandlerThatEndsItsGoroutineHasItsOutputWritten(t *testing.T) {
	f := newFanout(t, Config{MaxBlocked: 10}, func(f *fanout, b []byte) {
		f.from.MoreInput(true)
		f.write(t, "1")
		if !f.to.Deferred() {
			t.Error("not deferred")
		}
		runtime.Goexit()
	})
	f.send(t, "?")
	f.want(t, "1")
}

// A batch that takes longer than the watchdog's period is interrupted: deferred
// output is written before the next event is handled.
func TestLongBatchDelaysNoOutput(t *testing.T) {
	w := newExplorer().newWorld()
	p, s := w.poller, w.socket
	leader := w.workers[0]
	leader.n = 7
	leader.events[6] = pollEvent{Events: readyInput, Fd: exploredFD}
	reads := 0
	p.sys.read = func(int32, []byte) (int, error) {
		if reads++; s.Deferred() {
			t.Error("deferred until after the next event")
		}
		return 0, syscall.EAGAIN
	}
	progress := makeProgress(0, 1, 5)
	p.progress.Store(progress)
	p.inReserve(func() {
		p.beginDeferring(progress, true)
		check.Must(t, s.Writev(nil, []byte("1")))
		if !s.Deferred() {
			t.Error("not deferred")
		}
		p.deferrals.due.Store(true)
		if !p.handleEvents(leader, 0) || reads != 1 {
			t.Errorf("replaced, or %d reads", reads)
		}
	})
}

// CloseWrite ends the output behind the deferred one; Abort discards it.
func TestEndOfASocketWithDeferredOutput(t *testing.T) {
	for name, end := range map[string]func(s *PolledSocket){
		"1": func(s *PolledSocket) { s.CloseWrite(false) },
		"":  func(s *PolledSocket) { s.Abort() },
	} {
		f := newFanout(t, Config{MaxBlocked: 10}, func(f *fanout, b []byte) {
			f.from.MoreInput(true)
			f.write(t, "1")
			end(f.to)
			if err := f.to.Writev(nil, []byte("2")); err != net.ErrClosed {
				t.Errorf("a write after the end: %v", err)
			}
			if n := f.to.Buffered(); n != 0 {
				t.Errorf("%d bytes buffered after the end", n)
			}
		})
		f.send(t, "?")
		got, _ := io.ReadAll(f.receiver)
		if string(got) != name {
			t.Errorf("received %q before the end, want %q", got, name)
		}
	}
}

// A writer that waits for space does not wait for the end of the batch.
func TestSpaceAfterDeferredOutput(t *testing.T) {
	f := newFanout(t, Config{MaxBlocked: 10, Limit: WriteLimit{High: 1}}, func(f *fanout, b []byte) {
		f.from.MoreInput(true)
		f.write(t, "1")
		if n := f.to.Space(1); n != 0 {
			t.Errorf("space for %d bytes", n)
		}
		f.to.AwaitSpace(1)
		if n := f.to.Space(1); n != 1 || f.to.Deferred() {
			t.Errorf("space for %d bytes, deferred %v", n, f.to.Deferred())
		}
	})
	f.send(t, "?")
	f.want(t, "1")
}

// Output that the kernel does not accept when it is written at the end of the
// batch is a backlog like any other.
func TestDeferredOutputOfAPeerThatDoesNotRead(t *testing.T) {
	f := newFanout(t, Config{MaxBlocked: 10, WriteTimeout: WriteTimeout{After: time.Hour, Err: errLate}}, func(f *fanout, b []byte) {
		f.from.MoreInput(true)
		f.write(t, "1")
		if !f.to.Deferred() {
			t.Error("not deferred")
		}
	})
	f.full.Store(true)
	f.send(t, "?")
	f.run(t, func() {}) // the batch has ended
	f.to.mu.Lock()
	if f.to.out.size() != 1 || !f.to.backlogged() || f.to.interest&interestWrite == 0 || f.to.ext.timer == nil {
		t.Errorf("%d bytes buffered, backlog %v, interest %d", f.to.out.size(), f.to.backlogged(), f.to.interest)
	}
	f.to.mu.Unlock()
	f.full.Store(false)
	f.want(t, "1")
}

// A leader is found by its stack, for calls that are as deep as stackRoom.
// Other goroutines are not.
func TestLeaderIsFoundByItsStack(t *testing.T) {
	p := &poller{guard: newWatchdog(watchPeriod)}
	p.guard.watch([]*poller{{}, p})
	p.index = 1
	p.inReserve(func() {
		p.beginDeferring(0, false)
		if p.guard.caller() != p {
			t.Error("the leader is not found")
		}
		deep(stackRoom/2, func() {
			if p.guard.caller() != p {
				t.Error("the leader is not found from half of stackRoom")
			}
		})
		deep(stackRoom, func() {
			if p.guard.caller() != nil {
				t.Error("the leader is found from beyond stackRoom")
			}
		})
		p.beginDeferring(0, false) // the stack may have grown and been moved
		const others = 100
		found := make(chan *poller)
		for range others {
			go func() {
				deep(3<<10, func() { found <- p.guard.caller() })
			}()
		}
		for range others {
			if <-found != nil {
				t.Fatal("another goroutine counts as the leader")
			}
		}
		p.endDeferring()
		if p.guard.caller() != nil {
			t.Error("found after the end")
		}
		p.beginDeferring(1, false) // the progress is 0: it has been replaced
		if p.guard.caller() != nil {
			t.Error("found although it has been replaced")
		}
	})
}

// deep calls f after size bytes of the stack have been used.
func deep(size int, f func()) {
	var frame [256]byte
	if size <= len(frame) {
		f()
	} else {
		deep(size-len(frame), f)
	}
	runtime.KeepAlive(&frame)
}
