package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// What becomes of a connection that breaks, at every byte of a conversation.

// conversations are scripts of a client. Of a server it wants an echo, and that it
// closes when it is told to.
var conversations = map[string]string{
	"closed by the client": `
		send text "Hello"
		expect text "Hello"
		send text more "Hel"
		send ping "a"
		expect pong "a"
		send continuation "lo"
		expect text "Hello"
		send pong "b"
		send close 1000 "bye"
		expect close 1000
		expect end
	`,
	"closed by the server": `
		send binary 00 ff
		expect binary 00 ff
		send text "close"
		expect close 1000 "enough"
		send close 1000
		expect end
	`,
}

// fates are what handlers are told of connections, by their query.
type fates struct {
	t  *testing.T
	mu sync.Mutex // guards the rest
	of map[string]*fate
}

type fate struct {
	opened, failed, closed int
	openedAt               time.Time
}

// givenUp is by when a server with the default timeouts has given up a client of
// whom nothing comes.
const givenUp = server.DefaultPingInterval + server.DefaultPongTimeout + 5*time.Second

// handler returns a handler for conversations, in the style of events or in the
// blocking one.
func (f *fates) handler(blocking bool) server.Handler {
	h := server.Handler{
		Open: func(c *server.Conn) { f.note(c, func(f *fate) { f.opened, f.openedAt = f.opened+1, time.Now() }) },
		Error: func(c *server.Conn, err error) {
			f.note(c, func(f *fate) { f.failed++ })
			f.wantTyped(c, "failing", err)
		},
		Close: func(c *server.Conn, code wire.StatusCode, _ string) {
			f.note(c, func(one *fate) {
				one.closed++
				if took := time.Since(one.openedAt); took > givenUp {
					f.t.Errorf("%s: lived on for %v", c.Query(), took)
				}
			})
			var closed *server.CloseError
			if byPeer := errors.As(c.Err(), &closed); byPeer != (code == wire.NormalClosure) || !byPeer && code != wire.AbnormalClosure {
				f.t.Errorf("%s: Close is told %v after %v", c.Query(), code, c.Err())
			}
			for name, err := range operations(c) {
				f.wantTyped(c, name, err)
			}
		},
		Message: f.answer,
	}
	if blocking {
		h.Serve = func(c *server.Conn) {
			for {
				m, err := c.Receive(context.Background())
				if err != nil {
					f.wantTyped(c, "Receive", err)
					return
				}
				f.answer(c, m.Opcode, m.Payload)
			}
		}
	}
	return h
}

func (f *fates) answer(c *server.Conn, op wire.Opcode, p []byte) {
	var err error
	if string(p) == "close" {
		err = c.Close(wire.NormalClosure, "enough")
	} else {
		err = c.Send(op, p)
	}
	if err != nil {
		f.wantTyped(c, "answering", err)
	}
}

// operations does everything that can be done with a connection.
func operations(c *server.Conn) map[string]error {
	return map[string]error{
		"Send":         c.Send(wire.Binary, []byte("a")),
		"SendText":     c.SendText("a"),
		"SendJSON":     c.SendJSON("a"),
		"SendFragment": c.SendFragment(wire.Text, []byte("a"), false),
		"Ping":         c.SendPing(nil),
		"Pong":         c.SendPong(nil),
		"Close":        c.Close(wire.NormalClosure, ""),
	}
}

// wantTyped checks that err is one of those that Conn documents for a connection
// that has ended.
func (f *fates) wantTyped(c *server.Conn, what string, err error) {
	var closed *server.CloseError
	var failed *server.FailError
	var lost *server.LostError
	typed := err == server.ErrClosed || errors.As(err, &closed) || errors.As(err, &failed) || errors.As(err, &lost)
	if !typed || !errors.Is(err, net.ErrClosed) {
		f.t.Errorf("%s: %s returned %v", c.Query(), what, err)
	}
}

func (f *fates) note(c *server.Conn, do func(*fate)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = make(map[string]*fate)
	}
	one := f.of[c.Query()]
	if one == nil {
		one = new(fate)
		f.of[c.Query()] = one
	}
	do(one)
}

// check looks at what was told of a connection, and whether it went undisturbed.
func (f *fates) check(query string, want openness, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := fate{}
	if one := f.of[query]; one != nil {
		got = *one
	}
	text := fmt.Sprintf("%s: opened %d times, failed %d, closed %d", query, got.opened, got.failed, got.closed)
	switch {
	case got.opened > 1 || got.closed != got.opened || got.failed > got.opened:
		f.t.Error(text)
	case want == opens && got.opened == 0, want == opensNot && got.opened > 0:
		f.t.Errorf("%s; its handshake says otherwise", text)
	case whole && got.failed != 0:
		f.t.Errorf("%s, although nothing was cut", text)
	}
}

