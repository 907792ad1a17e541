package server_test

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

const (
	idleClose = `close 1001 "idle timeout"`
	oldClose  = `close 1001 "maximum lifetime reached"`
)

// IdleTimeout closes a client without messages: Pings, Pongs and unfinished
// frames do not count as traffic (T-C19).
func TestIdleClientIsClosed(t *testing.T) {
	pong := frame(wire.Pong, "I am here")
	for name, tt := range map[string]struct{ first, eachSecond string }{
		"silent":                       {},
		"one that pings":               {"", pong},
		"one that pings in two halves": {pong[:8], pong[8:] + pong[:8]},
		"one that begins":              {fragment(wire.Text, "", false), fragment(wire.Continuation, "", false)},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			s, rec := recorded(t, served, &server.Server{IdleTimeout: 8 * time.Second, PingInterval: -1, AssemblyTimeout: -1})
			p := s.open(t)
			c := rec.conn()
			p.meanwhile(func(p *peer) {
				p.send(tt.first)
				for tt.eachSecond != "" && p.trySend(tt.eachSecond) == nil {
					time.Sleep(time.Second)
				}
			})
			timed(t, "closed", 8*time.Second, func() { p.want(idleClose) })
			synctest.Wait()
			wantState(t, c, server.Closing)
			if st := s.Stats(); st.Timeouts.Idle != 1 {
				t.Errorf("%+v", st.Timeouts)
			}
			c.CloseNow()
			rec.want("open", `close 1006 ""`)
		})
	}
}

// The closing handshake of an idle connection completes over sockets, with the
// default heartbeat.
func TestIdleClientIsClosedOverSockets(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{IdleTimeout: 40 * time.Millisecond})
		p := s.open(t)
		p.wantClose(idleClose, closing(1001, ""))
		rec.want("open", `close 1001 ""`)
		eventually(t, "the connection counted", func() bool {
			st := s.Stats()
			return st.Ended.ByServer == 1 && st.Timeouts.Idle == 1
		})
	})
}

// A data message in either direction counts as traffic. A running handler does
// too.
func TestConnectionWithTrafficIsNotIdle(t *testing.T) {
	const pause, times = 5 * time.Second, 20
	var w *server.MessageWriter
	tests := map[string]func(p *peer, c *server.Conn, i int){
		"received": func(p *peer, _ *server.Conn, _ int) { p.send(text("Hello")) },
		"received in fragments": func(p *peer, _ *server.Conn, i int) {
			op := wire.Continuation
			if i == 0 {
				op = wire.Text
			}
			p.send(fragment(op, "Hello", false))
		},
		"sent": func(_ *peer, c *server.Conn, _ int) { c.SendText("Hello") },
		"sent in fragments": func(_ *peer, c *server.Conn, _ int) {
			c.SendFragment(wire.Text, []byte("Hello"), false)
		},
		"written": func(_ *peer, c *server.Conn, i int) {
			if i == 0 {
				var err error
				w, err = c.NextWriter(wire.Text)
				check.Must(t, err)
			}
			io.WriteString(w, "Hello")
			check.OK(t, w.Flush())
		},
		"broadcast": func(_ *peer, c *server.Conn, _ int) { server.Broadcast(only(c), wire.Text, []byte("Hello")) },
	}
	eachBubble(t, tests, func(t *testing.T, move func(p *peer, c *server.Conn, i int)) {
		s, rec := recorded(t, served, &server.Server{IdleTimeout: 8 * time.Second, PingInterval: -1, AssemblyTimeout: -1})
		p := s.open(t)
		c := rec.conn()
		closes := make(chan string, 1)
		p.meanwhile(func(p *peer) {
			for {
				f, err := p.next()
				if err != nil {
					return
				}
				if f.Opcode == wire.Close {
					closes <- show(f)
				}
			}
		})
		for i := range times {
			time.Sleep(pause)
			move(p, c, i)
		}
		timed(t, "closed", 8*time.Second, func() {
			if got := result(t, closes); got != idleClose {
				t.Errorf("ended with %s", got)
			}
		})
	})
	check.Bubble(t, "handler at work", func(t *testing.T) {
		p := served(t, &server.Server{IdleTimeout: 8 * time.Second, PingInterval: -1, Handler: server.Handler{
			Message: func(c *server.Conn, _ wire.Opcode, _ []byte) {
				time.Sleep(time.Hour)
				c.SendText("done")
			},
		}}).open(t)
		p.send(text("Hello"))
		p.want(`text "done"`)
		timed(t, "closed", 8*time.Second, func() { p.want(idleClose) })
	})
}

