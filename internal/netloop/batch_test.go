package netloop

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
)

// hiddenConns is a listener whose connections are of a type of its own, without
// a system call and with deadlines that nobody relies on.
type hiddenConns struct{ net.Listener }

func (l hiddenConns) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{nc}, nil
}

// goroutineListeners are listeners whose connections the goroutine loop serves.
var goroutineListeners = map[string]func(net.Listener) net.Listener{
	"socket":          func(ln net.Listener) net.Listener { return hiddenListener{ln} },
	"hidden net.Conn": func(ln net.Listener) net.Listener { return hiddenConns{ln} },
}

// collecting is a testConn that collects output, as package endpoint does.
type collecting struct {
	testConn

	mu       sync.Mutex // guards the rest
	collects bool
	output   []byte
	batches  int // calls of BeginBatch
}

func newCollecting(received func(c *collecting, b []byte)) *collecting {
	c := new(collecting)
	c.received = func(_ *testConn, b []byte) ([]byte, bool) {
		received(c, b)
		return nil, true
	}
	c.begin = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.collects = true
		c.batches++
	}
	c.end = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.collects = false; len(c.output) > 0 {
			c.socket.Writev(nil, c.output)
			c.output = nil
		}
	}
	return c
}

// send sends s, or collects it.
func (c *collecting) send(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.collects {
		c.output = append(c.output, s...)
		return
	}
	c.socket.Writev(nil, []byte(s))
}

// reads checks that the peer reads s next.
func reads(t *testing.T, nc net.Conn, s string) {
	t.Helper()
	b := make([]byte, len(s))
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != s {
		t.Fatalf("the peer has read %q and %v, want %q", b, err, s)
	}
}

// Replies to input are collected as soon as such input has led to several
// writes. A handler that blocks does not hold back the output that it has
// produced before.
func TestOutputOfABlockedHandlerIsWritten(t *testing.T) {
	for name, hide := range goroutineListeners {
		t.Run(name, func(t *testing.T) {
			blocked, returned := make(chan struct{}), make(chan struct{})
			c := newCollecting(func(c *collecting, b []byte) {
				c.send("1")
				if string(b) == "block" {
					c.send("2")
					<-blocked
				}
				c.send("3")
				if string(b) == "block" {
					close(returned)
				}
			})
			l := newTestLoop(t, Config{MaxBlocked: 10}, hide(listen(t)), func() *testConn { return &c.testConn })
			nc, _ := l.connect(t)
			for _, input := range []string{"first", "again"} { // no two of these arrive together
				check.Must(t, check.Err(nc.Write([]byte(input))))
				reads(t, nc, "13")
			}
			c.mu.Lock()
			if c.batches != 1 {
				t.Errorf("output was collected %d times, want 1: not of the first input", c.batches)
			}
			c.mu.Unlock()
			check.Must(t, check.Err(nc.Write([]byte("block"))))
			reads(t, nc, "12") // the handler has not returned
			close(blocked)
			reads(t, nc, "3")
			<-returned
			check.Must(t, check.Err(nc.Write([]byte("after"))))
			reads(t, nc, "13")
		})
	}
}

// count returns the number of batches, and of those that are free.
func (l *batches) count() (all, free int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all), len(l.free)
}

// A batch is not taken from a connection that has yet to begin with it, because
// its goroutine has no processor: another one would get the batch too.
func TestBatchIsNotTakenBeforeItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := batches{newBatch: func() any { return nil }, period: watchPeriod}
		first, _ := l.begin(&testConn{begin: func() {
			time.Sleep(3 * watchPeriod)
			synctest.Wait()
			if second, _ := l.begin(new(testConn)); second == l.all[0] {
				t.Error("two connections have the same batch")
			}
		}})
		if first != l.all[0] {
			t.Error("the first connection has not got the first batch")
		}
		time.Sleep(3 * watchPeriod) // the watchdog takes both
		synctest.Wait()
		if all, free := l.count(); all != 2 || free != 2 {
			t.Errorf("%d of %d batches are free, want 2 of 2", free, all)
		}
		time.Sleep(2 * idleChecks * watchPeriod) // the watchdog falls asleep
	})
}

// A batch is lent to one connection at a time, although the watchdog takes it
// from a handler that blocks, which returns later.
func TestBatchThatWasTakenIsLentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := batches{newBatch: func() any { return nil }, period: watchPeriod}
		written := 0
		slow := &testConn{end: func() { written++ }}
		taken, use := l.begin(slow)
		time.Sleep(3 * watchPeriod) // the handler blocks
		synctest.Wait()
		if written != 1 {
			t.Fatalf("the watchdog has written the output %d times, want once", written)
		}
		fast := new(testConn)
		again, useAgain := l.begin(fast)
		if again != taken {
			t.Fatal("the batch that was taken is not lent again")
		}
		l.end(slow, taken, use) // the handler has returned
		third, useThird := l.begin(new(testConn))
		if third == again {
			t.Error("the batch is lent twice")
		}
		l.end(slow, third, useThird)
		l.end(fast, again, useAgain)
		if all, free := l.count(); all != 2 || free != 2 {
			t.Errorf("%d batches, %d of them free, want 2", all, free)
		}
	})
}

// The batches of a loop without running handlers are freed, and only then.
func TestBatchesOfAnIdleLoopAreFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := batches{newBatch: func() any { return nil }, period: watchPeriod}
		for range 2 { // the watchdog wakes again
			batch, use := l.begin(new(testConn))
			l.end(new(testConn), batch, use)
			time.Sleep((idleChecks - 1) * watchPeriod)
			synctest.Wait()
			if all, free := l.count(); all != 1 || free != 1 {
				t.Fatalf("%d batches, %d of them free, want 1", all, free)
			}
			time.Sleep(2 * watchPeriod)
			synctest.Wait()
			if all, free := l.count(); all != 0 || free != 0 {
				t.Fatalf("%d batches are left, %d of them free", all, free)
			}
		}
	})
}
