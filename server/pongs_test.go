package server_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/sockbuf"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Pongs are exempt from MaxBacklog. When a client that reads nothing sends many
// empty Pings together, the server stops in the middle of them at half of
// MaxBacklog, and handles the rest when the client has read. Over TLS, where
// each Pong is a record, the Pongs used to grow to four times the Pings.
func TestPongsForOneReadAreBounded(t *testing.T) {
	t.Parallel()
	for loop, start := range withTLS(loops) {
		for style, handler := range map[string]func(received chan<- int) server.Handler{
			"Message": func(received chan<- int) server.Handler {
				return server.Handler{Message: func(_ *server.Conn, _ wire.Opcode, p []byte) { received <- len(p) }}
			},
			"Partial": func(received chan<- int) server.Handler {
				size := 0
				return server.Handler{Partial: func(_ *server.Conn, _ wire.Opcode, p []byte, final bool) {
					if size += len(p); final {
						received <- size
					}
				}}
			},
			"Serve": func(received chan<- int) server.Handler {
				return server.Handler{Serve: func(c *server.Conn) {
					for m := range c.Messages(t.Context()) {
						received <- len(m.Payload)
					}
				}}
			},
		} {
			t.Run(loop+"/"+style, func(t *testing.T) {
				const (
					limit = 16 << 10
					fill  = 2 * sockbuf.Most // bytes
					pings = 6000
					slack = 8 << 10 // bytes of Pongs that the goroutine loop collects
				)
				received, conns := make(chan int, 1), make(chan *server.Conn, 1)
				var controls atomic.Int32
				h := handler(received)
				h.Open = func(c *server.Conn) { conns <- c }
				h.Control = func(*server.Conn, wire.Opcode, []byte) { controls.Add(1) }
				s := &server.Server{Handler: h, MaxBacklog: limit, SlowPolicy: server.SlowClose, WriteTimeout: patience, PingInterval: -1}
				p := start(t, s).open(t)
				c := result(t, conns)
				p.send(frame(wire.Binary, strings.Repeat("x", 256<<10))) // TLS writes large records from now on
				if n := result(t, received); n != 256<<10 {
					t.Fatalf("%d bytes were received", n)
				}
				check.Must(t, c.Send(wire.Binary, make([]byte, fill)))
				before := c.Buffered()
				sent := begin(func() error {
					return p.trySend(strings.Repeat(frame(wire.Ping, ""), pings-1), frame(wire.Ping, "last"))
				})
				eventually(t, "paused reading", func() bool { return c.ReadPaused() || controls.Load() == pings })
				if n := c.Buffered() - before; n > limit/2+slack {
					t.Errorf("%d bytes of Pongs are buffered", n)
				}
				p.want(fmt.Sprintf("binary %d bytes", fill))
				for last := false; !last; { // the engine may skip others
					f, err := p.next()
					if err != nil || f.Opcode != wire.Pong {
						t.Fatalf("received %s, %v, want Pongs", show(f), err)
					}
					last = len(f.Payload) > 0
				}
				check.OK(t, result(t, sent))
				if n := s.Stats().BacklogPeak; n > fill+fill/16+limit/2+slack {
					t.Errorf("%d bytes were buffered", n)
				}
				p.goodbye(1000)
				if n := controls.Load(); n != pings {
					t.Errorf("Control was called %d times, want %d", n, pings)
				}
			})
		}
	}
}
