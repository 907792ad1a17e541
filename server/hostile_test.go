package server_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Connections that end without a Close, in any phase, leave no goroutine, no
// descriptor and no entry in the registry (T-C11, T-C14, T-D10, T-D11).
func TestNothingIsLeftOfConnectionsThatEndAbruptly(t *testing.T) {
	const each = 50
	upgrade := func(p *peer) {
		p.send(request("/"))
		p.response()
	}
	states := []func(p *peer){
		func(*peer) {},
		func(p *peer) { p.send(request("/")[:70]) },
		func(p *peer) { p.send(request("/")) }, // perhaps while the 101 is sent
		upgrade,
		func(p *peer) { upgrade(p); p.send("\x81") },
		func(p *peer) { upgrade(p); p.send(declaring(wire.Text, 1000, true), "a") },
		func(p *peer) { upgrade(p); p.send(fragment(wire.Text, "a", false)) },
		func(p *peer) { upgrade(p); p.send(text("Hello"), frame(wire.Ping, "")) }, // perhaps while the echo is sent
		func(p *peer) { upgrade(p); p.send(text("close")); p.next() },
		func(p *peer) { upgrade(p); p.send(closing(1000, "")) },
	}
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			if string(p) == "close" {
				c.Close(1000, "")
			}
			c.Send(op, p)
		}}})
		before, files := runtime.NumGoroutine(), usage.Files()
		for range each {
			for _, state := range states {
				nc, err := s.dialer()
				check.Must(t, err)
				p := &peer{t: t, nc: nc}
				state(p)
				p.reset()
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil { // waits until the registry is empty
			t.Fatal(err)
		}
		nothingLeft(t, before, files)
	})
}

// All operations on a connection at the same time, from several goroutines,
// while its client sends at random (T-H02). The race detector checks them.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	const conns = 200
	eachLoop(t, func(t *testing.T, start starter) {
		torment := func(c *server.Conn) {
			for _, do := range []func(){
				func() { c.SendText("Hello") },
				func() { c.Send(wire.Binary, make([]byte, 10_000)) },
				func() { c.SendFragment(wire.Text, []byte("a"), false) },
				func() { c.SendFragment(wire.Continuation, nil, true) },
				func() { c.SendPing(nil) },
				func() { c.Close(1000, "") },
				func() { c.SetValue(c.Value()) },
				func() { c.CloseNow() },
			} {
				go do()
			}
		}
		s := start(t, &server.Server{
			Handler: server.Handler{Open: torment, Message: echo},
			Handlers: map[string]*server.Handler{
				"/serve": {Serve: func(c *server.Conn) {
					torment(c)
					for range c.Messages(t.Context()) {
					}
				}},
				"/pieces": {Message: echo, Partial: func(c *server.Conn, _ wire.Opcode, _ []byte, _ bool) { torment(c) }},
			},
			PingInterval: 10 * time.Millisecond,
		})
		var all sync.WaitGroup
		for _, target := range []string{"/", "/serve", "/pieces"} {
			all.Go(func() {
				for range conns {
					nc, err := s.dialer()
					if err != nil {
						t.Error(err)
						return
					}
					p := &peer{t: t, nc: nc}
					p.trySend(request(target), text("Hello"), fragment(wire.Text, "a", false), frame(wire.Ping, ""), fragment(wire.Continuation, "b", true))
					p.more()
					p.trySend(closing(1000, ""))
					p.reset()
				}
			})
			all.Go(func() {
				for range conns {
					s.Broadcast(wire.Text, []byte(strings.Repeat("a", 1000)))
					for c := range s.Conns() {
						c.SendPing(nil)
					}
				}
			})
		}
		all.Wait()
	})
}

// goroutinesSettle waits until at most so many goroutines more than before
// exist. Those of the opening handshake exit soon, but not at once.
func goroutinesSettle(t *testing.T, before, most int) {
	t.Helper()
	n := 0
	eventually(t, "few goroutines", func() bool {
		n = runtime.NumGoroutine() - before
		return n <= most
	})
	t.Logf("%d goroutines, at most %d", n, most)
}

// A connection with Handler.Serve has one goroutine for it, and one more on a
// loop other than epoll.
func TestGoroutinesOfHandlersThatServe(t *testing.T) {
	const clients = 100
	eachLoop(t, func(t *testing.T, start starter) {
		before := runtime.NumGoroutine()
		s := start(t, &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) { c.Receive(t.Context()) }}})
		for range clients {
			s.open(t)
		}
		goroutinesSettle(t, before, 2*clients+runtime.GOMAXPROCS(0)+3)
	})
}
