package server_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Shutdown closes all connections with 1001, and returns when they have ended
// (6455-7.3-a).
func TestShutdownClosesWith1001AndWaits(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{})
		peers := []*peer{s.open(t), s.open(t), s.open(t)}
		for range peers {
			rec.conn()
		}
		done := begin(func() error { return s.Shutdown(t.Context()) })
		for _, p := range peers {
			p.want(`close 1001 ""`)
			p.send(text("last words"))
		}
		select {
		case err := <-done:
			t.Fatalf("Shutdown returned %v with connections open", err)
		default:
		}
		for _, p := range peers {
			p.send(closing(1001, ""))
			p.wantEnd()
			p.nc.Close()
		}
		check.OK(t, result(t, done))
		for range s.Conns() {
			t.Error("a connection is left")
		}
		rec.want("open", "open", "open")
		told := map[string]int{}
		for range 6 {
			told[result(t, rec.lines)]++
		}
		if told[`text "last words"`] != 3 || told[`close 1001 ""`] != 3 {
			t.Errorf("the handler got %v", told)
		}
	})
}

// Shutdown refuses new clients, and those within their opening handshake.
func TestShutdownRefusesHandshakes(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		entered, release := make(chan struct{}), make(chan struct{})
		s := start(t, &server.Server{Handler: rec.handler(), Authorize: func(*handshake.Request, *handshake.ServerAnswer) error {
			close(entered)
			<-release
			return nil
		}})
		half := s.ask(t, request("/")[:50])
		inside := s.dial(t)
		inside.send(request("/")) // accepted by all but Authorize
		<-entered
		eventually(t, "a part of a request", func() bool { return server.PartialRequests(s.Server) == 1 })
		done := begin(func() error { return s.Shutdown(t.Context()) })
		same(t, result(t, s.served), server.ErrServerClosed, "Serve")
		s.served <- server.ErrServerClosed
		half.send(request("/")[50:])
		checkRefused(t, half, 503)
		half.nc.Close()
		if nc, err := s.dialer(); err == nil {
			nc.Close()
			t.Error("the listener is still open")
		}
		close(release)
		inside.wantStatus(101)
		inside.want(`close 1001 ""`)
		inside.send(closing(1001, ""))
		inside.nc.Close()
		check.OK(t, result(t, done))
		rec.want("open", `close 1001 ""`)
	})
}

// Shutdown waits until Serve returns, which may clean up after the end of its
// connection.
func TestShutdownWaitsForServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tidied atomic.Bool
		rec := newRecorder(t)
		h := rec.handler()
		h.Serve = func(c *server.Conn) {
			for range c.Messages(t.Context()) {
			}
			time.Sleep(time.Minute)
			tidied.Store(true)
		}
		s := served(t, &server.Server{Handler: h})
		p := s.open(t)
		rec.conn()
		done := begin(func() error { return s.Shutdown(t.Context()) })
		p.want(`close 1001 ""`)
		p.send(closing(1001, ""))
		if err := <-done; err != nil || !tidied.Load() {
			t.Errorf("Shutdown returned %v, Serve has returned: %v", err, tidied.Load())
		}
	})
}

// The end of ctx aborts the remaining connections: clients that do not answer,
// do not read, or are within their handshake. Shutdown returns although Serve
// does not.
func TestShutdownAbortsConnectionsWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		release := make(chan struct{})
		h := rec.handler()
		h.Serve = func(c *server.Conn) {
			c.Receive(context.Background())
			<-release
		}
		s := served(t, &server.Server{Handler: h, CloseTimeout: -1, WriteTimeout: -1, HandshakeTimeout: -1, PingInterval: -1})
		silent, deaf, half := s.open(t), s.open(t), s.dial(t)
		rec.conn()
		rec.conn()
		half.send(request("/")[:20])
		synctest.Wait() // until all of them are in their phase
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := begin(func() error { return s.Shutdown(ctx) })
		silent.want(`close 1001 ""`)
		timed(t, "Shutdown returned", time.Minute, func() {
			same(t, <-done, context.DeadlineExceeded, "Shutdown")
		})
		synctest.Wait() // Shutdown does not wait for the aborts
		for _, p := range []*peer{silent, deaf, half} {
			p.wantEnd()
		}
		rec.want("open", "open", `close 1006 ""`, `close 1006 ""`)
		timed(t, "a second Shutdown returned", time.Minute, func() {
			go func() {
				time.Sleep(time.Minute)
				close(release)
			}()
			check.OKf(t, s.Shutdown(t.Context()), "a second Shutdown")
		})
	})
}

