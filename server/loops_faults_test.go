package server_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Input does not wait for output: a client that uploads before it reads is
// served, although Serve has sent more than the kernel buffers. On Linux both
// sides used to block until WriteTimeout.
func TestInputDoesNotWaitForOutput(t *testing.T) {
	t.Parallel()
	const messages, size = 30, 64 << 10
	for loop, start := range withTLS(loops) {
		t.Run(loop, func(t *testing.T) {
			all := make(chan struct{})
			p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
				check.OK(t, c.Send(wire.Binary, make([]byte, 900<<10)))
				if c.Buffered() == 0 {
					t.Error("the backlog is empty")
				}
				for range messages {
					check.OK(t, check.Err(c.Receive(t.Context())))
				}
				close(all)
			})
			for range messages {
				p.send(text(strings.Repeat("x", size)))
			}
			result(t, all)
			p.want(fmt.Sprintf("binary %d bytes", 900<<10), `close 1000 ""`)
			result(t, returned)
		})
	}
}

// A client that reads a little now and then does not extend the end of its
// connection: the connection leaves its limits, and Shutdown returns. The end
// used to last while the client read anything within each WriteTimeout.
func TestSlowReaderDoesNotExtendTheEnd(t *testing.T) {
	t.Parallel()
	const much = 900 << 10
	for loop, start := range withServeTLS(loops) {
		t.Run(loop, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder(t)
			h := rec.handler()
			s := start(t, &server.Server{Handler: h, MaxConns: 1, MaxBacklog: 8 * much}) // so that reading is not paused
			p := s.open(t)
			check.Must(t, rec.conn().Send(wire.Binary, make([]byte, much)))
			p.send(closing(1000, ""))
			rec.want("open", `close 1000 ""`)
			got := make(chan int, 1)
			var free atomic.Bool
			p.meanwhile(func(p *peer) {
				buf, all := make([]byte, 8<<10), 0
				for {
					n, err := p.nc.Read(buf)
					if all += n; err != nil {
						got <- all
						return
					}
					if !free.Load() {
						time.Sleep(50 * time.Millisecond) // reads that slowly; all would need six seconds
					}
				}
			})
			eventually(t, "the connection ended", func() bool {
				nc, err := s.dialer()
				check.Must(t, err)
				other := newPeer(t, nc)
				defer nc.Close()
				if other.trySend(request("/")) != nil {
					return false
				}
				return other.more() == nil
			})
			free.Store(true)
			if n := result(t, got); n >= much {
				t.Errorf("the client has read all %d bytes", n)
			}
		})
	}
}

// hangingListener is a listener whose Close blocks until Accept returns, as in
// package net with a blocking socket.
type hangingListener struct {
	net.Listener
	accepting, closing, release chan struct{}
}

func (l hangingListener) Accept() (net.Conn, error) {
	close(l.accepting)
	<-l.release
	return nil, net.ErrClosed
}

func (l hangingListener) Close() error {
	select {
	case l.closing <- struct{}{}:
	default:
	}
	<-l.release
	return nil
}

// Shutdown waits for a listener that does not close until its context ends, and
// does not hold the server's lock meanwhile.
func TestShutdownDoesNotWaitForAListener(t *testing.T) {
	ln := hangingListener{newPipeListener(), make(chan struct{}), make(chan struct{}, 1), make(chan struct{})}
	s := serve(t, new(server.Server), ln)
	<-ln.accepting
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	result(t, ln.closing)
	for range s.Conns() {
		t.Error("a connection is open")
	}
	cancel()
	if err := result(t, done); err != context.Canceled {
		t.Errorf("Shutdown returned %v", err)
	}
	close(ln.release)
}
