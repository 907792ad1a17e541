//go:build !portable

package netloop

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
)

// A crowd is a fanout to many receivers.
type crowd struct {
	*fanout
	clients []*net.TCPConn
	sockets []*PolledSocket
}

// newCrowd returns a crowd of size receivers, whose sender writes text to each
// of them for every input. ring, if it is not nil, is the ring of its poller.
func newCrowd(t *testing.T, size int, text string, ring *ring) *crowd {
	c := &crowd{}
	c.fanout = newFanout(t, Config{BatchedSends: ring == nil, WriteTimeout: WriteTimeout{After: time.Hour, Err: errLate}}, func(f *fanout, b []byte) {
		f.from.MoreInput(true)
		for _, s := range c.sockets {
			s.Writev(nil, []byte(text))
		}
	})
	for range size {
		client, socket := c.connect(t)
		c.clients, c.sockets = append(c.clients, client), append(c.sockets, socket)
	}
	if ring != nil {
		c.run(t, func() { c.from.poller.ring = ring })
	}
	return c
}

// The output of a batch of events to many sockets is written by one call if the
// system allows it, and otherwise by one for each socket.
func TestBatchedSends(t *testing.T) {
	const size = ringSize + ringMin + 1
	c := newCrowd(t, size, "hello", nil)
	for range 3 {
		c.send(t, "?")
		for _, client := range c.clients {
			reads(t, client, "hello")
		}
	}
	c.run(t, func() {}) // the batch has ended
	want := uint64(0)
	if r, err := newRing(sysSetupRing); err == nil {
		r.Close()
		want = 3 * size
	} else {
		t.Logf("the system has no ring: %v", err)
	}
	if n := c.Loop.cfg.Counters.BatchedSends.Load(); n != want {
		t.Errorf("%d batched sends, want %d", n, want)
	}
}

// With a ring, the output of a handler is deferred although nothing follows in
// the batch.
func TestBatchedSendsOfTheLastEvent(t *testing.T) {
	var c *crowd
	r := fakeRing(t, func(fd int32, i uint64, size int) int32 { return c.kernelSend(fd, size) }, nil)
	c = newCrowd(t, ringMin, "hello", r)
	c.run(t, func() {
		for _, s := range c.sockets {
			s.Writev(nil, []byte("hello"))
		}
	})
	for _, client := range c.clients {
		reads(t, client, "hello")
	}
	c.run(t, func() {}) // the batch has ended
	if n := c.Loop.cfg.Counters.BatchedSends.Load(); n != ringMin {
		t.Errorf("%d batched sends, want %d", n, ringMin)
	}
}

// A socket without deferred output is not sent for: its output was flushed by a
// writer, or it has failed, or the ring was closed.
func TestBatchWithoutOutput(t *testing.T) {
	sends := 0
	r := fakeRing(t, func(fd int32, i uint64, size int) int32 { sends++; return int32(size) }, nil)
	c := newCrowd(t, ringMin, "hello", nil)
	check.Equal(t, r.flush(c.sockets), 0, "sends of sockets without output")
	r.Close()
	c.run(t, func() {
		c.from.MoreInput(true)
		for _, s := range c.sockets {
			check.Must(t, s.Writev(nil, []byte("hello")))
		}
		check.Equal(t, r.flush(c.sockets), 0, "sends of a closed ring")
		c.from.MoreInput(false)
	})
	for _, client := range c.clients {
		reads(t, client, "hello")
	}
	check.Equal(t, sends, 0, "sends")
}

// Few sends are made without the ring, and so are those of a loop that does not
// allow batched ones.
func TestSendsThatAreNotBatched(t *testing.T) {
	c := newCrowd(t, ringMin-1, "hello", nil)
	c.send(t, "?")
	for _, client := range c.clients {
		reads(t, client, "hello")
	}
	c.run(t, func() {}) // the batch has ended
	if n := c.Loop.cfg.Counters.BatchedSends.Load(); n != 0 {
		t.Errorf("%d batched sends", n)
	}
	if p, err := newPoller(&polledLoop{sys: kernel}, 0); err != nil || p.ring != nil {
		t.Errorf("a ring without Config.BatchedSends, or the error %v", err)
	} else {
		p.close()
	}
}

