package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// atRest shuts the server down, and returns its final statistics.
func (r *running) atRest(t *testing.T) server.Stats {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check.Must(t, r.Shutdown(ctx))
	eventually(t, "no blocked handler", func() bool { return r.Stats().Blocked == 0 })
	return r.Stats()
}

// eventually polls a condition for which there is no event.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: want %s", what)
		}
	}
}

func wantStats(t *testing.T, got, want server.Stats) {
	t.Helper()
	if got != want {
		t.Errorf("the statistics are\n%+v, want\n%+v", got, want)
	}
}

// close makes the closing handshake, from the client's side.
func (p *peer) close(code wire.StatusCode) {
	p.t.Helper()
	p.send(closing(code, ""))
	p.want(fmt.Sprintf("close %d %q", code, ""))
}

// goodbye is close, and then the end of the transport.
func (p *peer) goodbye(code wire.StatusCode) {
	p.t.Helper()
	p.close(code)
	p.nc.Close()
}

// statsTest is an action on a server, and the resulting statistics.
type statsTest struct {
	name   string
	server *server.Server // Log is set if it is nil
	client func(t *testing.T, r *running)
	want   server.Stats // without Open and Opening, which have to be 0
}

func testStats(t *testing.T, tests []statsTest) {
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			eachLoop(t, func(t *testing.T, start starter) {
				of := tt.server
				r := start(t, &server.Server{
					Handler: of.Handler, Authorize: of.Authorize, Log: func(error) {}, PingInterval: -1, MaxBacklog: of.MaxBacklog,
					HandshakeTimeout: of.HandshakeTimeout, WriteTimeout: of.WriteTimeout, CloseTimeout: of.CloseTimeout,
				})
				tt.client(t, r)
				got := r.atRest(t)
				got.HandOffs, got.HandOffsRefused, got.BacklogPeak = 0, 0, 0 // depend on timing
				wantStats(t, got, tt.want)
			})
		})
	}
}

// one returns the statistics of one connection that its client closes with
// 1000.
func one(received, sent server.Traffic) server.Stats {
	received.Closes.NormalClosure++
	sent.Closes.NormalClosure++
	return server.Stats{Accepted: 1, Ended: server.Ended{ByClient: 1}, Received: received, Sent: sent}
}

// talk returns a client that sends frames, reads the answers and closes.
func talk(send string, want ...string) func(t *testing.T, r *running) {
	return func(t *testing.T, r *running) {
		p := r.open(t)
		p.send(send)
		p.want(want...)
		p.goodbye(1000)
	}
}

func opening(open func(c *server.Conn)) *server.Server {
	return &server.Server{Handler: server.Handler{Open: open}}
}

func TestStatsOfTraffic(t *testing.T) {
	echoes := &server.Server{Handler: server.Handler{Message: echo}}
	large := strings.Repeat("a", 100_000)
	testStats(t, []statsTest{
		{"messages", echoes,
			talk(text("Hello")+frame(wire.Binary, "bytes!")+text(""), `text "Hello"`, `binary "bytes!"`, `text ""`),
			one(server.Traffic{Messages: 3, Bytes: 11}, server.Traffic{Messages: 3, Bytes: 11})},
		{"a message of more than one write", echoes,
			talk(text(large), "text 100000 bytes"),
			one(server.Traffic{Messages: 1, Bytes: 100_000}, server.Traffic{Messages: 1, Bytes: 100_000})},
		{"a message in fragments, with a Ping in it", echoes,
			talk(fragment(wire.Text, "Hel", false)+fragment(wire.Continuation, "l", false)+frame(wire.Ping, "?")+fragment(wire.Continuation, "o", true),
				`pong "?"`, `text "Hello"`),
			one(server.Traffic{Messages: 1, Bytes: 5, Fragments: 3, Pings: 1}, server.Traffic{Messages: 1, Bytes: 5, Pongs: 1})},
		{"a message piece by piece", &server.Server{Handler: server.Handler{Partial: func(c *server.Conn, op wire.Opcode, p []byte, final bool) {
			c.SendFragment(op, p, final)
		}}},
			talk(fragment(wire.Text, "Hel", false)+fragment(wire.Continuation, "lo", true), `text "Hel" +`, `continuation "lo"`),
			one(server.Traffic{Messages: 1, Bytes: 5, Fragments: 2}, server.Traffic{Messages: 1, Bytes: 5, Fragments: 2})},
		{"messages without a handler", &server.Server{},
			talk(text("Hello") + frame(wire.Pong, "")),
			one(server.Traffic{Messages: 1, Bytes: 5, Pongs: 1}, server.Traffic{})},
		{"control frames of the program", opening(func(c *server.Conn) { c.SendPing([]byte("1")); c.SendPong(nil); c.SendPong(nil) }),
			talk("", `ping "1"`, `pong ""`, `pong ""`),
			one(server.Traffic{}, server.Traffic{Pings: 1, Pongs: 2})},
		{"the blocking style", &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) {
			for m := range c.Messages(context.Background()) {
				c.Send(m.Opcode, m.Payload)
			}
		}}},
			talk(text("Hello"), `text "Hello"`),
			one(server.Traffic{Messages: 1, Bytes: 5}, server.Traffic{Messages: 1, Bytes: 5})},
		{"a broadcast from within and one from without",
			&server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
				server.Broadcast(only(c), op, p)
			}}},
			func(t *testing.T, r *running) {
				p := r.open(t)
				p.echo("in")
				r.Broadcast(wire.Text, []byte("out!"))
				p.want(`text "out!"`)
				p.goodbye(1000)
			},
			one(server.Traffic{Messages: 1, Bytes: 2}, server.Traffic{Messages: 2, Bytes: 6})},
	})
}

