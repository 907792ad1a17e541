package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
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
	t.Parallel()
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
	each(t, withTLS(loops), func(t *testing.T, start starter) {
		s := start(t, &server.Server{HandshakeTimeout: time.Hour})
		silent := dialTCP(t, s.addr)
		eventually(t, "a connection in the opening handshake", func() bool { return s.Stats().Opening == 1 })
		check.OK(t, s.Shutdown(t.Context()))
		silent.rest()
	})
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
		same(t, result(t, returned), context.Canceled, "Shutdown")
		p.rest()
		p.nc.Close()
		check.OKf(t, s.Shutdown(t.Context()), "from outside it")
	})
}

// The application closes the listener before Shutdown: Serve returns the error,
// connections stay open, and Shutdown works.
func TestClosedListenerEndsServe(t *testing.T) {
	each(t, hiding, func(t *testing.T, hide func(net.Listener) net.Listener) {
		s := &server.Server{Handler: server.Handler{Message: echo}}
		var peers []*peer
		for range 3 {
			ln := listenTCP(t)
			served := begin(func() error { return s.Serve(hide(ln)) })
			p := dialTCP(t, ln.Addr().String())
			p.send(request("/"))
			p.response()
			ln.Close()
			if err := result(t, served); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Serve returned %v", err)
			}
			if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
				t.Error("the listener is still open")
			}
			peers = append(peers, p)
		}
		down := make(chan error, 1)
		for i, p := range peers {
			p.echo("Hello")
			if i == len(peers)-1 {
				go func() { down <- s.Shutdown(t.Context()) }()
			}
		}
		for _, p := range peers {
			p.wantClose(`close 1001 ""`, closing(1001, ""))
		}
		check.OK(t, result(t, down))
	})
}

// The server and the client see the same addresses of a connection, for
// connections accepted one by one and together.
func TestAddressesOfConnectionsAcceptedTogether(t *testing.T) {
	t.Parallel()
	const n = 40
	for addr, host := range map[string]string{"127.0.0.1:0": "127.0.0.1", "[::1]:0": "::1", ":0": "::1", "0.0.0.0:0": "127.0.0.1"} {
		t.Run(addr, func(t *testing.T) {
			ln, err := net.Listen("tcp", addr)
			check.Must(t, err)
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			var peers []*peer
			connect := func() {
				for range n {
					p := dialTCP(t, net.JoinHostPort(host, port))
					p.send(request("/"))
					peers = append(peers, p)
				}
			}
			connect() // they wait to be accepted
			rec := newRecorder(t)
			serve(t, &server.Server{Handler: rec.handler()}, ln)
			local := map[string]string{} // by the remote address
			for i := range 2 * n {
				if i == n {
					connect()
				}
				c := rec.conn()
				local[c.RemoteAddr().String()] = c.LocalAddr().String()
			}
			for _, p := range peers {
				if got, want := local[p.nc.LocalAddr().String()], p.nc.RemoteAddr().String(); got != want {
					t.Errorf("the server has %q for the client's %s", got, want)
				}
				p.nc.Close()
			}
		})
	}
}

// Input does not wait for output: a client that uploads before it reads is
// served, although Serve has sent more than the kernel buffers. On Linux both
// sides used to block until WriteTimeout.
func TestInputDoesNotWaitForOutput(t *testing.T) {
	t.Parallel()
	const messages, size = 30, 64 << 10
	each(t, withTLS(loops), func(t *testing.T, start starter) {
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

// A client that reads a little now and then does not extend the end of its
// connection: the connection leaves its limits, and Shutdown returns. The end
// used to last while the client read anything within each WriteTimeout.
func TestSlowReaderDoesNotExtendTheEnd(t *testing.T) {
	t.Parallel()
	const much = 4 << 20
	eachAtOnce(t, withServeTLS(loops), func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{MaxConns: 1, MaxBacklog: 8 * much}) // so that reading is not paused
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
					time.Sleep(50 * time.Millisecond) // reads that slowly; all would need half a minute
				}
			}
		})
		eventually(t, "the connection ended", func() bool {
			other := s.dial(t)
			defer other.nc.Close()
			return other.trySend(request("/")) == nil && other.more() == nil
		})
		free.Store(true)
		if n := result(t, got); n >= much {
			t.Errorf("the client has read all %d bytes", n)
		}
	})
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
	done := begin(func() error { return s.Shutdown(ctx) })
	result(t, ln.closing)
	for range s.Conns() {
		t.Error("a connection is open")
	}
	cancel()
	same(t, result(t, done), context.Canceled, "Shutdown")
	close(ln.release)
}