// openness says whether a connection is opened.
type openness int

const (
	opens openness = iota
	opensNot
	mayOpen
)

// world is where a server and its clients are.
type world struct {
	s    *running
	dial func() net.Conn // the n-th call makes the n-th link
	link func(n int) *wstest.Link

	tcp     bool // real sockets
	encoded bool // by TLS: bytes and bytes of the conversation are not the same

	patience time.Duration // of a client that waits for the server; longer than all timeouts of the server
}

// worldOf starts a server for connections with faults.
type worldOf func(t *testing.T, s *server.Server, plan func(n int) wstest.Plan) world

// inMemory is a world without sockets. It belongs in a bubble.
func inMemory(t *testing.T, s *server.Server, plan func(n int) wstest.Plan) world {
	ln := wstest.Listen(plan)
	return world{s: serve(t, s, ln), dial: func() net.Conn {
		nc, err := ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		return nc
	}, link: ln.Link, patience: time.Hour}
}

// throughRelay is a world of TCP.
func throughRelay(start starter) worldOf {
	return func(t *testing.T, s *server.Server, plan func(n int) wstest.Plan) world {
		r := start(t, s)
		relay, err := wstest.NewRelay(r.addr, plan)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { relay.Close() })
		dialed := 0
		return world{s: r, dial: func() net.Conn {
			nc, err := net.Dial("tcp", relay.Addr())
			relay.Link(dialed) // so that the next is the next
			dialed++
			if err != nil {
				return gone{err} // a reset can be as fast as that
			}
			return nc
		}, link: relay.Link, tcp: true, patience: 3 * time.Second}
	}
}

// gone is a connection that broke before it was there.
type gone struct{ err error }

func (g gone) Read([]byte) (int, error)         { return 0, g.err }
func (g gone) Write([]byte) (int, error)        { return 0, g.err }
func (g gone) Close() error                     { return nil }
func (g gone) LocalAddr() net.Addr              { return pipeAddr{} }
func (g gone) RemoteAddr() net.Addr             { return pipeAddr{} }
func (g gone) SetDeadline(time.Time) error      { return g.err }
func (g gone) SetReadDeadline(time.Time) error  { return g.err }
func (g gone) SetWriteDeadline(time.Time) error { return g.err }

// A place is where a flow is cut, and how.
type place struct {
	name string
	plan func(c wstest.Cut) wstest.Plan
	flow func(l *wstest.Link) *wstest.Flow
}

var places = []place{
	{"to the server", func(c wstest.Cut) wstest.Plan { return wstest.Plan{ToServer: wstest.Faults{Cut: c}} }, func(l *wstest.Link) *wstest.Flow { return l.ToServer }},
	{"to the client", func(c wstest.Cut) wstest.Plan { return wstest.Plan{ToClient: wstest.Faults{Cut: c}} }, func(l *wstest.Link) *wstest.Flow { return l.ToClient }},
}

// cuts are the ways to cut.
var cuts = map[string]func(n int64) wstest.Cut{"reset": wstest.ResetAt, "end": wstest.EndAt, "stall": wstest.StallAt}