func TestStatsOfOpeningHandshakes(t *testing.T) {
	t.Parallel()
	picky := &server.Server{Authorize: func(r *handshake.Request, _ *handshake.ServerAnswer) error {
		switch r.Path() {
		case "/moved":
			return &handshake.Error{Status: 302}
		case "/full":
			return &handshake.Error{Status: 503}
		case "/panic":
			panic("as asked")
		}
		return errors.New("no")
	}}
	ask := func(requests ...string) func(t *testing.T, r *running) {
		return func(t *testing.T, r *running) {
			for _, request := range requests {
				p := r.ask(t, request)
				p.response()
				p.nc.Close()
			}
		}
	}
	testStats(t, []statsTest{
		{"refused", picky, ask(request("/moved"), request("/"), request("/"), strings.Replace(request("/"), "GET", "PUT", 1), request("/full")),
			server.Stats{Refused: server.Refused{Status3xx: 1, Status4xx: 3, Status5xx: 1}}},
		{"a panic in Authorize", picky, ask(request("/panic")),
			server.Stats{Refused: server.Refused{Status5xx: 1}, Panics: 1}},
		{"given up", &server.Server{}, func(t *testing.T, r *running) {
			r.dial(t).nc.Close()
			p := r.ask(t, request("/")[:50])
			p.nc.Close()
			eventually(t, "both ends counted", func() bool { return r.Stats().Unfinished == 2 })
		}, server.Stats{Unfinished: 2}},
		{"too slow", &server.Server{HandshakeTimeout: 40 * time.Millisecond}, func(t *testing.T, r *running) { r.dial(t).wantEnd() },
			server.Stats{Unfinished: 1, Timeouts: server.Timeouts{Handshake: 1}}},
	})
}

// A request read by another party counts when it is refused; a connection, when
// Run starts.
func TestStatsOfUpgrade(t *testing.T) {
	s := &server.Server{Authorize: func(*handshake.Request, *handshake.ServerAnswer) error { return &handshake.Error{Status: 401} }}
	up, err := s.AcceptHandshake(parse(t, request("/")))
	wantRefusal(t, "Authorize", up, err, 401)
	want := server.Stats{Refused: server.Refused{Status4xx: 1}}
	wantStats(t, s.Stats(), want)
	p, done := run(t, s, server.Handshake{})
	p.goodbye(1000)
	result(t, done)
	want.Accepted, want.Ended.ByClient = 1, 1
	want.Received.Closes.NormalClosure, want.Sent.Closes.NormalClosure = 1, 1
	wantStats(t, s.Stats(), want)
}