// IdleTimeout begins when the connection opens, however long the opening
// handshake has taken.
func TestIdleTimeoutBeginsWithTheOpening(t *testing.T) {
	check.Bubble(t, "slow handshake", func(t *testing.T) {
		p := served(t, &server.Server{IdleTimeout: 4 * time.Second, PingInterval: -1}).dial(t)
		time.Sleep(9 * time.Second)
		p.send(request("/"))
		p.response()
		timed(t, "closed", 4*time.Second, func() { p.want(idleClose) })
	})
}

// Output counts as traffic until the client has read it.
func TestConnectionWithUnreadOutputIsNotIdle(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		const size = 4 << 20 // more than the kernel buffers
		conns := make(chan *server.Conn, 1)
		handlers := map[string]*server.Handler{"/": {}, "/much": {Open: func(c *server.Conn) {
			c.Send(wire.Binary, make([]byte, size))
			conns <- c
		}}}
		s := start(t, &server.Server{Handlers: handlers, IdleTimeout: 40 * time.Millisecond, WriteTimeout: -1})
		p := s.openAs(t, "/much")
		c := result(t, conns)
		for range 3 { // so that time passes
			other := s.open(t)
			other.want(idleClose)
			other.nc.Close()
		}
		wantState(t, c, server.Open)
		p.want(fmt.Sprintf("binary %d bytes", size), idleClose)
		p.nc.Close()
	})
}

// MaxLifetime ends a connection with any traffic. Connections that opened
// together do not end together.
func TestLifetimeOfConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const clients, lifetime = 100, time.Hour
		s := served(t, &server.Server{Handler: server.Handler{Message: echo}, MaxLifetime: lifetime})
		var mu sync.Mutex // guards lasted
		var lasted []time.Duration
		var all sync.WaitGroup
		start := time.Now()
		for i := range clients {
			p := s.open(t)
			talks := i%2 == 0
			all.Go(func() {
				for {
					f, err := p.next()
					switch {
					case err != nil:
						t.Errorf("ended with %v", err)
						return
					case f.Opcode == wire.Ping && talks:
						p.send(frame(wire.Pong, string(f.Payload)) + text("Hello"))
					case f.Opcode == wire.Ping:
						p.send(frame(wire.Pong, string(f.Payload)))
					case f.Opcode == wire.Close:
						if got := show(f); got != oldClose {
							t.Errorf("received %s", got)
						}
						p.send(closing(1001, ""))
						mu.Lock()
						defer mu.Unlock()
						lasted = append(lasted, time.Since(start))
						return
					}
				}
			})
		}
		all.Wait()
		slices.Sort(lasted)
		first, last := lasted[0], lasted[clients-1]
		if first < lifetime*9/10 || last > lifetime*11/10+2*time.Second {
			t.Errorf("ended from %v to %v", first, last)
		}
		if last-first < lifetime/10 {
			t.Errorf("all ended within %v", last-first)
		}
	})
}

// MaxLifetime ends a connection by a closing handshake: its handlers may still
// run, and messages that the client sends before its Close are delivered.
func TestLifetimeEndsInAClosingHandshake(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		_, p, rec := opened(t, start, &server.Server{MaxLifetime: 40 * time.Millisecond})
		p.want(oldClose)
		p.send(text("last words"), closing(1001, ""))
		p.wantEnd()
		rec.want("open", `text "last words"`, `close 1001 ""`)
	})
}
