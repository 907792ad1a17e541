package server_test

import (
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
	each := func(every time.Duration, next string) func(p *peer) {
		return func(p *peer) {
			for p.trySend(next) == nil {
				time.Sleep(every)
			}
		}
	}
	clients := map[string]func(p *peer){
		"silent":                       func(*peer) {},
		"one that pings":               each(time.Second, frame(wire.Pong, "I am here")),
		"one that pings in two halves": each(time.Second, frame(wire.Pong, "I am here")[8:]+frame(wire.Pong, "I am here")[:8]),
		"one that begins":              each(time.Second, fragment(wire.Continuation, "", false)),
	}
	first := map[string]string{
		"one that pings in two halves": frame(wire.Pong, "I am here")[:8],
		"one that begins":              fragment(wire.Text, "", false),
	}
	for name, client := range clients {
		check.Bubble(t, name, func(t *testing.T) {
			s, rec := recorded(t, served, &server.Server{IdleTimeout: 8 * time.Second, PingInterval: -1, AssemblyTimeout: -1})
			p := s.open(t)
			c := rec.conn()
			ended := make(chan struct{})
			p.meanwhile(func(p *peer) {
				p.send(first[name])
				client(p)
				close(ended)
			})
			timed(t, "closed", 8*time.Second, func() { p.want(idleClose) })
			synctest.Wait()
			wantState(t, c, server.Closing)
			if st := s.Stats(); st.Timeouts.Idle != 1 {
				t.Errorf("%+v", st.Timeouts)
			}
			c.CloseNow()
			<-ended
			rec.want("open", `close 1006 ""`)
		})
	}
}

// The closing handshake of an idle connection completes over sockets, with the
// default heartbeat.
func TestIdleClientIsClosedOverSockets(t *testing.T) {
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
	toOne := func(c *server.Conn) func(func(*server.Conn) bool) {
		return func(yield func(*server.Conn) bool) { yield(c) }
	}
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
		"broadcast": func(_ *peer, c *server.Conn, _ int) { server.Broadcast(toOne(c), wire.Text, []byte("Hello")) },
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

// Output counts as traffic until the client has read it.
func TestConnectionWithUnreadOutputIsNotIdle(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		h := rec.handler()
		const size = 16 << 20 // more than the kernel buffers
		var first sync.Once
		opened := h.Open
		h.Open = func(c *server.Conn) {
			opened(c)
			first.Do(func() { c.Send(wire.Binary, make([]byte, size)) })
		}
		s := start(t, &server.Server{Handler: h, IdleTimeout: 40 * time.Millisecond, WriteTimeout: -1})
		p := s.open(t)
		c := rec.conn()
		for range 3 { // so that time passes
			other := s.open(t)
			other.want(idleClose)
			other.nc.Close()
		}
		wantState(t, c, server.Open)
		p.want("binary 16777216 bytes", idleClose)
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
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{MaxLifetime: 40 * time.Millisecond})
		p := s.open(t)
		p.want(oldClose)
		p.send(text("last words"), closing(1001, ""))
		p.wantEnd()
		rec.want("open", `text "last words"`, `close 1001 ""`)
	})
}