// fakeRing is a ring whose kernel is the test's: send returns the result of a
// send. accept, if it is not nil, returns how many of n sends are accepted by a
// call, and its error.
func fakeRing(t *testing.T, send func(fd int32, i uint64, size int) int32, accept func(n uint32) (uint32, syscall.Errno)) *ring {
	fd, err := newEventfd() // to be closed
	check.Must(t, err)
	r := &ring{
		fd: fd, sqHead: new(uint32), sqTail: new(uint32), cqHead: new(uint32), cqTail: new(uint32),
		sqes: make([]ringSend, ringSize), cqes: make([]ringResult, 2*ringSize), results: make([]int32, ringSize),
	}
	*r.sqTail, *r.sqHead, *r.cqHead, *r.cqTail = ^uint32(3), ^uint32(3), ^uint32(5), ^uint32(5) // they pass 0
	r.enter = func(fd int, submit, complete uint32) (int, syscall.Errno) {
		if submit != *r.sqTail-*r.sqHead {
			t.Errorf("%d sends submitted, want %d", submit, *r.sqTail-*r.sqHead)
		}
		n, errno := submit, syscall.Errno(0)
		if accept != nil {
			n, errno = accept(submit)
		}
		for range n {
			s := &r.sqes[*r.sqHead%ringSize]
			if s.opcode != ringOpSend || s.msgFlags != syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL {
				t.Errorf("opcode %d, flags %#x", s.opcode, s.msgFlags)
			}
			if res := send(s.fd, s.user, int(s.size)); res != ringUnknown {
				r.cqes[*r.cqTail%uint32(len(r.cqes))] = ringResult{user: s.user, res: res}
				atomic.AddUint32(r.cqTail, 1)
			}
			atomic.AddUint32(r.sqHead, 1)
		}
		return int(n), errno
	}
	t.Cleanup(r.Close)
	return r
}

func (r *ring) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fd < 0
}

// kernelSend sends the output of the i-th socket of c as the kernel would.
func (c *crowd) kernelSend(fd int32, size int) int32 {
	for _, s := range c.sockets {
		if s.fd == fd {
			n, err := sysWrite(fd, s.out.bytes()[:size])
			if err != nil {
				return -int32(err.(syscall.Errno))
			}
			return int32(n)
		}
	}
	return -int32(syscall.EBADF)
}

// Every result of a send has the consequence that the same result of a write
// has.
func TestResultsOfBatchedSends(t *testing.T) {
	const text = "hello"
	var c *crowd
	r := fakeRing(t, func(fd int32, i uint64, size int) int32 {
		switch i {
		case 1:
			return c.kernelSend(fd, 2) // a short write
		case 2:
			return -int32(syscall.EAGAIN)
		case 3:
			return -int32(syscall.ECONNRESET)
		case 4:
			return -int32(syscall.EINTR)
		case 5:
			return 0
		}
		return c.kernelSend(fd, size)
	}, nil)
	c = newCrowd(t, ringMin+4, text, r)
	c.send(t, "?")
	for i, client := range c.clients {
		if i == 3 {
			continue // its socket has failed
		}
		reads(t, client, text)
	}
	c.run(t, func() {}) // the batch has ended
	if err := c.sockets[3].Writev(nil, []byte(text)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a write after ECONNRESET: %v", err)
	}
	for i, s := range c.sockets {
		if s.Deferred() || s.Buffered() != 0 {
			t.Errorf("socket %d: deferred %v, %d bytes buffered", i, s.Deferred(), s.Buffered())
		}
	}
	if n := c.Loop.cfg.Counters.BatchedSends.Load(); n != uint64(len(c.sockets)) {
		t.Errorf("%d batched sends, want %d", n, len(c.sockets))
	}
}

// A call that is interrupted, or accepts a part, is continued.
func TestBatchedSendsInSeveralCalls(t *testing.T) {
	var c *crowd
	calls := 0
	r := fakeRing(t, func(fd int32, i uint64, size int) int32 { return c.kernelSend(fd, size) }, func(n uint32) (uint32, syscall.Errno) {
		if calls++; calls == 1 {
			return 0, syscall.EINTR
		}
		return min(n, 7), 0
	})
	c = newCrowd(t, ringMin, "hello", r)
	c.send(t, "?")
	for _, client := range c.clients {
		reads(t, client, "hello")
	}
	c.run(t, func() {}) // the batch has ended
	if want := 1 + (ringMin+6)/7; calls != want {
		t.Errorf("%d calls, want %d", calls, want)
	}
	if r.isClosed() {
		t.Error("the ring is closed")
	}
}

