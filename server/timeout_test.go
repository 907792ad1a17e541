package server_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Timeouts are tested over pipes, in synctest bubbles, with exact times.

// served returns a server whose clients connect by pipes.
func served(t *testing.T, s *server.Server) *running { return serve(t, s, newPipeListener()) }

// timed checks that wait returns after d, and not much later.
func timed(t *testing.T, what string, d time.Duration, wait func()) {
	t.Helper()
	start := time.Now()
	wait()
	if took := time.Since(start); took < d || took > d+d/2+time.Second {
		t.Errorf("%s after %v, want %v", what, took, d)
	}
}

// wantTimeout checks that a connection was lost because of a timeout, and that
// the error names the option.
func wantTimeout(t *testing.T, err error, option string) {
	t.Helper()
	var lost *server.LostError
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &lost) || !errors.As(err, &timeout) || !timeout.Timeout() || !strings.HasSuffix(err.Error(), "("+option+")") {
		t.Errorf("ended with %v, want a timeout by %s", err, option)
	}
}

// A client that does not complete its opening handshake is aborted, at any
// point of it (6455-4.2.2-n, T-D08).
func TestSlowOpeningHandshakeIsCut(t *testing.T) {
	clients := map[string]func(p *peer){
		"silent": func(*peer) {},
		"half a request": func(p *peer) {
			p.send(request("/")[:50])
		},
		"a byte each second": func(p *peer) {
			for _, b := range []byte(request("/" + strings.Repeat("a", 100))) {
				if p.trySend(string([]byte{b})) != nil {
					return
				}
				time.Sleep(time.Second)
			}
		},
	}
	for name, client := range clients {
		check.Bubble(t, name, func(t *testing.T) {
			s, rec := recorded(t, served, &server.Server{HandshakeTimeout: 8 * time.Second})
			p := s.dial(t)
			p.meanwhile(client)
			timed(t, "cut", 8*time.Second, p.wantEnd)
			synctest.Wait()
			wantTimeout(t, takeOne[*server.RefusedError](t, s.log), "HandshakeTimeout")
			rec.wantNothing()
		})
	}
}

// A negative timeout means no limit, and so does one longer than the clock can
// count.
func TestNegativeAndEndlessTimeoutsAreNone(t *testing.T) {
	for name, none := range map[string]time.Duration{"negative": -1, "centuries": 1<<63 - 1} {
		check.Bubble(t, name, func(t *testing.T) {
			s, rec := recorded(t, served, &server.Server{
				HandshakeTimeout: none, WriteTimeout: none, CloseTimeout: none, PingInterval: none, PongTimeout: none,
				IdleTimeout: none, AssemblyTimeout: none, MaxLifetime: max(none, 0),
			})
			p := s.dial(t)
			time.Sleep(time.Hour)
			p.send(request("/"))
			p.response()
			c := rec.conn()
			p.send(text("half")[:7])
			sent := begin(func() error { return c.SendText("Hello") })
			time.Sleep(time.Hour)
			p.want(`text "Hello"`)
			check.OK(t, <-sent)
			p.send(text("half")[7:])
			go c.Close(1000, "")
			p.want(`close 1000 ""`)
			time.Sleep(time.Hour)
			p.send(closing(1000, ""))
			p.wantEnd()
			rec.want("open", `text "half"`, `close 1000 ""`)
		})
	}
}

// A silent client gets a Ping, and is aborted without an answer (WHATWG-12,
// T-C13).
func TestSilentClientIsPingedAndThenCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p, rec := opened(t, served, &server.Server{PingInterval: 8 * time.Second, PongTimeout: 4 * time.Second})
		timed(t, "pinged", 8*time.Second, p.wantHeartbeat)
		timed(t, "cut", 4*time.Second, p.wantEnd)
		rec.want("open", "lost", `close 1006 ""`)
		wantTimeout(t, rec.failure(), "PongTimeout")
	})
}

