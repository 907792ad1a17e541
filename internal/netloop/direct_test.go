//go:build unix

package netloop

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/sockbuf"
)

// directly returns the socket of a connection of the goroutine loop.
func directly(c *testConn) *directConn { return systemOf(c).Conn.(*directConn) }

func systemOf(c *testConn) *systemConn {
	return c.socket.(*goroutineSocket).async.writer.(*systemConn)
}

// A write to a socket with space sets no deadline. An earlier deadline that has
// passed is removed.
func TestWriteToASocketWithSpaceSetsNoDeadline(t *testing.T) {
	l := newTestLoop(t, Config{MaxBlocked: 10}, hiddenListener{listen(t)}, nil)
	nc, c := l.connect(t)
	echoes(t, nc, 2)
	system, async := systemOf(c), c.socket.(*goroutineSocket).async
	async.mu.Lock()
	if system.armed != armedNot {
		t.Errorf("the write deadline is %v, want none", system.armed)
	}
	system.armed = 1
	system.Conn.SetWriteDeadline(longAgo)
	async.mu.Unlock()
	echoes(t, nc, 2)
	async.mu.Lock()
	defer async.mu.Unlock()
	if system.armed != armedNot {
		t.Errorf("the write deadline is %v, want none", system.armed)
	}
}

// Bytes that a socket without space does not accept are buffered, and the time
// limit of a peer that does not read is kept.
func TestWriteToASocketWithoutSpaceTimesOut(t *testing.T) {
	limit := WriteTimeout{After: 200 * time.Millisecond, Err: errLate}
	l := newTestLoop(t, Config{MaxBlocked: 10, WriteTimeout: limit}, hiddenListener{listen(t)}, func() *testConn {
		return &testConn{received: func(c *testConn, b []byte) ([]byte, bool) {
			c.socket.Writev(b, make([]byte, 8<<20)) // more than the buffers of both kernels
			return nil, true
		}}
	})
	nc, c := l.connect(t)
	check.Must(t, check.Err(nc.Write([]byte("?"))))
	if err := <-l.closed; err != errLate {
		t.Errorf("closed by %v, want %v", err, errLate)
	}
	for c.socket.Buffered() > 0 { // until the goroutine that writes knows the end
		runtime.Gosched()
	}
}

// busyConn returns both ends of a connection whose handlers run inside
// RawConn.Read. handle is called then.
func busyConn(t *testing.T, handle func(c *testConn, b []byte) bool) (*testLoop, *net.TCPConn, *testConn) {
	t.Helper()
	l := newTestLoop(t, Config{MaxBlocked: 10}, hiddenListener{listen(t)}, func() *testConn {
		return &testConn{received: func(c *testConn, b []byte) ([]byte, bool) {
			if string(b) != "?" {
				return nil, handle(c, b)
			}
			return nil, c.socket.Writev(nil, b) == nil
		}}
	})
	nc, c := l.connect(t)
	for range 100 {
		echoes(t, nc, 1) // each wakes the connection
		if directly(c).state.Load() == directReading {
			return l, nc, c
		}
	}
	t.Fatal("the connection does not get busy")
	return nil, nil, nil
}

// A handler that runs inside RawConn.Read aborts its connection, for which
// Close would wait for ever.
func TestBusyHandlerAborts(t *testing.T) {
	l, nc, c := busyConn(t, func(c *testConn, _ []byte) bool {
		c.socket.Abort()
		_, err := c.socket.Write([]byte("!"))
		return err == nil // refused
	})
	check.Must(t, check.Err(nc.Write([]byte("abort"))))
	if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("the peer has read %d bytes and %v", n, err)
	}
	<-l.closed
	if _, err := directly(c).Conn.Write(nil); err == nil {
		t.Error("the socket is open after the end")
	}
}

// Abort does not wait for a handler, and the peer sees the end at once. The
// connection is closed when the handler has returned.
func TestAbortOfABusyConnectionDoesNotWait(t *testing.T) {
	began, blocked := make(chan struct{}), make(chan struct{})
	l, nc, c := busyConn(t, func(*testConn, []byte) bool {
		close(began)
		<-blocked
		return true
	})
	check.Must(t, check.Err(nc.Write([]byte("block"))))
	<-began
	for range 2 {
		check.Must(t, c.socket.Abort())
	}
	if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("the peer has read %d bytes and %v", n, err)
	}
	select {
	case err := <-l.closed:
		t.Errorf("closed by %v while the handler runs", err)
	default:
	}
	close(blocked)
	if err := <-l.closed; err != net.ErrClosed {
		t.Errorf("closed by %v, want %v", err, net.ErrClosed)
	}
}

// The end of the input reaches a busy connection, also together with input.
func TestBusyConnectionReadsTheEnd(t *testing.T) {
	for _, last := range []string{"", "last"} {
		got := ""
		l, nc, _ := busyConn(t, func(c *testConn, b []byte) bool {
			got += string(b)
			return true
		})
		if last != "" {
			check.Must(t, check.Err(nc.Write([]byte(last))))
		}
		check.Must(t, nc.CloseWrite())
		if err := <-l.closed; err != io.EOF || got != last {
			t.Errorf("closed by %v after %q, want %v after %q", err, got, io.EOF, last)
		}
	}
}

// A busy connection whose handler panics ends, and its socket is closed.
func TestBusyHandlerPanics(t *testing.T) {
	l, nc, c := busyConn(t, func(*testConn, []byte) bool { panic("handler") })
	check.Must(t, check.Err(nc.Write([]byte("panic"))))
	if err, ok := (<-l.closed).(*PanicError); !ok || err.Value != "handler" {
		t.Errorf("closed by %v", err)
	}
	if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("the peer has read %d bytes and %v", n, err)
	}
	if state := directly(c).state.Load(); state == directReading || state == directAborted {
		t.Errorf("the state is %d after the end", state)
	}
}

// A large message is read into the connection's own buffer.
func TestLargeMessageIsReadIntoItsBuffer(t *testing.T) {
	message := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	for _, busy := range []bool{false, true} {
		buf := make([]byte, len(message))
		n, straight := 0, 0 // bytes of the message, and of them those that were read into buf
		done := make(chan struct{})
		c := &testConn{
			started: func(c *testConn) {
				if busy {
					c.socket.(*goroutineSocket).wakes = busyWakes
				}
			},
			buffer: func(size int) []byte {
				if n == 0 {
					return nil
				}
				return buf[n:min(n+size, len(buf))]
			},
			received: func(_ *testConn, b []byte) ([]byte, bool) {
				if &b[0] == &buf[n] {
					straight += len(b)
				}
				if n += copy(buf[n:], b); n == len(buf) {
					close(done)
				}
				return nil, true
			},
		}
		l := newTestLoop(t, Config{MaxBlocked: 10}, hiddenListener{listen(t)}, func() *testConn { return c })
		nc, err := sockbuf.Dial(l.addr)
		check.Must(t, err)
		defer nc.Close()
		check.Must(t, check.Err(nc.Write(message)))
		<-done
		if !bytes.Equal(buf, message) {
			t.Errorf("busy %v: the message has changed", busy)
		}
		if straight == 0 {
			t.Errorf("busy %v: no byte was read into the buffer", busy)
		}
	}
}
