package netloop

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sinkConn is a net.Conn that accepts a limited number of bytes.
type sinkConn struct {
	net.Conn // nil

	mu       sync.Mutex // guards the rest
	changed  *sync.Cond
	space    int
	accepted []byte
	deadline time.Time
	fails    bool
	closes   int
	fins     int
}

func newSinkConn() *sinkConn {
	c := new(sinkConn)
	c.changed = sync.NewCond(&c.mu)
	return c
}

func (c *sinkConn) Write(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		m := min(c.space, len(p)-n)
		c.accepted = append(c.accepted, p[n:n+m]...)
		c.space -= m
		n += m
		switch {
		case n == len(p):
			return n, nil
		case c.closes > 0:
			return n, net.ErrClosed
		case c.fails:
			return n, errSink
		case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
			return n, os.ErrDeadlineExceeded
		}
		c.changed.Wait()
	}
}

var errSink = errors.New("the sink fails")

func (c *sinkConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), c.changed.Broadcast)
	}
	c.changed.Broadcast()
	return nil
}

func (c *sinkConn) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	c.changed.Broadcast()
}

func (c *sinkConn) CloseWrite() error { c.change(func() { c.fins++ }); return nil }
func (c *sinkConn) Close() error      { c.change(func() { c.closes++ }); return nil }

// countingOwner is an asyncOwner that counts its calls.
type countingOwner struct{ buffered, empty int }

func (o *countingOwner) bufferGrew(by int)        { o.buffered += by }
func (o *countingOwner) flushed()                 { o.empty++ }
func (o *countingOwner) panicked(value any) error { return Recovered(value) }

// longest is the number of events in a path.
const longest = 5

// asyncSteps are the events of the test below.
var asyncSteps = map[byte]string{
	'w': "write", 'r': "the peer reads", 'f': "writes fail", 't': "time passes", 'h': "CloseWrite", 'c': "Close",
}

// An asyncConn keeps its invariants under every event in every order. The peer
// gets a prefix of the written bytes and then, if CloseWrite was called, one
// FIN. The number of buffered bytes is exact. A peer that does not read is
// aborted. No goroutine is left.
func TestAsyncConnUnderEveryEvent(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		var paths []string
		for last := []string{""}; len(last[0]) < longest; {
			var longer []string
			for _, p := range last {
				for step := range asyncSteps {
					longer = append(longer, p+string(step))
				}
			}
			last = longer
			paths = longer // a shorter path is the beginning of one of these
		}
		for _, path := range paths {
			synctest.Test(t, func(t *testing.T) { followAsync(t, path, foreign) })
			if t.Failed() {
				t.Fatalf("the first faulty path, with foreign %v", foreign)
			}
		}
	}
}

