package conform

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeConn is one end of a TCP connection that exists in memory only. Its buffers are unbounded, so a write never
// blocks. A goroutine that waits in Read is durably blocked in the sense of testing/synctest.
//
// It ends as TCP does on Linux: after CloseWrite or Close the other end reads what was written and then io.EOF;
// what is written to an end that is closed comes back as a reset; Close with unread input, or after SetLinger(0),
// is a reset, which the other end sees after the octets that it had already got.
type pipeConn struct {
	in, out *pipeStream
	local   pipeAddr
	remote  pipeAddr

	mu            sync.Mutex // guards the rest
	linger        int
	writeDeadline time.Time
}

// newPipe returns both ends of a connection.
func newPipe() (client, server *pipeConn) {
	up, down := newPipeStream(), newPipeStream()
	client = &pipeConn{in: down, out: up, local: "client.test:40000", remote: "server.test:9001", linger: -1}
	server = &pipeConn{in: up, out: down, local: "server.test:9001", remote: "client.test:40000", linger: -1}
	return client, server
}

func (c *pipeConn) Read(p []byte) (int, error) { return c.in.read(p) }

func (c *pipeConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	deadline := c.writeDeadline
	c.mu.Unlock()
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	if answered := c.out.write(p); answered == pipeReset {
		c.in.end(pipeReset)
		return len(p), nil // the sender of a segment learns of the reset later
	} else if answered == pipeFinished {
		return 0, syscall.EPIPE
	}
	return len(p), nil
}

// CloseWrite ends what c sends.
func (c *pipeConn) CloseWrite() error {
	c.out.end(pipeFinished)
	return nil
}

// SetLinger with 0 makes Close a reset.
func (c *pipeConn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linger = seconds
	return nil
}

func (c *pipeConn) Close() error {
	c.mu.Lock()
	abort := c.linger == 0
	c.mu.Unlock()
	if unread := c.in.abandon(); unread > 0 || abort {
		c.out.end(pipeReset)
	} else {
		c.out.end(pipeFinished)
	}
	return nil
}

func (c *pipeConn) LocalAddr() net.Addr  { return c.local }
func (c *pipeConn) RemoteAddr() net.Addr { return c.remote }

func (c *pipeConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(t)
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = t
	return nil
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// A pipeState is how far a pipeStream has come to its end.
type pipeState int

const (
	pipeFlowing   pipeState = iota
	pipeFinished            // the writer has ended it: io.EOF after the data
	pipeReset               // by the writer's reset, or because the reader's end does not exist any more
	pipeAbandoned           // the reader has closed its end
)

// A pipeStream is one direction of a connection.
type pipeStream struct {
	mu       sync.Mutex // guards the rest; held for moments only, as who waits for it is not durably blocked
	changed  *sync.Cond
	data     []byte // unread, the end of buf
	buf      []byte
	state    pipeState
	deadline time.Time
	wake     *time.Timer // at the deadline
}

func newPipeStream() *pipeStream {
	s := &pipeStream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *pipeStream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.state == pipeAbandoned:
			return 0, net.ErrClosed
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(s.data) > 0:
			n := copy(p, s.data)
			s.data = s.data[n:]
			return n, nil
		case s.state == pipeFinished:
			return 0, io.EOF
		case s.state == pipeReset:
			return 0, syscall.ECONNRESET
		}
		s.changed.Wait()
	}
}

// write appends p and returns pipeFlowing, or says why it cannot: pipeFinished if the writer has ended the stream
// itself or knows of the reset, pipeReset if the reader is not there any more.
func (s *pipeStream) write(p []byte) pipeState {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case pipeAbandoned:
		s.state = pipeReset
		return pipeReset
	case pipeFinished, pipeReset:
		return pipeFinished
	}
	unread := len(s.data)
	if read := len(s.buf) - unread; len(s.buf)+len(p) > cap(s.buf) && read >= unread {
		s.buf = s.buf[:copy(s.buf, s.data)]
	}
	s.buf = append(s.buf, p...)
	s.data = s.buf[len(s.buf)-unread-len(p):]
	s.changed.Broadcast()
	return pipeFlowing
}

