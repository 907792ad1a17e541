package server_test

import (
	"errors"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// changedListener wraps the connections of a listener.
type changedListener struct {
	net.Listener
	change func(net.Conn) net.Conn
}

func (l changedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.change(nc), nil
}

// undated is a net.Conn whose deadlines fail, as those of an SSH channel do, or
// have no effect (gorilla/websocket#911, golang/go#67152).
type undated struct {
	net.Conn
	err error
}

func (c undated) SetDeadline(time.Time) error      { return c.err }
func (c undated) SetReadDeadline(time.Time) error  { return c.err }
func (c undated) SetWriteDeadline(time.Time) error { return c.err }

// wrapped serves s in a bubble with connections that change returns.
func wrapped(t *testing.T, s *server.Server, change func(net.Conn) net.Conn) *running {
	ln := newPipeListener()
	r := serve(t, s, changedListener{ln, change})
	r.dialer = ln.dial
	return r
}

// Timeouts work without deadlines: they close the connection.
func TestTimeLimitsNeedNoDeadlines(t *testing.T) {
	for name, tt := range map[string]struct {
		within     time.Duration
		open       bool
		send, want string
	}{
		"HandshakeTimeout":     {within: 2 * time.Second},
		"WriteTimeout":         {8 * time.Second, true, text("send"), ""},
		"CloseTimeout":         {4 * time.Second, true, text("close"), `close 1000 ""`},
		"the time for the end": {1 * time.Second, true, closing(1000, ""), `close 1000 ""`},
	} {
		for what, err := range map[string]error{"fail": errors.New("not supported"), "have no effect": nil} {
			check.Bubble(t, name+"/"+what, func(t *testing.T) {
				s := wrapped(t, &server.Server{
					HandshakeTimeout: 2 * time.Second, WriteTimeout: 8 * time.Second, CloseTimeout: 4 * time.Second, PingInterval: -1,
					Handler: server.Handler{Message: func(c *server.Conn, _ wire.Opcode, p []byte) {
						if string(p) == "send" {
							c.Send(wire.Binary, make([]byte, 100_000))
						} else {
							c.Close(1000, "")
						}
					}},
				}, func(nc net.Conn) net.Conn { return undated{nc, err} })
				p := s.dial(t)
				start := time.Now()
				if tt.open {
					p.send(request("/"))
					p.wantStatus(101)
					p.send(tt.send)
				}
				if tt.want != "" {
					p.want(tt.want)
				}
				synctest.Wait()
				for s.Stats().Open+s.Stats().Opening > 0 && time.Since(start) < time.Minute {
					time.Sleep(10 * time.Millisecond)
				}
				if took := time.Since(start); took > tt.within+tt.within/2+time.Second {
					t.Errorf("ended after %v, want %v", took, tt.within)
				}
				p.nc.Close()
			})
		}
	}
}

// A client that reads large messages slowly stays connected, however long one
// takes, on every kind of connection (gorilla/websocket#885,
// olahol/melody#100): WriteTimeout limits the time without progress.
// PongTimeout does not end it either, although no Pong arrives
// (python-websockets/websockets#1005).
func TestSlowReaderThatMakesProgressIsNotCut(t *testing.T) {
	eachBubble(t, map[string]func(net.Conn) net.Conn{
		"pipe":        func(nc net.Conn) net.Conn { return nc },
		"wrapped":     func(nc net.Conn) net.Conn { return struct{ net.Conn }{nc} },
		"no deadline": func(nc net.Conn) net.Conn { return undated{nc, nil} },
		"fragile":     func(nc net.Conn) net.Conn { return &fragile{Conn: nc} },
	}, func(t *testing.T, form func(net.Conn) net.Conn) {
		slowReaderIsNotCut(t, func(s *server.Server) *running { return wrapped(t, s, form) })
	})
}

// slowReaderIsNotCut reads a large message slowly. It needs a bubble.
func slowReaderIsNotCut(t *testing.T, start func(s *server.Server) *running) {
	const size, limit = 1 << 20, 2 * time.Second
	rec := newRecorder(t)
	p := start(&server.Server{
		Handler: rec.handler(), MaxBacklog: 2 * size, WriteTimeout: limit, PingInterval: limit, PongTimeout: limit,
	}).open(t)
	c := rec.conn()
	check.Must(t, c.Send(wire.Binary, make([]byte, size)))
	began := time.Now()
	buf := make([]byte, 8<<10)
	for read := 0; read < size; {
		n, err := p.nc.Read(buf)
		if err != nil {
			t.Fatalf("after %v and %d bytes: %v; %v", time.Since(began), read, err, c.Err())
		}
		read += n
		time.Sleep(limit / 5)
	}
	if took := time.Since(began); took < 10*limit {
		t.Errorf("the transfer took only %v", took)
	}
}

// A client that reads a little of a large socket buffer within WriteTimeout
// makes progress, although the kernel reports the socket writable only when a
// third of the buffer is free.
func TestProgressInALargeSocketBuffer(t *testing.T) {
	if !*crowds {
		t.Skip("takes 12 s: run with -args -crowds")
	}
	t.Parallel()
	const limit = 6 * time.Second
	hides := maps.Clone(hiding)
	hides["wrapped"] = func(ln net.Listener) net.Listener {
		return changedListener{ln, func(nc net.Conn) net.Conn { return layered{nc} }}
	}
	each(t, hides, func(t *testing.T, hide func(net.Listener) net.Listener) {
		t.Parallel()
		ln, err := net.Listen("tcp", "127.0.0.1:0") // with buffers that grow
		check.Must(t, err)
		start := func(t *testing.T, s *server.Server) *running { return serve(t, s, hide(ln)) }
		c, p, _ := opened(t, start, &server.Server{WriteTimeout: limit, MaxBacklog: -1})
		for c.Buffered() < 4<<20 {
			check.Must(t, c.Send(wire.Binary, make([]byte, 64<<10)))
		}
		buf := make([]byte, 16<<10)
		for began := time.Now(); time.Since(began) < 2*limit; time.Sleep(limit / 30) {
			check.Must(t, check.Err(p.nc.Read(buf)))
			if err := c.Err(); err != nil {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
		}
	})
}

// layered is a net.Conn that reveals the one below, as TLS does.
type layered struct{ net.Conn }

func (c layered) NetConn() net.Conn { return c.Conn }

// fragile is a net.Conn that breaks at a Write whose deadline has expired, as
// TLS does.
type fragile struct {
	net.Conn
	broken atomic.Bool
}

func (c *fragile) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, errors.New("the state is corrupt")
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

// A method of a net.Conn that panics or ends the goroutine ends that
// connection, and is reported once.
func TestConnWhoseMethodsDoNotReturn(t *testing.T) {
	for name, how := range failings {
		for method, fails := range map[string]*failingConn{"Read": {read: how.fail}, "Write": {write: how.fail}, "Close": {close: how.fail}} {
			check.Bubble(t, name+"/"+method, func(t *testing.T) {
				rec := newRecorder(t)
				h := rec.handler()
				h.Message = echo
				s := wrapped(t, &server.Server{Handler: h, PingInterval: -1}, func(nc net.Conn) net.Conn {
					fails.Conn = nc
					return fails
				})
				p := s.open(t)
				fails.armed.Store(true)
				p.send(text("Hello"))
				switch method {
				case "Read": // the read after the message
					p.want(`text "Hello"`)
					p.send(frame(wire.Pong, ""))
					p.want(`close 1011 ""`)
					rec.want("open", "failed 1011", `close 1006 ""`)
				case "Write":
					p.wantEnd()
					rec.want("open", "lost", `close 1006 ""`)
				case "Close":
					p.want(`text "Hello"`)
					p.close(1000)
					rec.want("open", `close 1000 ""`)
					p.nc.Close()
				}
				check.OK(t, s.Shutdown(t.Context()))
				synctest.Wait()
				if p := takeOne[*server.PanicError](t, s.log); p != nil && p.Value != how.value {
					t.Errorf("reported %v", p)
				}
			})
		}
	}
}

// failingConn is a net.Conn whose methods fail once it is armed.
type failingConn struct {
	net.Conn
	armed              atomic.Bool
	once               sync.Once
	read, write, close func()
}

func (c *failingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.read != nil && c.armed.Load() && !strings.Contains(string(p[:n]), "\x81") {
		c.once.Do(c.read)
	}
	return n, err
}

func (c *failingConn) Write(p []byte) (int, error) {
	if c.write != nil && c.armed.Load() {
		c.write()
	}
	return c.Conn.Write(p)
}

func (c *failingConn) Close() error {
	err := c.Conn.Close()
	if c.close != nil && c.armed.Load() {
		c.close()
	}
	return err
}

// answeringConn answers each Read by a Write, as crypto/tls does on a request
// for a key update: after the read from the transport, or before it if the
// request arrived with earlier data.
type answeringConn struct {
	net.Conn // of netloop.AsyncListener
	answer   []byte
	before   bool
}

func (c *answeringConn) NetConn() net.Conn { return c.Conn }

func (c *answeringConn) Read(p []byte) (int, error) {
	if c.before {
		c.Conn.Write(c.answer)
	}
	n, err := c.Conn.Read(p)
	if err == nil && !c.before {
		_, err = c.Conn.Write(c.answer)
	}
	return n, err
}

// Records that crypto/tls writes by itself count as output. A client that
// requests key updates and does not read pauses reading. The output below TLS
// used to grow without bound: 42 MiB in 29 seconds.
func TestAnswersOfTLSAreBounded(t *testing.T) {
	const limit, answer, frames = 64 << 10, 1 << 10, 1000
	for _, policy := range []server.SlowPolicy{server.SlowClose, server.SlowBlock} {
		for _, before := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var received atomic.Int32
				s := &server.Server{MaxBacklog: limit, WriteTimeout: -1, PingInterval: -1, AssemblyTimeout: -1, SlowPolicy: policy, Handler: server.Handler{
					Message: func(*server.Conn, wire.Opcode, []byte) { received.Add(1) },
				}}
				ln := newPipeListener()
				r := serve(t, s, changedListener{netloop.AsyncListener(ln, netloop.WriteTimeout{}, nil), func(nc net.Conn) net.Conn {
					return &answeringConn{nc, make([]byte, answer), before}
				}})
				r.dialer = ln.dial
				p := r.dial(t)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					p.trySend(request("/"))
					for range frames {
						p.trySend(frame(wire.Binary, ""))
					}
				}()
				time.Sleep(time.Minute) // until all goroutines block
				if st := s.Stats(); st.BacklogPeak < limit/2 || st.BacklogPeak > limit/2+16*answer {
					t.Errorf("%d bytes were buffered", st.BacklogPeak)
				}
				if n := received.Load(); n > limit/answer {
					t.Errorf("%d messages were received", n)
				}
				go io.CopyBuffer(struct{ io.Writer }{io.Discard}, p.nc, make([]byte, 4<<10)) // the client reads, and the server continues
				<-sent
				time.Sleep(time.Minute)
				if n := received.Load(); n != frames || s.Stats().Backlog != 0 {
					t.Errorf("%d messages were received, %d bytes are buffered", n, s.Stats().Backlog)
				}
				p.nc.Close()
				check.OK(t, s.Shutdown(t.Context()))
			})
		}
	}
}
