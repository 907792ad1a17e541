package server_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// Faults of the server's environment: calls in an unusual order, and errors of
// the kernel.

// All causes of an end at the same time: each connection is opened and closed
// once, Serve returns its error, and Shutdown waits for the last one
// (6455-7.3-a, T-C14).
func TestShutdownAtOnceWithEverythingThatEndsConnections(t *testing.T) {
	const conns = 60
	eachLoop(t, func(t *testing.T, start starter) {
		var opened, closed atomic.Int64
		ends := []func(c *server.Conn){
			func(c *server.Conn) { c.Close(wire.NormalClosure, "") },
			func(c *server.Conn) { c.CloseNow() },
			func(c *server.Conn) { c.SendText("hang up") },
			func(c *server.Conn) { c.SendText("reset") },
			func(*server.Conn) {}, // for Shutdown
		}
		s := start(t, &server.Server{Handler: server.Handler{
			Open: func(*server.Conn) { opened.Add(1) },
			Close: func(c *server.Conn, _ wire.StatusCode, _ string) {
				closed.Add(1)
				c.Close(wire.NormalClosure, "") // after the end, without effect
				c.CloseNow()
			},
		}})
		var clients sync.WaitGroup
		var dialed []net.Conn
		for range conns {
			nc := s.open(t).nc
			dialed = append(dialed, nc)
			clients.Go(func() { obey(newPeer(t, nc)) })
		}
		var all sync.WaitGroup
		i := 0
		for c := range s.Conns() {
			do := ends[i%len(ends)]
			i++
			all.Go(func() { do(c) })
		}
		for range 3 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				check.OKf(t, s.Shutdown(ctx), "Shutdown")
			})
		}
		all.Wait()
		clients.Wait()
		for _, nc := range dialed {
			nc.Close()
		}
		if o, c := opened.Load(), closed.Load(); o != conns || c != conns {
			t.Errorf("opened %d, closed %d", o, c)
		}
	})
}

// obey answers Close frames and runs the commands of messages until the
// connection ends.
func obey(p *peer) {
	for {
		f, err := p.next()
		switch {
		case err != nil:
			p.nc.Close()
			return
		case f.Opcode == wire.Close:
			p.trySend(closing(wire.NormalClosure, ""))
		case string(f.Payload) == "reset":
			p.reset()
		default:
			p.nc.Close()
		}
	}
}

// Shutdown does not wait for stalled handshakes: a client that has sent a part
// of its request is refused, and aborted soon if it does not disconnect; one
// that has sent nothing is aborted at once. Shutdown used to wait for
// HandshakeTimeout (T-D08, T-D10).
func TestShutdownDuringHandshakesThatStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		w := inMemory(t, &server.Server{Handler: rec.handler(), HandshakeTimeout: time.Hour}, func(n int) wstest.Plan {
			return wstest.Plan{ToServer: wstest.Faults{Cut: wstest.StallAt(int64(n))}}
		})
		for n := range len(request("/")) {
			p := &peer{t: t, nc: w.dial()}
			p.send(request("/"))
			p.meanwhile(func(p *peer) {
				if n > 0 {
					if status := p.response().Status; status != 503 {
						t.Errorf("refused with %d after %d bytes", status, n)
					}
				}
				p.rest()
			})
		}
		synctest.Wait()
		timed(t, "Shutdown returned", 2*time.Second, func() {
			check.OKf(t, w.s.Shutdown(t.Context()), "Shutdown")
		})
		synctest.Wait()
		rec.wantNothing()
	})
}

// Shutdown aborts a client that has connected and sent nothing, at once, on
// every loop and with TLS.
func TestShutdownCutsSilentClients(t *testing.T) {
	for name, start := range withTLS(loops) {
		t.Run(name, func(t *testing.T) {
			s := start(t, &server.Server{HandshakeTimeout: time.Hour})
			nc, err := net.Dial("tcp", s.addr)
			check.Must(t, err)
			silent := newPeer(t, nc)
			eventually(t, "a connection in the opening handshake", func() bool { return s.Stats().Opening == 1 })
			check.OK(t, s.Shutdown(t.Context()))
			silent.rest()
		})
	}
}

// A handler that calls Shutdown waits for itself. The context ends that.
func TestShutdownInAHandler(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		var s *running
		returned := make(chan error, 1)
		s = start(t, &server.Server{Handler: server.Handler{Message: func(c *server.Conn, _ wire.Opcode, _ []byte) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			returned <- s.Shutdown(ctx)
		}}})
		p := s.open(t)
		p.send(text("shut down"))
		if err := result(t, returned); err != context.Canceled {
			t.Errorf("Shutdown returned %v", err)
		}
		p.rest()
		p.nc.Close()
		check.OKf(t, s.Shutdown(t.Context()), "from outside it")
	})
}

// The application closes the listener before Shutdown: Serve returns the error,
// connections stay open, and Shutdown works.
func TestListenerClosedBeforeShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := wstest.Listen(nil)
		s := &server.Server{Handler: server.Handler{Message: echo}}
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		nc, err := ln.Dial()
		check.Must(t, err)
		defer nc.Close()
		p := wstest.NewClient(nc)
		check.Must(t, p.Play("open /"))
		ln.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
		if err := p.Play(`
			send text "Hello"
			expect text "Hello"
		`); err != nil {
			t.Error(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		if err := p.Play(`
			expect close 1001
			send close 1001
			expect end
			hangup
		`); err != nil {
			t.Error(err)
		}
		check.OK(t, <-done)
	})
}
