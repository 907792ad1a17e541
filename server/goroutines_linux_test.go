//go:build !portable

package server_test

import (
	"runtime"
	"testing"

	"github.com/fibersock/fibersock/server"
)

// withoutConns returns the number of goroutines of a server on the epoll loop,
// for any number of connections: Serve, one for each processor, the watchdog
// and the sweeper.
func withoutConns() int { return runtime.GOMAXPROCS(0) + 3 }

// A connection has no goroutine. Blocked handlers have at most
// Server.MaxBlocked goroutines, besides those that keep their poller.
func TestGoroutinesAreBounded(t *testing.T) {
	const idle, most = 500, 20
	blocked := most + runtime.GOMAXPROCS(0) + 20
	b := newBlocking()
	before := runtime.NumGoroutine()
	r := loops["system's"](t, &server.Server{Handler: b.handler(), MaxBlocked: most})
	for range idle {
		r.open(t)
	}
	goroutinesSettle(t, before, withoutConns())
	var peers []*peer
	for range blocked {
		p := r.open(t)
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.send(text("Hello"))
	}
	for range most + 1 { // at least one processor
		result(t, b.entered)
	}
	eventually(t, "a refused hand-off", func() bool { return r.Stats().HandOffsRefused > 0 })
	if n := runtime.NumGoroutine() - before; n > withoutConns()+most {
		t.Errorf("%d goroutines, want %d", n, withoutConns()+most)
	}
	if n := r.Stats().Blocked; n > most {
		t.Errorf("%d handlers are blocked", n)
	}
	close(b.release)
	for _, p := range peers {
		p.want(`text "Hello"`)
		p.goodbye(1000)
	}
	goroutinesSettle(t, before, withoutConns())
}

// Without a limit all handlers may block.
func TestHandlersThatBlockWithoutLimit(t *testing.T) {
	const blocked = 50
	b := newBlocking()
	r := loops["system's"](t, &server.Server{Handler: b.handler(), MaxBlocked: -1})
	for range blocked {
		r.open(t).send(text("Hello"))
	}
	for range blocked {
		result(t, b.entered)
	}
	close(b.release)
}

// Each connection with Handler.Serve has one goroutine.
func TestGoroutinesOfConnections(t *testing.T) {
	const clients = 200
	before := runtime.NumGoroutine()
	r := loops["system's"](t, &server.Server{Handlers: map[string]*server.Handler{
		"/serve": {Serve: func(c *server.Conn) { c.Receive(t.Context()) }},
		"/":      {Message: echo},
	}})
	for range clients {
		r.openAs(t, "/serve")
		r.open(t)
	}
	goroutinesSettle(t, before, withoutConns()+clients)
}