// Every received byte counts as activity, not only a Pong (6455-5.5.3-d).
func TestAnyByteKeepsAConnection(t *testing.T) {
	open := func(t *testing.T, h server.Handler) *peer {
		return served(t, &server.Server{Handler: h, PingInterval: 8 * time.Second, PongTimeout: 4 * time.Second, AssemblyTimeout: -1}).open(t)
	}
	for name, tt := range map[string]struct {
		after time.Duration
		send  string
	}{
		"a Pong for each Ping": {2 * time.Second, frame(wire.Pong, "of another Ping")}, "a message for each Ping": {0, text("Hello")},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			p := open(t, server.Handler{})
			for range 100 {
				timed(t, "pinged", 8*time.Second, p.wantHeartbeat)
				time.Sleep(tt.after)
				p.send(tt.send)
			}
		})
	}
	check.Bubble(t, "byte by byte", func(t *testing.T) {
		p := open(t, server.Handler{Message: echo})
		for _, b := range []byte(text(strings.Repeat("a", 100))) {
			time.Sleep(5 * time.Second)
			p.send(string([]byte{b}))
		}
		p.want("text 100 bytes") // and not one Ping before
	})
}

// The server does not read while a handler runs, and does not count that time
// as silence.
func TestBusyHandlerIsNoSilence(t *testing.T) {
	work := func(c *server.Conn) {
		time.Sleep(time.Hour)
		c.SendText("done")
	}
	inOpen := server.Handler{Open: work}
	inMessage := server.Handler{Message: func(c *server.Conn, _ wire.Opcode, _ []byte) { work(c) }}
	ran := func(t *testing.T, s *server.Server) *peer {
		p, _ := run(t, s, server.Handshake{})
		return p
	}
	open := func(t *testing.T, s *server.Server) *peer { return served(t, s).open(t) }
	for name, tt := range map[string]struct {
		h    server.Handler
		open func(t *testing.T, s *server.Server) *peer
		send string
	}{
		"in Message": {inMessage, open, text("Hello")}, "in Open": {inOpen, open, ""}, "in Open, run": {inOpen, ran, ""},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			p := tt.open(t, &server.Server{Handler: tt.h, PingInterval: 8 * time.Second, PongTimeout: 4 * time.Second})
			p.send(tt.send)
			p.want(`text "done"`)
			timed(t, "pinged", 8*time.Second, p.wantHeartbeat)
		})
	}
}

// Without a PongTimeout, a Ping only keeps proxies from closing the connection
// (T-E13). The timeouts of the handshake have ended with it.
func TestPingsWithoutPongTimeoutCutNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := served(t, &server.Server{Handler: server.Handler{Message: echo}, PingInterval: 8 * time.Second, PongTimeout: -1}).open(t)
		p.wantHeartbeat()
		time.Sleep(time.Hour)
		p.echo("Hello")
	})
}

// CloseTimeout limits the closing handshake, for a silent client, and for one
// that continues to send (6455-7.1.2-b, T-C10).
func TestClosingHandshakeIsBoundedInTime(t *testing.T) {
	stream := func(every time.Duration) func(p *peer) {
		return func(p *peer) {
			for p.trySend(text("and another thing")) == nil {
				time.Sleep(every)
			}
		}
	}
	tests := []struct {
		name   string
		work   time.Duration // of the handler, for each message
		client func(p *peer)
	}{
		{"a silent client", 0, func(*peer) {}},
		{"a client that pings", 0, func(p *peer) {
			for p.trySend(frame(wire.Pong, "")) == nil {
				time.Sleep(time.Second)
			}
		}},
		{"a client that talks on", 0, stream(10 * time.Millisecond)},
		{"a client that continues to send to a slow handler", time.Second, stream(0)},
	}
	for _, tt := range tests {
		check.Bubble(t, tt.name, func(t *testing.T) {
			rec := newRecorder(t)
			h := rec.handler()
			h.Message = func(*server.Conn, wire.Opcode, []byte) { time.Sleep(tt.work) }
			p := served(t, &server.Server{Handler: h, CloseTimeout: 8 * time.Second}).open(t)
			go rec.conn().Close(1000, "")
			p.want(`close 1000 ""`)
			p.meanwhile(tt.client)
			timed(t, "cut", 8*time.Second, p.wantEnd)
			rec.want("open", "lost", `close 1006 ""`)
			wantTimeout(t, rec.failure(), "CloseTimeout")
		})
	}
}

