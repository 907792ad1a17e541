package server_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Input does not wait for output: a client that first uploads and then reads is served,
// although Serve has sent more than the system takes. On Linux both used to wait for
// each other, until WriteTimeout.
func TestInputDoesNotWaitForOutput(t *testing.T) {
	const messages, size = 30, 64 << 10
	for loop, start := range withTLS(loops) {
		t.Run(loop, func(t *testing.T) {
			all := make(chan struct{})
			p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
				if err := c.Send(wire.Binary, make([]byte, 900<<10)); err != nil {
					t.Error(err)
				}
				if c.Buffered() == 0 {
					t.Error("nothing waits")
				}
				for range messages {
					if _, err := c.Receive(t.Context()); err != nil {
						t.Error(err)
					}
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

// The end of a connection takes no longer because its client reads a little now and
// then: its place is free for another one, and Shutdown ends. It used to last as long
// as something was read within each WriteTimeout.
func TestEndIsBoundedHoweverSlowlyTheClientReads(t *testing.T) {
	const much = 900 << 10
	for loop, start := range withServeTLS(loops) {
		t.Run(loop, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder(t)
			h := rec.handler()
			s := start(t, &server.Server{Handler: h, MaxConns: 1})
			p := s.open(t)
			if err := rec.conn().Send(wire.Binary, make([]byte, much)); err != nil {
				t.Fatal(err)
			}
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
						time.Sleep(50 * time.Millisecond) // as slow as that; all would take six seconds
					}
				}
			})
			eventually(t, "the place is free", func() bool {
				nc, err := s.dialer()
				if err != nil {
					t.Fatal(err)
				}
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

// hangingListener is a listener whose Close does not return as long as Accept does not,
// as package net has it with a blocking socket.
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

// Shutdown does not wait for a listener that does not close longer than it is told to,
// and the server is not locked meanwhile.
func TestShutdownDoesNotWaitForAListener(t *testing.T) {
	ln := hangingListener{newPipeListener(), make(chan struct{}), make(chan struct{}, 1), make(chan struct{})}
	s := serve(t, new(server.Server), ln)
	<-ln.accepting
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	result(t, ln.closing)
	for range s.Conns() {
		t.Error("there is a connection")
	}
	cancel()
	if err := result(t, done); err != context.Canceled {
		t.Errorf("Shutdown returned %v", err)
	}
	close(ln.release)
}
