package server_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// Connections that break at every byte of a conversation.

// conversations are scripts of a client. They expect an echo, and a Close on
// request.
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

// fates records the handler calls of connections by their query.
type fates struct {
	t  *testing.T
	mu sync.Mutex // guards the fields below
	of map[string]*fate
}

type fate struct {
	opened, failed, closed int
	openedAt               time.Time
}

// givenUp is the time after which a server with the default timeouts has ended
// a silent client.
const givenUp = server.DefaultPingInterval + server.DefaultPongTimeout + 5*time.Second

// handler returns a handler for conversations, in the event or the blocking
// style.
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
				f.t.Errorf("%s: Close got %v after %v", c.Query(), code, c.Err())
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

// operations calls all methods of a connection.
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

// wantTyped checks that err is one of the errors that Conn documents for the
// end of a connection.
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

// check checks the events of a connection: open as wanted, and without an error
// if whole.
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
		f.t.Errorf("%s, contrary to its handshake", text)
	case whole && got.failed != 0:
		f.t.Errorf("%s, without a fault", text)
	}
}

// openness is the expected number of Open events.
type openness int

const (
	opens openness = iota
	opensNot
	mayOpen
)

// world holds a server and its clients.
type world struct {
	s    *running
	dial func() net.Conn // the n-th call makes the n-th link
	link func(n int) *wstest.Link

	tcp     bool // over sockets
	encoded bool // by TLS: bytes on the wire are not bytes of the conversation

	patience time.Duration // of a waiting client; longer than all timeouts of the server
}

// worldOf starts a server for connections with faults.
type worldOf func(t *testing.T, s *server.Server, plan func(n int) wstest.Plan) world

// inMemory is a world without sockets. It needs a synctest bubble.
func inMemory(t *testing.T, s *server.Server, plan func(n int) wstest.Plan) world {
	ln := wstest.Listen(plan)
	return world{s: serve(t, s, ln), dial: func() net.Conn {
		nc, err := ln.Dial()
		check.Must(t, err)
		return nc
	}, link: ln.Link, patience: time.Hour}
}

// throughRelay is a world of TCP whose clients wait for so long.
func throughRelay(start starter, patience time.Duration) worldOf {
	return func(t *testing.T, s *server.Server, plan func(n int) wstest.Plan) world {
		r := start(t, s)
		relay, err := wstest.NewRelay(r.addr, plan)
		check.Must(t, err)
		t.Cleanup(func() { relay.Close() })
		dialed := 0
		return world{s: r, dial: func() net.Conn {
			nc, err := net.Dial("tcp", relay.Addr())
			relay.Link(dialed) // keeps the order of the links
			dialed++
			if err != nil {
				return gone{err} // a reset can arrive before the connection is returned
			}
			return nc
		}, link: relay.Link, tcp: true, patience: patience}
	}
}

// gone is a connection that broke before dial returned it.
type gone struct{ err error }

func (g gone) Read([]byte) (int, error)         { return 0, g.err }
func (g gone) Write([]byte) (int, error)        { return 0, g.err }
func (g gone) Close() error                     { return nil }
func (g gone) LocalAddr() net.Addr              { return pipeAddr{} }
func (g gone) RemoteAddr() net.Addr             { return pipeAddr{} }
func (g gone) SetDeadline(time.Time) error      { return g.err }
func (g gone) SetReadDeadline(time.Time) error  { return g.err }
func (g gone) SetWriteDeadline(time.Time) error { return g.err }

// A place is the direction of a fault.
type place struct {
	name string
	plan func(c wstest.Cut) wstest.Plan
	flow func(l *wstest.Link) *wstest.Flow
}

var places = []place{
	{"to the server", func(c wstest.Cut) wstest.Plan { return wstest.Plan{ToServer: wstest.Faults{Cut: c}} }, func(l *wstest.Link) *wstest.Flow { return l.ToServer }},
	{"to the client", func(c wstest.Cut) wstest.Plan { return wstest.Plan{ToClient: wstest.Faults{Cut: c}} }, func(l *wstest.Link) *wstest.Flow { return l.ToClient }},
}

// cuts are the kinds of faults.
var cuts = map[string]func(n int64) wstest.Cut{"reset": wstest.ResetAt, "end": wstest.EndAt, "stall": wstest.StallAt}

