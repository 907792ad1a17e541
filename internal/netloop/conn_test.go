package netloop

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/sockbuf"
)

// testConn is a connection whose behaviour is that of its functions. By default
// it echoes input.
type testConn struct {
	socket   Socket
	started  func(*testConn)
	received func(c *testConn, b []byte) (rest []byte, ok bool)
	ready    func() bool
	writable func(*testConn) bool
	closed   func(*testConn, error)
	buffer   func(size int) []byte
	begin    func() // of BeginBatch
	end      func() // of EndBatch
	eof      atomic.Bool
}

func (c *testConn) Started(s Socket) {
	c.socket = s
	if c.started != nil {
		c.started(c)
	}
}

func (c *testConn) ReadBuffer(size int) []byte {
	if c.buffer == nil {
		return nil
	}
	return c.buffer(size)
}

func (c *testConn) Received(b []byte) (rest []byte, ok bool) {
	if c.received != nil {
		return c.received(c, b)
	}
	return nil, c.socket.Writev(nil, b) == nil
}

func (c *testConn) Ready() bool   { return c.ready == nil || c.ready() }
func (c *testConn) Partial() bool { return false }
func (c *testConn) InputClosed()  { c.eof.Store(true) }
func (c *testConn) Flushed() bool { return c.writable != nil }

func (c *testConn) Writable() bool { return c.writable(c) }

func (c *testConn) BeginBatch(any) { call(c.begin) }
func (c *testConn) EndBatch()      { call(c.end) }

// call calls f if it is not nil.
func call(f func()) {
	if f != nil {
		f()
	}
}

func (c *testConn) WriterBlocked() bool              { return false }
func (c *testConn) Panicked(value any, _ bool) error { return Recovered(value) }

func (c *testConn) Closed(err error) {
	if c.closed != nil {
		c.closed(c, err)
	}
}

// hiddenListener hides the type of a listener, and so the polled loop.
type hiddenListener struct{ net.Listener }

// testLoop is a loop of testConns that listens until the test ends.
type testLoop struct {
	*Loop
	addr     string
	counters Counters
	buffered Gauge
	clock    atomic.Uint32
	log      chan error
	started  chan *testConn
	closed   chan error
}

// newTestLoop returns a loop that serves ln, unless that is nil. conn returns a
// connection.
func newTestLoop(t *testing.T, cfg Config, ln net.Listener, conn func() *testConn) *testLoop {
	t.Helper()
	l := &testLoop{log: make(chan error, 100), started: make(chan *testConn, 100), closed: make(chan error, 100)}
	l.counters.Buffered = &l.buffered
	if cfg.Linger == 0 {
		cfg.Linger = time.Second
	}
	cfg.BlockedLinger = cfg.Linger
	cfg.NewBatch = func() any { return nil }
	cfg.Clock, cfg.Counters, cfg.Limit.Total = &l.clock, &l.counters, &l.buffered
	cfg.Log = func(err error) { l.log <- err }
	l.Loop = New(cfg)
	stop := func() {}
	if ln != nil {
		l.addr = ln.Addr().String()
		served := make(chan error, 1)
		go func() { served <- l.Serve(ln, l.open(conn)) }()
		stop = func() {
			ln.Close()
			<-served
		}
	}
	t.Cleanup(func() {
		stop()
		if n := l.buffered.Load(); n != 0 {
			t.Errorf("%d bytes are counted as buffered after the end", n)
		}
	})
	return l
}

func (l *testLoop) open(conn func() *testConn) Open {
	return func(polled bool) (Conn, *PolledSocket) {
		c := &testConn{}
		if conn != nil {
			c = conn()
		}
		if c.started == nil {
			c.started = func(c *testConn) { l.started <- c }
		}
		if c.closed == nil {
			c.closed = func(_ *testConn, err error) { l.closed <- err }
		}
		if polled {
			return c, new(PolledSocket)
		}
		return c, nil
	}
}

// connect returns both ends of a connection.
func (l *testLoop) connect(t *testing.T) (*net.TCPConn, *testConn) {
	t.Helper()
	nc, err := sockbuf.Dial(l.addr)
	check.Must(t, err)
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	return nc.(*net.TCPConn), <-l.started
}

// echoes sends bytes and awaits the echoes.
func echoes(t *testing.T, nc net.Conn, n int) {
	t.Helper()
	for range n {
		check.Must(t, check.Err(nc.Write([]byte("?"))))
		check.Must(t, check.Err(io.ReadFull(nc, make([]byte, 1))))
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := sockbuf.Listen()
	check.Must(t, err)
	return ln
}