// An error of the ring closes it. Output that it has not accepted is written by
// other calls, once; a socket whose output may have been sent fails.
func TestRingThatFails(t *testing.T) {
	const text = "hello"
	var c *crowd
	calls := 0
	r := fakeRing(t, func(fd int32, i uint64, size int) int32 {
		if i == 1 {
			return ringUnknown // a send without a result
		}
		return c.kernelSend(fd, size)
	}, func(n uint32) (uint32, syscall.Errno) {
		if calls++; calls == 1 {
			return 3, 0
		}
		return 0, syscall.EBADF
	})
	c = newCrowd(t, ringMin, text, r)
	for range 2 {
		c.send(t, "?")
	}
	c.run(t, func() {}) // the batch has ended
	for i, client := range c.clients {
		if i == 1 {
			if err := c.sockets[i].Writev(nil, []byte(text)); !errors.Is(err, errRing) {
				t.Errorf("a write after a send without a result: %v", err)
			}
			c.sockets[i].Abort()
			if got, _ := io.ReadAll(client); len(got) != 0 {
				t.Errorf("received %q after a send without a result", got)
			}
			continue
		}
		reads(t, client, text+text)
	}
	if calls != 2 || !r.isClosed() {
		t.Errorf("%d calls; the ring is closed: %v", calls, r.isClosed())
	}
}

// A socket whose lock another goroutine has is written after the others.
func TestBatchedSendsWaitForNoLock(t *testing.T) {
	var c *crowd
	r := fakeRing(t, func(fd int32, i uint64, size int) int32 {
		if fd == c.sockets[0].fd {
			t.Error("sent although another goroutine has the lock")
		}
		return c.kernelSend(fd, size)
	}, nil)
	c = newCrowd(t, ringMin, "hello", r)
	locked, unlock := make(chan struct{}), make(chan struct{})
	deliver := c.handler
	c.handler = func(b []byte) {
		deliver(b)
		go func() {
			c.sockets[0].mu.Lock()
			close(locked)
			<-unlock
			c.sockets[0].mu.Unlock()
		}()
		<-locked
	}
	c.send(t, "?")
	for _, client := range c.clients[1:] {
		reads(t, client, "hello")
	}
	close(unlock)
	reads(t, c.clients[0], "hello")
	c.run(t, func() {}) // the batch has ended
}

// A ring of the system that works in another way than the loop needs is not
// used.
func TestRingIsProbed(t *testing.T) {
	for name, send := range map[string]func(i uint64, size int) int32{
		"an operation that the system does not have": func(uint64, int) int32 { return -int32(syscall.EINVAL) },
		"an operation that waits":                    func(_ uint64, size int) int32 { return map[bool]int32{true: 1, false: ringUnknown}[size == 1] },
		"a result that cannot be":                    func(uint64, int) int32 { return 1 },
	} {
		r := fakeRing(t, func(fd int32, i uint64, size int) int32 { return send(i, size) }, nil)
		if err := r.probe(); !errors.Is(err, syscall.ENOTSUP) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without io_uring, and with one that has other queues, there is no ring, and no
// descriptor stays open.
func TestSystemsWithoutARing(t *testing.T) {
	queues := ringParams{features: ringSingleMap, sqEntries: ringSize, cqEntries: 2 * ringSize}
	few, separate := queues, queues
	few.cqEntries = ringSize - 1
	separate.features = 0
	for name, tt := range map[string]struct {
		params ringParams
		errno  syscall.Errno // of the setup
		want   syscall.Errno
	}{
		"a kernel without io_uring":   {queues, syscall.ENOSYS, syscall.ENOSYS},
		"io_uring is forbidden":       {queues, syscall.EPERM, syscall.EPERM},
		"two mappings for the queues": {separate, 0, syscall.ENOTSUP},
		"few results":                 {few, 0, syscall.ENOTSUP},
		"queues without memory":       {queues, 0, syscall.ENODEV}, // of a socket
	} {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		check.Must(t, err)
		r, err := newRing(func(params *ringParams) (int, syscall.Errno) {
			if tt.errno != 0 {
				syscall.Close(pair[1])
				return -1, tt.errno
			}
			*params = tt.params
			return pair[1], 0 // the ring's descriptor
		})
		if r != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: the error is %v, want %v", name, err, tt.want)
		}
		if n, err := syscall.Read(pair[0], make([]byte, 1)); n != 0 || err != nil {
			t.Errorf("%s: the ring's descriptor is open: %v", name, err)
		}
		syscall.Close(pair[0])
	}
}