// A client whose Close waits behind a running handler has answered in time.
func TestCloseThatWaitsBehindAHandlerIsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		h := rec.handler()
		h.Message = func(c *server.Conn, _ wire.Opcode, _ []byte) {
			c.Close(4000, "")
			time.Sleep(time.Minute)
		}
		p := served(t, &server.Server{Handler: h, CloseTimeout: 8 * time.Second}).open(t)
		go p.trySend(text("close, please"), closing(4000, ""))
		p.want(`close 4000 ""`)
		p.wantEnd()
		rec.want("open", `close 4000 ""`)
	})
}

// A client that does not read is aborted after WriteTimeout, for every kind of
// frame and every policy, also without a backlog limit (T-C02, T-C07, T-C08,
// 6455-6.1-d).
func TestClientThatDoesNotReadIsCut(t *testing.T) {
	broadcast := func(c *server.Conn) error {
		return server.Broadcast(only(c), wire.Binary, make([]byte, 10_000))
	}
	sends := map[string]func(c *server.Conn) error{
		"Send":         func(c *server.Conn) error { return c.Send(wire.Binary, make([]byte, 100_000)) },
		"SendText":     func(c *server.Conn) error { return c.SendText("Hello") },
		"SendFragment": func(c *server.Conn) error { return c.SendFragment(wire.Text, []byte("Hel"), false) },
		"Ping":         func(c *server.Conn) error { return c.SendPing(nil) },
		"Pong":         func(c *server.Conn) error { return c.SendPong(nil) },
		"Close":        func(c *server.Conn) error { return c.Close(1000, "") },
		"Broadcast":    broadcast,
		"Send after a Broadcast": func(c *server.Conn) error {
			broadcast(c)
			return c.SendText("Hello")
		},
	}
	policies := []server.SlowPolicy{server.SlowDefault, server.SlowClose, server.SlowDropNewest, server.SlowDropOldest, server.SlowBlock}
	for name, send := range sends {
		for _, policy := range policies {
			check.Bubble(t, fmt.Sprint(name, policy), func(t *testing.T) {
				c, _, rec := opened(t, served, &server.Server{SlowPolicy: policy, MaxBacklog: -1, WriteTimeout: 8 * time.Second, CloseTimeout: -1})
				timed(t, "cut", 8*time.Second, func() {
					check.OK(t, send(c))
					if name != "Close" {
						check.OK(t, c.SendPing(nil))
					}
					rec.want("open", "lost", `close 1006 ""`)
				})
				for _, err := range []error{rec.failure(), c.SendText("late"), c.Err()} {
					wantTimeout(t, err, "WriteTimeout")
					var timeout *server.TimeoutError
					if !errors.As(err, &timeout) || !errors.Is(err, os.ErrDeadlineExceeded) || timeout.After != 8*time.Second {
						t.Errorf("%#v", err)
					}
				}
			})
		}
	}
}

// A client that does not read the server's own answers is aborted. The last
// answer of a connection has the shorter timeout of an end.
func TestClientThatDoesNotReadAnswersIsCut(t *testing.T) {
	const write, end = 8 * time.Second, 2 * time.Second
	for name, tt := range map[string]struct {
		within time.Duration
		open   bool
		send   string
	}{
		"101":                             {write, false, request("/")},
		"refusal":                         {end, false, strings.Replace(request("/"), "GET", "PUT", 1)},
		"Pong":                            {write, true, frame(wire.Ping, "")},
		"Close":                           {end, true, closing(1000, "")},
		"Close that fails the connection": {end, true, "\x83\x80"},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			p := served(t, &server.Server{WriteTimeout: write, PingInterval: -1}).dial(t)
			start := time.Now()
			if tt.open {
				p.send(request("/"))
				p.response()
			}
			p.send(tt.send)
			for p.trySend(frame(wire.Pong, "")) == nil { // the server reads until it aborts
				time.Sleep(100 * time.Millisecond)
			}
			if took := time.Since(start); took < tt.within/2 || took > tt.within+200*time.Millisecond {
				t.Errorf("cut after %v, want %v", took, tt.within)
			}
		})
	}
}