// cutEverywhere plays a conversation once as a whole, and once for every n-th
// byte of one direction with a fault at that byte, all at the same time.
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
	check.Must(t, p.Play(begin(0)))
	head := where.flow(w.link(0)).Written() // the size of the request or of the response
	if w.encoded {
		head += 16 // signatures of TLS vary in length
	}
	check.Must(t, p.Play(script))
	length := where.flow(w.link(0)).Written()
	p.Close() // the server waits for this

	count := int((length-1)/each) + 1
	var clients sync.WaitGroup
	for n := 1; n <= count; n++ {
		nc := w.dial()
		clients.Go(func() {
			defer nc.Close()
			p := wstest.NewClient(nc)
			p.Timeout = w.patience
			_ = p.Play(begin(n) + script) // the server's events are checked, not this error
		})
	}
	clients.Wait()
	for n := 1; n <= count; n++ {
		w.link(n).ToServer.Release()
		w.link(n).ToClient.Release()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check.OKf(t, w.s.Shutdown(ctx), "a connection is left")
	told.check("0000", opens, true)
	for n := 1; n <= count; n++ {
		want := w.opening(where, cut(0), int64(n-1)*each < head)
		told.check(fmt.Sprintf("%04d", n), want, false)
	}
}

// opening returns the openness of a connection with a fault, in its handshake
// or after it.
func (w world) opening(where place, cut wstest.Cut, inHead bool) openness {
	reset := cut == wstest.ResetAt(0)
	switch {
	case w.encoded && inHead: // in the handshake of TLS or of WebSocket
		return mayOpen
	case where.name == "to the server" && inHead:
		return opensNot
	case w.tcp && reset: // a reset can overtake earlier bytes
		return mayOpen
	case reset && inHead: // the response cannot be sent
		return opensNot
	case cut == wstest.EndAt(0) && inHead: // the client may have disconnected before
		return mayOpen
	}
	return opens
}

// A conversation with a fault at any byte ends with one error of a documented
// type, and leaves no goroutine and no connection (6455-7.1.7-a, T-C11, T-C14,
// T-C15, T-D10, T-D11).
func TestConversationIsCutAtEveryByte(t *testing.T) {
	t.Parallel()
	for name, script := range conversations {
		for kind, cut := range cuts {
			for _, where := range places {
				for _, blocking := range []bool{false, true} {
					check.Bubble(t, fmt.Sprintf("%s/%s/%s/blocking=%t", name, kind, where.name, blocking), func(t *testing.T) {
						cutEverywhere(t, inMemory, new(server.Server), blocking, script, where, cut, 1)
					})
				}
			}
		}
	}
}

var crowds = flag.Bool("crowds", false, "run a crowd of hostile clients for each profile and transport instead of one for all profiles on two transports, each attack on each transport in both styles, and the tests that wait for long timeouts; takes a minute")

// A conversation over TCP with a fault at any byte ends with one error of a
// documented type.
func TestConversationOverTCPIsCutAtEveryByte(t *testing.T) {
	const soon = 3 * time.Second // a whole conversation on a busy machine takes less
	before, files := runtime.NumGoroutine(), usage.Files()
	for kind, cut := range cuts {
		if kind == "stall" && !*crowds { // as TestConversationIsCutAtEveryByte does, but in real time
			continue
		}
		t.Run(kind, func(t *testing.T) {
			limit := patience
			if kind == "stall" { // the clients wait for timeouts
				limit = soon
			}
			eachLoop(t, func(t *testing.T, start starter) {
				if kind == "stall" {
					t.Parallel()
				}
				for name, script := range conversations {
					for _, where := range places {
						t.Run(name+"/"+where.name, func(t *testing.T) {
							t.Parallel()
							s := &server.Server{HandshakeTimeout: limit, CloseTimeout: limit, PingInterval: limit, PongTimeout: limit}
							cutEverywhere(t, throughRelay(start, 3*limit), s, false, script, where, cut, 3)
						})
					}
				}
			})
		})
	}
	nothingLeft(t, before, files)
}

// nothingLeft waits until there are no more goroutines and descriptors than
// before.
func nothingLeft(t *testing.T, goroutines, files int) {
	t.Helper()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines || usage.Files() > files; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines and %d files are left, %d and %d were there before", runtime.NumGoroutine(), usage.Files(), goroutines, files)
		}
	}
}

// A conversation has the same result for bytes that arrive as a whole, one by
// one or late (T-G11).
func TestConversationUnderFaultsThatLoseNothing(t *testing.T) {
	t.Parallel()
	faults := map[string]wstest.Faults{
		"one by one":  {Split: wstest.Sizes(1)},
		"in pieces":   {Split: wstest.RandomSizes(20)},
		"no room":     {Buffer: 1},
		"late":        {Latency: time.Second, Jitter: time.Second},
		"all of them": {Split: wstest.RandomSizes(3), Buffer: 7, Latency: time.Millisecond, Jitter: time.Millisecond},
	}
	each(t, faults, func(t *testing.T, f wstest.Faults) {
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
						check.OK(t, p.Play(fmt.Sprintf("open /?%d", n)+script))
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