func followAsync(t *testing.T, path string, foreign bool) {
	const timeout, size = 10 * time.Second, 3
	sink, owner := newSinkConn(), new(countingOwner)
	sink.space = 4
	limit := WriteTimeout{After: timeout, Err: errLate}
	c := newAsyncConn(sink, limit, newForeignCalls(), nil) // foreign, like every net.Conn outside of package net
	if !foreign {
		c.writer = &systemConn{Conn: sink}
		c.writer.SetWriteTimeout(limit)
	}
	c.setOwner(owner)
	var written []byte
	var half, closed, failing bool
	for i := range len(path) {
		switch path[i] {
		case 'w':
			p := bytes.Repeat([]byte{byte('0' + i)}, size)
			n, err := c.Write(p)
			if err == nil && n == size {
				written = append(written, p...)
			}
			if err == nil && (half || closed) {
				t.Errorf("%s: step %d: a write after the end returned no error", path, i)
			}
			if err != nil && !half && !closed && !failing && c.failure() == nil {
				t.Errorf("%s: step %d: %v", path, i, err)
			}
		case 'r':
			sink.change(func() { sink.space += 4 })
		case 'f':
			failing = true
			sink.change(func() { sink.fails = true })
		case 't':
			time.Sleep(3 * timeout) // a byte accepted late restarts the limit
		case 'h':
			half = true
			c.CloseWrite()
		case 'c':
			closed = true
			c.Close()
		}
		synctest.Wait()
		c.mu.Lock()
		buffered, failed := int(c.buffered.Load()), c.failed
		if owner.buffered != buffered || buffered != c.out.size() {
			t.Errorf("%s: step %d: %d bytes are buffered, %d counted, the owner counts %d", path, i, c.out.size(), buffered, owner.buffered)
		}
		if c.out.size() > 0 && !c.writing {
			t.Errorf("%s: step %d: %d bytes are buffered, and no goroutine writes them", path, i, c.out.size())
		}
		c.mu.Unlock()
		sink.mu.Lock()
		if failed == nil && !bytes.HasPrefix(written, sink.accepted) {
			t.Errorf("%s: step %d: %q were written, the peer got %q", path, i, written, sink.accepted)
		}
		// A Write that has not returned has not said how many bytes it has
		// written.
		if sum := len(sink.accepted) + buffered; failed == nil && (sum < len(written) || sum > len(written)+size*longest) {
			t.Errorf("%s: step %d: of %d bytes, the peer got %d, and %d are buffered", path, i, len(written), len(sink.accepted), buffered)
		}
		if failed == nil && sink.space > 0 && buffered > 0 {
			t.Errorf("%s: step %d: %d bytes are buffered that the peer could get", path, i, buffered)
		}
		if wants := half && failed == nil && buffered == 0; wants && sink.fins != 1 || sink.fins > 1 || !half && sink.fins > 0 {
			t.Errorf("%s: step %d: %d FINs with %d bytes buffered", path, i, sink.fins, buffered)
		}
		if path[i] == 't' && buffered > 0 {
			t.Errorf("%s: step %d: %d bytes are still buffered after the time limit", path, i, buffered)
		}
		if (closed || failed != nil && failed != errSink) && sink.closes == 0 {
			t.Errorf("%s: step %d: failed by %v and not closed", path, i, failed)
		}
		sink.mu.Unlock()
	}
	c.Close()
	synctest.Wait()
	if owner.buffered != 0 || c.out.size() != 0 {
		t.Errorf("%s: %d bytes are counted after Close", path, owner.buffered)
	}
	if sink.closes == 0 {
		t.Errorf("%s: not closed", path)
	}
}

// A foreignConn that does not write has no foreignCall, and one that writes
// again does not take an abort of another connection for its own.
func TestIdleForeignConnHasNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := newForeignCalls()
		sink := newSinkConn()
		sink.space = 1 << 20
		c := newForeignConn(sink, calls, Recovered)
		for range 3 {
			if n, err := c.Write([]byte("hello")); n != 5 || err != nil {
				t.Fatalf("wrote %d bytes: %v", n, err)
			}
			if c.call.Load() != nil {
				t.Fatal("the connection has a call although none runs")
			}
			call := calls.Get().(*foreignCall)
			if call.conn != nil || call.recovered != nil {
				t.Error("a call in the pool refers to a connection")
			}
			select {
			case call.aborted <- struct{}{}: // by an earlier connection, late
			default:
			}
			calls.Put(call)
		}
		if n, err := c.Write(nil); n != 0 || err != nil || sink.fins != 0 {
			t.Errorf("a Write of nothing returned %d and %v, after %d calls of CloseWrite", n, err, sink.fins)
		}
		sink.change(func() { sink.space = 2 })
		blocked := make(chan error)
		go func() {
			_, err := c.Write([]byte("hello"))
			blocked <- err
		}()
		synctest.Wait()
		c.Abort()
		if err := <-blocked; err != net.ErrClosed {
			t.Errorf("the error is %v, want %v", err, net.ErrClosed)
		}
	})
}
