package server

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

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

// answeringListener accepts one answeringConn.
type answeringListener struct {
	net.Listener
	conns chan net.Conn
	once  sync.Once
}

func (l *answeringListener) Accept() (net.Conn, error) {
	nc, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return nc, nil
}

func (l *answeringListener) Close() error {
	l.once.Do(func() { close(l.conns) })
	return nil
}

// Records that crypto/tls writes by itself count as output. A client that
// requests key updates and does not read pauses reading. The output below TLS
// used to grow without bound: 42 MiB in 29 seconds.
func TestAnswersOfTLSAreBounded(t *testing.T) {
	const limit, answer, frames = 64 << 10, 1 << 10, 1000
	for _, tt := range []struct {
		policy SlowPolicy
		before bool
	}{{SlowClose, false}, {SlowBlock, false}, {SlowClose, true}, {SlowBlock, true}} {
		synctest.Test(t, func(t *testing.T) {
			ours, client := net.Pipe()
			var received atomic.Int32
			s := &Server{MaxBacklog: limit, WriteTimeout: -1, PingInterval: -1, AssemblyTimeout: -1, SlowPolicy: tt.policy, Handler: Handler{
				Message: func(*Conn, wire.Opcode, []byte) { received.Add(1) },
			}}
			ln := &answeringListener{conns: make(chan net.Conn, 1)}
			below := &answeringListener{conns: make(chan net.Conn, 1)}
			below.conns <- ours
			async, err := netloop.AsyncListener(below, netloop.WriteTimeout{}, nil).Accept()
			check.Must(t, err)
			ln.conns <- &answeringConn{async, make([]byte, answer), tt.before}
			served := make(chan error)
			go func() { served <- s.Serve(ln) }()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				client.Write([]byte(upgradeRequests["minimal"]))
				frame := wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Binary, Masked: true}, nil)
				for range frames {
					client.Write(frame)
				}
			}()
			time.Sleep(time.Minute) // until all goroutines block
			if st := s.Stats(); st.BacklogPeak < limit/2 || st.BacklogPeak > limit/2+16*answer {
				t.Errorf("%d bytes were buffered", st.BacklogPeak)
			}
			if n := received.Load(); n > limit/answer {
				t.Errorf("%d messages were received", n)
			}
			go bufio.NewReaderSize(client, 4<<10).WriteTo(discard{}) // the client reads, and the server continues
			<-sent
			time.Sleep(time.Minute)
			if n := received.Load(); n != frames || s.Stats().Backlog != 0 {
				t.Errorf("%d messages were received, %d bytes are buffered", n, s.Stats().Backlog)
			}
			client.Close()
			check.OK(t, s.Shutdown(t.Context()))
			<-served
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