// end ends a stream that has not ended in another way.
func (s *pipeStream) end(state pipeState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == pipeFlowing || s.state == pipeFinished && state == pipeReset {
		s.state = state
		s.changed.Broadcast()
	}
}

// abandon closes the reader's end and returns how many octets it had not read.
func (s *pipeStream) abandon() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	unread := len(s.data)
	s.data, s.state = nil, pipeAbandoned
	if s.wake != nil {
		s.wake.Stop()
	}
	s.changed.Broadcast()
	return unread
}

func (s *pipeStream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wake != nil {
		s.wake.Stop()
		s.wake = nil
	}
	s.deadline = t
	if !t.IsZero() {
		s.wake = time.AfterFunc(time.Until(t), s.changed.Broadcast)
	}
	s.changed.Broadcast()
}

// A pipeListener accepts the connections that its dial makes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := newPipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr("server.test:9001") }

// What the tests of the judge take for granted about TCP.
func TestPipeEndsAsTCPDoes(t *testing.T) {
	read := func(c net.Conn) (string, error) {
		b := make([]byte, 100)
		n, err := c.Read(b)
		return string(b[:n]), err
	}
	wantRead := func(t *testing.T, c net.Conn, want string, wantErr error) {
		t.Helper()
		if got, err := read(c); got != want || err != wantErr {
			t.Errorf("Read = %q, %v, want %q, %v", got, err, want, wantErr)
		}
	}
	tests := []struct {
		name string
		do   func(t *testing.T, a, b *pipeConn)
	}{
		{"half-close leaves the other direction open", func(t *testing.T, a, b *pipeConn) {
			a.Write([]byte("last"))
			a.CloseWrite()
			wantRead(t, b, "last", nil)
			wantRead(t, b, "", io.EOF)
			b.Write([]byte("answer"))
			wantRead(t, a, "answer", nil)
			if _, err := a.Write([]byte("x")); err != syscall.EPIPE {
				t.Errorf("Write after CloseWrite: %v", err)
			}
		}},
		{"close with nothing unread is an end", func(t *testing.T, a, b *pipeConn) {
			a.Write([]byte("last"))
			a.Close()
			wantRead(t, b, "last", nil)
			wantRead(t, b, "", io.EOF)
			wantRead(t, a, "", net.ErrClosed)
		}},
		{"close with input unread is a reset", func(t *testing.T, a, b *pipeConn) {
			b.Write([]byte("unread"))
			a.Write([]byte("last"))
			a.Close()
			wantRead(t, b, "last", nil)
			wantRead(t, b, "", syscall.ECONNRESET)
		}},
		{"what comes after close is answered by a reset", func(t *testing.T, a, b *pipeConn) {
			a.Close()
			if _, err := b.Write([]byte("x")); err != nil {
				t.Errorf("first Write: %v", err)
			}
			wantRead(t, b, "", syscall.ECONNRESET)
			if _, err := b.Write([]byte("x")); err != syscall.EPIPE {
				t.Errorf("second Write: %v", err)
			}
		}},
		{"close without lingering is a reset", func(t *testing.T, a, b *pipeConn) {
			a.SetLinger(0)
			a.Close()
			wantRead(t, b, "", syscall.ECONNRESET)
		}},
		{"a deadline wakes the reader, and can be lifted", func(t *testing.T, a, b *pipeConn) {
			start := time.Now()
			a.SetReadDeadline(start.Add(time.Second))
			wantRead(t, a, "", os.ErrDeadlineExceeded)
			if d := time.Since(start); d != time.Second {
				t.Errorf("woken after %v", d)
			}
			a.SetReadDeadline(time.Time{})
			time.AfterFunc(time.Hour, func() { b.Write([]byte("late")) })
			wantRead(t, a, "late", nil)
		}},
		{"close wakes the reader of the same end", func(t *testing.T, a, b *pipeConn) {
			time.AfterFunc(time.Second, func() { a.Close() })
			wantRead(t, a, "", net.ErrClosed)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newPipe()
				test.do(t, a, b)
			})
		})
	}
}