// cutEverywhere plays a conversation once for every n-th byte that goes one way, cut
// there, all at the same time, and once whole.
func cutEverywhere(t *testing.T, in worldOf, s *server.Server, blocking bool, script string, where place, cut func(int64) wstest.Cut, each int64) {
	told := &fates{t: t}
	s.Handler = told.handler(blocking)
	w := in(t, s, func(n int) wstest.Plan {
		if n == 0 {
			return wstest.Plan{}
		}
		return where.plan(cut(int64(n-1) * each))
	})
	begin := func(n int) string { return fmt.Sprintf("open /?%04d\n", n) } // all of the same length
	p := wstest.NewClient(w.dial())
	if err := p.Play(begin(0)); err != nil {
		t.Fatal(err)
	}
	head := where.flow(w.link(0)).Written() // the size of the request or of the response
	if err := p.Play(script); err != nil {
		t.Fatal(err)
	}
	length := where.flow(w.link(0)).Written()
	p.Close() // the server waits for that

	count := int((length-1)/each) + 1
	var clients sync.WaitGroup
	for n := 1; n <= count; n++ {
		nc := w.dial()
		clients.Go(func() {
			defer nc.Close()
			p := wstest.NewClient(nc)
			p.Timeout = w.patience
			_ = p.Play(begin(n) + script) // how it ends, the server is to judge
		})
	}
	clients.Wait()
	for n := 1; n <= count; n++ {
		w.link(n).ToServer.Release()
		w.link(n).ToClient.Release()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.s.Shutdown(ctx); err != nil {
		t.Errorf("a connection is left: %v", err)
	}
	told.check("0000", opens, true)
	for n := 1; n <= count; n++ {
		want := w.opening(where, cut(0), int64(n-1)*each < head)
		told.check(fmt.Sprintf("%04d", n), want, false)
	}
}

// opening says whether a connection is opened that is cut, in its handshake or
// behind it.
func (w world) opening(where place, cut wstest.Cut, inHead bool) openness {
	reset := cut == wstest.ResetAt(0)
	switch {
	case w.encoded && inHead: // in the handshake of TLS, or that behind it
		return mayOpen
	case where.name == "to the server" && inHead:
		return opensNot
	case w.tcp && reset: // a reset can overtake what was sent before it
		return mayOpen
	case reset && inHead: // the response cannot be sent
		return opensNot
	case cut == wstest.EndAt(0) && inHead: // the client may be gone when it is
		return mayOpen
	}
	return opens
}

// Wherever a conversation is cut, in whatever way, the program hears of its end
// once, by an error of the types that are documented, and nothing is left
// (6455-7.1.7-a, T-C11, T-C14, T-C15, T-D10, T-D11).
func TestConversationIsCutAtEveryByte(t *testing.T) {
	for name, script := range conversations {
		for kind, cut := range cuts {
			for _, where := range places {
				for _, blocking := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/%s/blocking=%t", name, kind, where.name, blocking), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							cutEverywhere(t, inMemory, new(server.Server), blocking, script, where, cut, 1)
						})
					})
				}
			}
		}
	}
}

// The same over TCP, where the system has its own ways.
func TestConversationOverTCPIsCutAtEveryByte(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		before, files := runtime.NumGoroutine(), usage.Files()
		t.Run("cuts", func(t *testing.T) {
			for name, script := range conversations {
				for kind, cut := range cuts {
					for _, where := range places {
						t.Run(fmt.Sprintf("%s/%s/%s", name, kind, where.name), func(t *testing.T) {
							t.Parallel()
							const soon = time.Second // a whole conversation on a busy machine takes less
							s := &server.Server{HandshakeTimeout: soon, CloseTimeout: soon, PingInterval: soon, PongTimeout: soon}
							cutEverywhere(t, throughRelay(start), s, false, script, where, cut, 3)
						})
					}
				}
			}
		})
		deadline := time.Now().Add(patience)
		for runtime.NumGoroutine() > before || usage.Files() > files {
			if time.Now().After(deadline) {
				t.Fatalf("%d goroutines and %d files are left, %d and %d were there before", runtime.NumGoroutine(), usage.Files(), before, files)
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// However the bytes come, whole, one by one or late, a conversation is the same.
func TestConversationUnderFaultsThatLoseNothing(t *testing.T) {
	faults := map[string]wstest.Faults{
		"one by one":  {Split: wstest.Sizes(1)},
		"in pieces":   {Split: wstest.RandomSizes(20)},
		"no room":     {Buffer: 1},
		"late":        {Latency: time.Second, Jitter: time.Second},
		"all of them": {Split: wstest.RandomSizes(3), Buffer: 7, Latency: time.Millisecond, Jitter: time.Millisecond},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			for _, script := range conversations {
				synctest.Test(t, func(t *testing.T) {
					told := &fates{t: t}
					w := inMemory(t, &server.Server{Handler: told.handler(false)}, func(n int) wstest.Plan {
						return wstest.Plan{ToServer: f, ToClient: f, Seed: uint64(n)}
					})
					var clients sync.WaitGroup
					for n := range 20 {
						nc := w.dial()
						clients.Go(func() {
							defer nc.Close()
							p := wstest.NewClient(nc)
							p.Timeout = time.Hour
							if err := p.Play(fmt.Sprintf("open /?%d", n) + script); err != nil {
								t.Error(err)
							}
						})
					}
					clients.Wait()
					synctest.Wait()
					for n := range 20 {
						told.check(fmt.Sprint(n), opens, true)
					}
				})
			}
		})
	}
}
