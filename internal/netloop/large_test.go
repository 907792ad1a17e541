//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"io"
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// A largeConn has a buffer of its own for the next input.
type largeConn struct {
	testConn
	buffer []byte
}

func (c *largeConn) ReadBuffer(size int) []byte { return c.buffer[:min(size, len(c.buffer))] }

// reading returns a socket of the polled loop, its connection and a worker. The
// socket's input is that of read, which gets the number of the call from 1.
func reading(read func(call int, p []byte) (int, error)) (*PolledSocket, *largeConn, *worker, *int) {
	w := newExplorer().newWorld()
	s, c := w.socket, new(largeConn)
	c.socket, s.conn = s, c
	calls := new(int)
	w.poller.sys.read = func(_ int32, p []byte) (int, error) {
		*calls++
		return read(*calls, p)
	}
	return s, c, &worker{leads: w.poller, input: make([]byte, smallInput)}, calls
}

// A large message is read into the connection's buffer, several times for one
// event, as long as the input fills it. After it the first read is small, once.
func TestLargeMessageIsReadSeveralTimes(t *testing.T) {
	size := 0
	s, c, w, calls := reading(func(_ int, p []byte) (int, error) {
		size = len(p)
		return len(p), nil
	})
	c.received = func(*testConn, []byte) ([]byte, bool) { return nil, true }
	event := func(wantCalls, wantSize int) {
		t.Helper()
		*calls = 0
		s.ready(w, readyInput)
		if *calls != wantCalls || size != wantSize {
			t.Errorf("%d reads, the last of %d bytes; want %d of %d", *calls, size, wantCalls, wantSize)
		}
	}
	event(1, smallInput)
	event(1, largeInput) // the input has filled the small buffer
	c.buffer = make([]byte, largeInput)
	event(maxReads, largeInput)
	c.buffer = nil
	event(1, firstRead)
	event(1, largeInput)
	c.buffer = make([]byte, 2*maxReadBuffer)
	event(maxReads, maxReadBuffer)
	event(maxReads, maxReadBuffer)
	c.buffer = make([]byte, 20<<10) // the rest of a message that is not large
	event(maxReads, 20<<10)
	c.buffer = nil
	event(1, firstRead)
	c.buffer = make([]byte, 20<<10) // a message that is not large
	event(maxReads, 20<<10)
	c.buffer = nil
	event(1, largeInput)
}

// The input is not read again when the buffer is not full, when the connection
// is not ready, and at the end. An EOF or error of a later read is handled.
func TestLaterReadsOfALargeMessage(t *testing.T) {
	full := func(_ int, p []byte) (int, error) { return len(p), nil }
	after := func(n int, err error) func(int, []byte) (int, error) {
		return func(call int, p []byte) (int, error) {
			if call == 1 {
				return len(p), nil
			}
			return n, err
		}
	}
	for name, tt := range map[string]struct {
		read     func(int, []byte) (int, error)
		received func(c *testConn, b []byte) ([]byte, bool)
		calls    int
		closed   error
	}{
		"a short read": {after(7, nil), nil, 2, nil},
		"no input":     {after(0, syscall.EAGAIN), nil, 2, nil},
		"an EOF":       {after(0, nil), nil, 2, io.EOF},
		"a reset":      {after(0, syscall.ECONNRESET), nil, 2, syscall.ECONNRESET},
		"input left":   {full, func(_ *testConn, b []byte) ([]byte, bool) { return b[1:], true }, 1, nil},
		"a refusal":    {full, func(*testConn, []byte) ([]byte, bool) { return nil, false }, 1, nil},
		"Abort":        {full, func(c *testConn, b []byte) ([]byte, bool) { c.socket.Abort(); return nil, true }, 1, nil},
		"CloseWrite":   {full, func(c *testConn, b []byte) ([]byte, bool) { c.socket.CloseWrite(false); return nil, true }, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, w, calls := reading(tt.read)
			c.buffer = make([]byte, 100)
			var closed error
			c.closed = func(_ *testConn, err error) { closed = err }
			if c.received = tt.received; c.received == nil {
				c.received = func(*testConn, []byte) ([]byte, bool) { return nil, true }
			}
			s.ready(w, readyInput)
			s.stopTimer()
			if *calls != tt.calls {
				t.Errorf("%d reads, want %d", *calls, tt.calls)
			}
			check.Is(t, closed, tt.closed, "closed")
		})
	}
}

// A write of which the kernel accepts a part is continued, twice at most. The
// rest is buffered.
func TestShortWriteIsContinued(t *testing.T) {
	for _, tt := range []struct {
		accepted []int // by each call
		buffered int
	}{
		{[]int{1}, 99},     // a part of the header: not continued
		{[]int{50, 50}, 0}, // the rest with the second call
		{[]int{50, 20, 30}, 0},
		{[]int{50, 20, 10}, 20},
		{[]int{50, 0}, 50},
	} {
		s, _, _, _ := reading(nil)
		accepted := tt.accepted
		write := func(int32, []byte) (int, error) {
			n := accepted[0]
			if accepted = accepted[1:]; n == 0 {
				return 0, syscall.EAGAIN
			}
			return n, nil
		}
		s.poller.sys.write = write
		s.poller.sys.writev = func(fd int32, a, b []byte) (int, error) { return write(fd, a) }
		check.OK(t, s.Writev(make([]byte, 2), make([]byte, 98)))
		if s.Buffered() != tt.buffered || len(accepted) > 0 {
			t.Errorf("accepted %d: %d bytes buffered, want %d", tt.accepted, s.Buffered(), tt.buffered)
		}
		s.stopTimer()
	}
}