func TestStatsOfEnds(t *testing.T) {
	t.Parallel()
	until := func(send string, want ...string) func(t *testing.T, r *running) {
		return func(t *testing.T, r *running) {
			p := r.open(t)
			p.want(want...)
			p.send(send)
			p.rest()
			p.nc.Close()
		}
	}
	var first, second server.CloseCodes
	first.NormalClosure, second.Applications = 1, 1
	cut := func(c *server.Conn) { c.CloseNow() }
	silent := func(t *testing.T, r *running) {
		p := r.open(t)
		p.rest()
		p.nc.Close()
	}
	testStats(t, []statsTest{
		{"closed by the client, without a code", &server.Server{}, until(closing(0, "")),
			server.Stats{Accepted: 1, Ended: server.Ended{ByClient: 1}, Received: server.Traffic{Closes: server.CloseCodes{NoStatus: 1}}, Sent: server.Traffic{Closes: server.CloseCodes{NoStatus: 1}}}},
		{"closed by the server", opening(func(c *server.Conn) { c.Close(4000, "") }), until(closing(1000, ""), `close 4000 ""`),
			server.Stats{Accepted: 1, Ended: server.Ended{ByServer: 1}, Received: server.Traffic{Closes: first}, Sent: server.Traffic{Closes: second}}},
		{"closed by Shutdown", &server.Server{}, func(t *testing.T, r *running) {
			p := r.open(t)
			p.meanwhile(func(*peer) { r.Shutdown(t.Context()) })
			p.want(`close 1001 ""`)
			p.send(closing(1001, ""))
			p.nc.Close()
		}, server.Stats{Accepted: 1, Ended: server.Ended{ByServer: 1}, Received: server.Traffic{Closes: server.CloseCodes{GoingAway: 1}}, Sent: server.Traffic{Closes: server.CloseCodes{GoingAway: 1}}}},
		{"cut by the server", opening(cut), silent,
			server.Stats{Accepted: 1, Ended: server.Ended{ByServer: 1}}},
		{"failed by a rule", &server.Server{}, until("\x83\x80"), // a reserved opcode
			server.Stats{Accepted: 1, Ended: server.Ended{Failed: 1}, Sent: server.Traffic{Closes: server.CloseCodes{ProtocolError: 1}}}},
		{"failed by a rule after the server's Close", opening(func(c *server.Conn) { c.Close(4000, "") }), until("\x83\x80", `close 4000 ""`),
			server.Stats{Accepted: 1, Ended: server.Ended{Failed: 1}, Sent: server.Traffic{Closes: second}}},
		{"lost", &server.Server{}, func(t *testing.T, r *running) {
			r.open(t).reset()
			eventually(t, "the end counted", func() bool { return r.Stats().Ended.Lost == 1 }) // before Shutdown sends a Close
		},
			server.Stats{Accepted: 1, Ended: server.Ended{Lost: 1}}},
		{"not answered", &server.Server{Handler: server.Handler{Open: func(c *server.Conn) { c.Close(4000, "") }}, CloseTimeout: 40 * time.Millisecond}, silent,
			server.Stats{Accepted: 1, Ended: server.Ended{Lost: 1}, Sent: server.Traffic{Closes: second}, Timeouts: server.Timeouts{Close: 1}}},
		{"not read", &server.Server{Handler: server.Handler{Open: func(c *server.Conn) { c.Send(wire.Binary, make([]byte, 4<<20)) }}, WriteTimeout: 100 * time.Millisecond},
			func(t *testing.T, r *running) {
				p := r.open(t)
				eventually(t, "the connection aborted", func() bool { st := r.Stats(); return st.Accepted == 1 && st.Open == 0 })
				p.nc.Close()
			},
			server.Stats{Accepted: 1, Ended: server.Ended{Lost: 1}, Sent: server.Traffic{Messages: 1, Bytes: 4 << 20}, Timeouts: server.Timeouts{Write: 1}}},
	})
}

// A panic fails the connection if it is still open.
func TestStatsOfPanics(t *testing.T) {
	failed := server.Stats{Accepted: 1, Ended: server.Ended{Failed: 1}, Panics: 1, Sent: server.Traffic{Closes: server.CloseCodes{InternalError: 1}}}
	heard := failed
	heard.Received = server.Traffic{Messages: 1, Bytes: 5}
	late := one(server.Traffic{Messages: 1, Bytes: 5}, server.Traffic{})
	late.Panics = 1
	served := server.Stats{Accepted: 1, Ended: server.Ended{ByServer: 1}, Panics: 1}
	served.Sent.Closes.InternalError, served.Received.Closes.NormalClosure = 1, 1
	ill := func(*server.Conn) { panic("ill") }
	hello := func(t *testing.T, r *running) {
		p := r.open(t)
		p.send(text("Hello") + closing(1000, ""))
		p.rest()
		p.nc.Close()
	}
	testStats(t, []statsTest{
		{"in Open", opening(ill), hello, failed},
		{"in Message", &server.Server{Handler: server.Handler{Message: func(*server.Conn, wire.Opcode, []byte) { panic("ill") }}}, hello, heard},
		{"in Close", &server.Server{Handler: server.Handler{Close: func(*server.Conn, wire.StatusCode, string) { panic("ill") }}}, hello, late},
		{"in Serve", &server.Server{Handler: server.Handler{Serve: ill}}, func(t *testing.T, r *running) {
			p := r.open(t)
			p.want(`close 1011 ""`)
			p.send(closing(1000, ""))
			p.nc.Close()
		}, served},
	})
}