func TestShutdownOfAServerWithoutConnections(t *testing.T) {
	t.Run("never used", func(t *testing.T) {
		s := new(server.Server)
		for range 2 {
			check.OK(t, s.Shutdown(t.Context()))
		}
		ln := listenTCP(t)
		same(t, s.Serve(ln), server.ErrServerClosed, "Serve")
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener is still open: %v", err)
		}
		same(t, s.ListenAndServe("127.0.0.1:0"), server.ErrServerClosed, "ListenAndServe")
	})
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, new(server.Server))
		s.open(t).reset()
		check.OK(t, s.Shutdown(t.Context()))
	})
}

// faultyListener fails to accept with given errors, and then works.
type faultyListener struct {
	*pipeListener
	errs []error
}

func (l *faultyListener) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	nc, err := l.pipeListener.Accept()
	if err != nil {
		err = errors.New("closed, in words of its own")
	}
	return nc, err
}

// passingError is a temporary error.
type passingError struct{ error }

func (passingError) Temporary() bool { return true }

// A server reports temporary errors of Accept, waits longer after each, at most
// a second, and retries. Serve returns any other error.
func TestAcceptErrors(t *testing.T) {
	passing := passingError{errors.New("too many open files")}
	check.Bubble(t, "that pass", func(t *testing.T) {
		start, reported := time.Now(), 0
		ln := &faultyListener{newPipeListener(), slices.Repeat([]error{passing}, 20)}
		s := &server.Server{Handler: server.Handler{Message: echo}, Log: func(err error) {
			if reported++; err != passing {
				t.Errorf("reported %v", err)
			}
		}}
		r := serve(t, s, ln)
		r.dialer = ln.dial
		p := r.open(t)
		p.echo("Hello")
		if waited := time.Since(start); reported != 20 || waited < 12*time.Second || waited > 14*time.Second {
			t.Errorf("waited %v in total, reported %d times", waited, reported)
		}
	})
	t.Run("that do not", func(t *testing.T) {
		final := errors.New("the network is gone")
		ln := &faultyListener{newPipeListener(), []error{passing, final}}
		s := &server.Server{Log: func(error) {}}
		same(t, s.Serve(ln), final, "Serve")
		if _, err := ln.dial(); err == nil {
			t.Error("the listener is still open")
		}
	})
	t.Run("the address is taken", func(t *testing.T) {
		ln := listenTCP(t)
		defer ln.Close()
		if err := new(server.Server).ListenAndServe(ln.Addr().String()); !isA[*net.OpError](err) {
			t.Errorf("ListenAndServe returned %v", err)
		}
	})
}

// listening calls serve with a free address, at which it listens, and connects
// to that. served receives the result of serve.
func listening(t *testing.T, serve func(addr string) error) (nc net.Conn, served <-chan error) {
	t.Helper()
	addr := ""
	for {
		if served == nil {
			ln := listenTCP(t)
			addr = ln.Addr().String()
			ln.Close()
			served = begin(func() error { return serve(addr) })
		}
		select {
		case err := <-served:
			if !errors.Is(err, syscall.EADDRINUSE) {
				t.Fatalf("the server has returned %v", err)
			}
			served = nil // another process has taken the address
		default:
			if nc, err := net.Dial("tcp", addr); err == nil {
				return nc, served
			}
		}
	}
}

