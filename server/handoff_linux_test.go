//go:build !portable

package server_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// withoutConns returns the number of goroutines of a server on the epoll loop,
// for any number of connections: Serve, one for each processor, the watchdog
// and the sweeper.
func withoutConns() int { return runtime.GOMAXPROCS(0) + 3 }

// blocking is a handler that reports its call and blocks until release.
type blocking struct {
	entered chan struct{}
	release chan struct{}
}

func newBlocking() *blocking {
	return &blocking{entered: make(chan struct{}, 100), release: make(chan struct{})}
}

func (b *blocking) handler() server.Handler {
	return server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
		b.entered <- struct{}{}
		<-b.release
		echo(c, op, p)
	}}
}

// openBlocked opens n connections to target, whose handlers block.
func (b *blocking) openBlocked(t *testing.T, r *running, target string, n int) (peers []*peer) {
	t.Helper()
	for range n {
		p := r.openAs(t, target)
		p.send(text("Hello"))
		result(t, b.entered)
		peers = append(peers, p)
	}
	return peers
}

// returned ends the connections of handlers that have been released.
func returned(peers []*peer) {
	for _, p := range peers {
		p.want(`text "Hello"`)
		p.goodbye(1000)
	}
}

// A connection has no goroutine. Blocked handlers have at most
// Server.MaxBlocked goroutines, besides those that keep their poller.
func TestGoroutinesAreBounded(t *testing.T) {
	const idle, most = 500, 20
	b := newBlocking()
	before := runtime.NumGoroutine()
	r := loops["system's"](t, &server.Server{Handler: b.handler(), MaxBlocked: most})
	for range idle {
		r.open(t)
	}
	goroutinesSettle(t, before, withoutConns())
	var peers []*peer
	for range most + runtime.GOMAXPROCS(0) + 20 {
		peers = append(peers, r.open(t))
	}
	for _, p := range peers {
		p.send(text("Hello"))
	}
	for range most + 1 { // at least one processor
		result(t, b.entered)
	}
	eventually(t, "a refused hand-off", func() bool { return r.Stats().HandOffsRefused > 0 })
	goroutinesSettle(t, before, withoutConns()+most)
	if n := r.Stats().Blocked; n > most {
		t.Errorf("%d handlers are blocked", n)
	}
	close(b.release)
	returned(peers)
	goroutinesSettle(t, before, withoutConns())
}

// Without a limit all handlers may block. Each is counted once, and leaves
// Blocked once.
func TestHandlersThatBlockWithoutLimit(t *testing.T) {
	t.Parallel()
	const handlers = 50
	b := newBlocking()
	r := loops["system's"](t, &server.Server{Handler: b.handler(), MaxBlocked: -1})
	peers := b.openBlocked(t, r, "/", handlers)
	eventually(t, "all handlers blocked", func() bool { return r.Stats().Blocked == handlers })
	if n := r.Stats().HandOffs; n < handlers {
		t.Errorf("%d hand-offs of %d handlers", n, handlers)
	}
	close(b.release)
	returned(peers)
	if st := r.atRest(t); st.Blocked != 0 || st.HandOffsRefused != 0 || st.Received.Messages != handlers || st.Sent.Messages != handlers {
		t.Errorf("after Shutdown %+v", st)
	}
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

// A handler above MaxBlocked is counted once in HandOffsRefused, however long
// it delays other connections. It is counted as blocked when another handler
// has returned.
func TestStatsOfRefusedHandOffs(t *testing.T) {
	first, second := newBlocking(), newBlocking()
	one, two := first.handler(), second.handler()
	r := loops["system's"](t, &server.Server{Handlers: map[string]*server.Handler{"/first": &one, "/second": &two}, MaxBlocked: 1})
	peers := first.openBlocked(t, r, "/first", 1)
	eventually(t, "one blocked handler", func() bool { return r.Stats().Blocked == 1 })
	peers = append(peers, second.openBlocked(t, r, "/second", 1)...)
	eventually(t, "the second hand-off refused", func() bool { return r.Stats().HandOffsRefused > 0 })
	before := r.Stats()
	<-time.After(20 * time.Millisecond) // the watchdog checks it many times
	close(first.release)
	eventually(t, "the second handler blocked", func() bool {
		st := r.Stats()
		return st.Blocked == 1 && st.HandOffs > before.HandOffs
	})
	if more := r.Stats().HandOffsRefused - before.HandOffsRefused; more > 1 { // one may be of another connection on a slow machine
		t.Errorf("the hand-off was refused %d times more", more)
	}
	close(second.release)
	returned(peers)
	r.atRest(t)
}

// Messages of a blocked handler are sent before it returns, also if so many
// block that it keeps its poller.
func TestMessagesOfABlockedHandlerAreSent(t *testing.T) {
	const clients = 4
	release := make(chan struct{})
	r := loops["system's"](t, &server.Server{MaxBlocked: 1, Handler: server.Handler{Message: func(c *server.Conn, _ wire.Opcode, _ []byte) {
		c.SendText("before")
		<-release
	}}})
	defer close(release)
	var peers []*peer
	for range clients {
		peers = append(peers, r.open(t))
	}
	for _, p := range peers[:min(clients, runtime.GOMAXPROCS(0)+1)] {
		p.send(text("?"))
		p.want(`text "before"`)
	}
}

// An answer is sent while its handler blocks, although the watchdog has given
// the poller to another leader before the answers of the message were
// collected: the replaced leader collects none. Here a call of Handler.Writable
// makes the watchdog replace it.
func TestReplacedLeaderCollectsNothing(t *testing.T) {
	writable, returns, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r := loops["system's"](t, &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			if string(p) == "much" {
				c.Send(op, make([]byte, 900<<10))
				return
			}
			c.Send(op, p)
			<-release
		},
		Writable: func(*server.Conn) {
			close(writable)
			<-returns
		},
	}})
	defer close(release)
	p := r.open(t)
	p.send(text("much"))
	p.want("text 921600 bytes")
	result(t, writable)
	p.send(text("?"))
	eventually(t, "a hand-off", func() bool { return r.Stats().HandOffs > 0 })
	close(returns)
	p.want(`text "?"`)
}

// Input buffered for Handler.Serve is not copied by each Receive: 136 KiB of
// small messages used to cost 241 MiB of garbage.
func TestInputThatWaitsForServeIsNotCopied(t *testing.T) {
	const messages = 20_000
	all := make(chan struct{})
	p := loops["system's"](t, &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) {
		buf := make([]byte, 0, 10)
		for n := 1; ; n++ {
			var err error
			if _, buf, err = c.ReceiveInto(t.Context(), buf[:0]); err != nil {
				return
			}
			if n == messages {
				close(all)
			}
		}
	}}}).open(t)
	flood := strings.Repeat(text("x"), messages)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.send(flood)
	result(t, all)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d bytes allocated for %d bytes", n, len(flood))
	}
}