// Backlog contains the bytes buffered for a client until they are sent.
func TestStatsOfBacklog(t *testing.T) {
	t.Parallel()
	const size = 4 << 20 // more than the kernel buffers
	eachLoop(t, func(t *testing.T, start starter) {
		r, rec := recorded(t, start, &server.Server{MaxBacklog: -1})
		p := r.open(t)
		rec.conn()
		r.Broadcast(wire.Binary, make([]byte, size))
		if st := r.Stats(); st.Backlog <= 0 || st.Backlog > size+wire.MaxHeaderSize {
			t.Errorf("%d bytes are buffered, want some of %d", st.Backlog, size)
		}
		p.want(fmt.Sprintf("binary %d bytes", size))
		p.goodbye(1000)
		st := r.atRest(t)
		if st.Backlog != 0 || st.BacklogPeak == 0 || st.BacklogPeak > 2*(size+wire.MaxHeaderSize) || st.Cut != 0 {
			t.Errorf("after Shutdown %d bytes are buffered, at most %d were, %d connections were aborted", st.Backlog, st.BacklogPeak, st.Cut)
		}
	})
}

// Counters are consistent with each other at any time, and do not shrink. At
// the end they are complete.
func TestStatsDuringTraffic(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		const clients, rounds, messages = 8, 20, 10
		r := start(t, &server.Server{Handler: server.Handler{Message: echo}, Log: func(error) {}})
		over := make(chan struct{})
		var watcher, all sync.WaitGroup
		watcher.Go(func() {
			var last server.Stats
			for {
				st := r.Stats()
				ended := st.Ended.ByClient + st.Ended.ByServer + st.Ended.Failed + st.Ended.Lost
				if st.Open < 0 || st.Opening < 0 || st.Accepted != uint64(st.Open)+ended {
					t.Errorf("accepted %d, open %d, in the opening handshake %d, ended %d", st.Accepted, st.Open, st.Opening, ended)
				}
				if st.Received.Messages < last.Received.Messages || st.Sent.Bytes < last.Sent.Bytes || st.Accepted < last.Accepted {
					t.Errorf("%+v after %+v", st, last)
				}
				last = st
				select {
				case <-over:
					return
				case <-time.After(100 * time.Microsecond): // leaves a single processor to the clients
				}
			}
		})
		for i := range clients {
			all.Go(func() {
				for range rounds {
					if i == 0 {
						p := r.ask(t, "nonsense\r\n\r\n")
						p.response()
						p.nc.Close()
						continue
					}
					p := r.open(t)
					for range messages {
						p.echo("Hello")
					}
					if i == 1 {
						p.reset()
						continue
					}
					p.goodbye(1000)
				}
			})
		}
		all.Wait()
		eventually(t, "no connection in the opening handshake", func() bool {
			st := r.Stats()
			return st.Accepted+st.Refused.Status4xx+st.Unfinished == clients*rounds
		})
		st := r.atRest(t)
		close(over)
		watcher.Wait()
		const opened, echoed = (clients - 1) * rounds, (clients - 1) * rounds * messages
		want := server.Stats{
			Accepted: opened, Refused: server.Refused{Status4xx: rounds}, Ended: server.Ended{ByClient: opened - rounds, Lost: rounds},
			Received: server.Traffic{Messages: echoed, Bytes: 5 * echoed, Closes: server.CloseCodes{NormalClosure: opened - rounds}},
			Sent:     server.Traffic{Messages: echoed, Bytes: 5 * echoed, Closes: server.CloseCodes{NormalClosure: opened - rounds}},
			HandOffs: st.HandOffs, BacklogPeak: st.BacklogPeak, // depend on timing
		}
		wantStats(t, st, want)
	})
}