// ListenAndServe listens, and serves like Serve.
func TestListenAndServe(t *testing.T) {
	s := &server.Server{Handler: server.Handler{Open: func(c *server.Conn) { c.Close(wire.NormalClosure, "") }}}
	nc, served := listening(t, s.ListenAndServe)
	p := newPeer(t, nc)
	p.send(request("/"), closing(1000, ""))
	p.response()
	p.want(`close 1000 ""`)
	p.wantEnd()
	p.nc.Close()
	check.OK(t, s.Shutdown(t.Context()))
	same(t, result(t, served), server.ErrServerClosed, "ListenAndServe")
}

// ShutdownSpread spreads the ends over time, so that the clients do not
// reconnect to another server at once (T-C18). Each client is served until its
// end.
func TestShutdownIsSpreadOverTime(t *testing.T) {
	t.Parallel()
	const clients = 100
	tests := []struct {
		name         string
		spread, left time.Duration // left until the context ends; 0: it does not
		want         time.Duration
	}{
		{"no time", 0, 0, 0},
		{"negative", -1, 0, 0},
		{"ten seconds", 10 * time.Second, 0, 10 * time.Second},
		{"less than a tick for each", 100 * time.Millisecond, 0, 100 * time.Millisecond},
		{"longer than the context allows", time.Minute, 8 * time.Second, 4 * time.Second},
		{"shorter than the context allows", 2 * time.Second, 8 * time.Second, 2 * time.Second},
	}
	for _, tt := range tests {
		check.Bubble(t, tt.name, func(t *testing.T) {
			s, rec := recorded(t, served, &server.Server{Handler: server.Handler{Message: echo}, ShutdownSpread: tt.spread})
			closed := make(chan time.Duration, clients)
			start := time.Now()
			for range clients {
				p := s.open(t)
				rec.conn()
				p.meanwhile(func(p *peer) {
					p.send(text("Hello"))
					p.want(`text "Hello"`, `close 1001 ""`)
					closed <- time.Since(start)
					p.send(closing(1001, ""))
					p.rest()
				})
			}
			synctest.Wait()
			ctx := t.Context()
			if tt.left > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.left)
				defer cancel()
			}
			check.OK(t, s.Shutdown(ctx))
			close(closed)
			var times []time.Duration
			for d := range closed {
				times = append(times, d)
			}
			if len(times) != clients {
				t.Fatalf("%d were closed", len(times))
			}
			for part := range 4 { // as many in each quarter of the time
				n := 0
				for _, d := range times {
					if from := tt.want / 4 * time.Duration(part); d >= from && d < from+tt.want/4 {
						n++
					}
				}
				if want := clients / 4; tt.want > 0 && (n < want-10 || n > want+10) {
					t.Errorf("%d were closed in quarter %d, want %d", n, part, want)
				}
			}
			if took := time.Since(start); took > tt.want {
				t.Errorf("took %v, want at most %v", took, tt.want)
			}
		})
	}
}

// ShutdownSpread ends early with the context, and with the last client.
func TestShutdownThatIsSpreadIsCutShort(t *testing.T) {
	for name, leave := range map[string]bool{"context ends": false, "clients leave": true} {
		check.Bubble(t, name, func(t *testing.T) {
			s := served(t, &server.Server{ShutdownSpread: time.Hour, PingInterval: -1})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var want error
			for range 10 {
				p := s.open(t)
				if p.meanwhile(func(p *peer) { p.rest() }); leave {
					time.AfterFunc(time.Minute, func() { p.nc.Close() })
				}
			}
			if !leave {
				time.AfterFunc(time.Minute, cancel)
				want = context.Canceled
			}
			synctest.Wait() // until all are open
			timed(t, "Shutdown returned", time.Minute, func() { same(t, s.Shutdown(ctx), want, "Shutdown") })
		})
	}
}
