package server_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Ping returns the round-trip time of its own Pong, on connections of all kinds
// (6455-5.5.3-a).
func TestPingReturnsTheRoundTripTime(t *testing.T) {
	eachBubble(t, map[string]server.Handler{
		"events": {Message: echo},
		"Serve":  {Serve: func(c *server.Conn) { c.Receive(context.Background()) }},
	}, func(t *testing.T, h server.Handler) {
		conns := make(chan *server.Conn, 1)
		h.Open = func(c *server.Conn) { conns <- c }
		p, _ := run(t, &server.Server{Handler: h}, server.Handshake{})
		c := <-conns
		for _, delay := range []time.Duration{time.Second, 3 * time.Second} {
			rtt := begin(func() time.Duration {
				took, err := c.Ping(t.Context())
				check.OK(t, err)
				return took
			})
			payload := p.ping()
			p.send(frame(wire.Pong, "unsolicited"), frame(wire.Pong, ""))
			time.Sleep(delay)
			p.send(frame(wire.Pong, payload))
			if took := <-rtt; took != delay {
				t.Errorf("Ping returned %v, want %v", took, delay)
			}
		}
	})
}

// A Pong answers the Pings before its own, too (6455-5.5.3-c).
func TestPongOfALaterPingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		p, _ := run(t, &server.Server{Handler: rec.handler()}, server.Handshake{})
		c := rec.conn()
		pinged := make(chan error, 2)
		var last string
		for range 2 {
			go func() { pinged <- check.Err(c.Ping(t.Context())) }()
			last = p.ping()
			if synctest.Wait(); len(pinged) > 0 { // until Ping waits for its Pong
				t.Fatal("no Pong was received")
			}
		}
		p.send(frame(wire.Pong, last))
		for range 2 {
			check.OK(t, <-pinged)
		}
	})
}

// Ping ends with its context, which leaves the connection open, and with the
// connection.
func TestPingEndsWithItsContextAndTheConnection(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, rec := opened(t, start, &server.Server{})
		ctx, cancel := context.WithCancel(t.Context())
		pinged := begin(func() error { return check.Err(c.Ping(ctx)) })
		payload := p.ping()
		cancel()
		same(t, result(t, pinged), context.Canceled, "Ping")
		p.send(frame(wire.Pong, payload), text("still open"))
		rec.want("open", `text "still open"`)
		pinged = begin(func() error { return check.Err(c.Ping(t.Context())) })
		p.ping()
		p.nc.Close()
		var lost *server.LostError
		if err := result(t, pinged); !errors.As(err, &lost) || err != c.Err() {
			t.Errorf("Ping returned %v, Err %v", err, c.Err())
		}
		rec.want("lost", `close 1006 ""`)
		same(t, check.Err(c.Ping(t.Context())), c.Err(), "after the end, Ping")
	})
}

// Control gets the Pings, which have been answered, and the Pongs, also those
// of heartbeats, and also with Serve (6455-5.5.2-b).
func TestControlSeesPingsAndPongs(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		each(t, map[string]func(*server.Conn){"events": nil, "Serve": func(c *server.Conn) { c.Receive(context.Background()) }}, func(t *testing.T, serve func(*server.Conn)) {
			rec := newRecorder(t)
			h := server.Handler{Open: rec.open, Serve: serve, Control: rec.message}
			p := start(t, &server.Server{Handler: h}).open(t)
			p.send(frame(wire.Ping, "1"), frame(wire.Pong, "2"), frame(wire.Ping, ""))
			p.want(`pong "1"`, `pong ""`)
			rec.want("open", `ping "1"`, `pong "2"`, `ping ""`)
			rec.conn()
		})
	})
}

// ping reads a Ping, and returns its payload.
func (p *peer) ping() string {
	p.t.Helper()
	f, err := p.next()
	if err != nil || f.Opcode != wire.Ping {
		p.t.Fatalf("received %s and %v, want a Ping", show(f), err)
	}
	return string(f.Payload)
}

// heartbeat reads a Ping that the server sends by itself, and returns its
// payload.
func (p *peer) heartbeat() string {
	p.t.Helper()
	payload := p.ping()
	if len(payload) != 4 {
		p.t.Fatalf("received a Ping with %q, want a heartbeat", payload)
	}
	return payload
}

func (p *peer) wantHeartbeat() {
	p.t.Helper()
	p.heartbeat()
}

// RTT is the time of the last heartbeat's Pong, and of no other Pong
// (6455-5.5.3-b, T-C04).
func TestRTTIsThatOfTheLastHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, _ := opened(t, served, &server.Server{PingInterval: 8 * time.Second, PongTimeout: -1})
		want := func(what string, d time.Duration) {
			t.Helper()
			synctest.Wait()
			if got := c.RTT().Round(time.Millisecond); got != d {
				t.Errorf("%s: %v, want %v", what, got, d)
			}
		}
		want("before any heartbeat", 0)
		first := p.heartbeat()
		p.send(frame(wire.Pong, ""), frame(wire.Pong, "none"), frame(wire.Pong, first+"!"))
		want("after unsolicited Pongs", 0)
		time.Sleep(3 * time.Second)
		p.send(frame(wire.Pong, first))
		want("after the Pong", 3*time.Second)
		time.Sleep(time.Second)
		p.send(frame(wire.Pong, first), frame(wire.Pong, first))
		want("after the same Pong again", 3*time.Second)
		second := p.heartbeat()
		p.send(frame(wire.Pong, first))
		want("after an old Pong", 3*time.Second)
		time.Sleep(20 * time.Millisecond)
		p.send(frame(wire.Pong, second))
		want("after the second Pong", 20*time.Millisecond)
		go c.SendPing([]byte("mine"))
		p.want(`ping "mine"`)
		p.send(frame(wire.Pong, "mine"))
		want("after the Pong of an application's Ping", 20*time.Millisecond)
	})
}

// The heartbeats of clients that fell silent together are spread, and none is
// much late.
func TestHeartbeatsOfManyAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const clients = 2000
		s := served(t, new(server.Server))
		var mu sync.Mutex // guards times
		var times []time.Duration
		var all sync.WaitGroup
		start := time.Now()
		for range clients {
			p := s.open(t)
			all.Go(func() {
				p.wantHeartbeat()
				mu.Lock()
				defer mu.Unlock()
				times = append(times, time.Since(start))
			})
		}
		all.Wait()
		slices.Sort(times)
		const interval, slack = server.DefaultPingInterval, 2 * time.Second // two ticks
		if times[0] < interval || times[clients-1] > interval+interval/4+slack {
			t.Errorf("pinged from %v to %v", times[0], times[clients-1])
		}
		for i, at := range times {
			if j, _ := slices.BinarySearch(times, at+1); j-i > clients/3 {
				t.Fatalf("%d of %d are pinged after %v", j-i, clients, at)
			}
		}
	})
}

// A client that reads slowly receives the heartbeats behind earlier bytes, and
// a handler that blocks delays its Pongs. Neither counts as silence, nor as an
// incomplete message whose other half the client has sent.
func TestClientThatReadsSlowlyIsNotSilent(t *testing.T) {
	t.Parallel()
	eachAtOnce(t, loops, func(t *testing.T, start starter) {
		const size = 4 << 20                 // more than the kernel buffers
		const short = 500 * time.Millisecond // a Pong of the client takes less
		rec := newRecorder(t)
		h := rec.handler()
		h.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
			rec.message(c, op, p)
			if string(p) == "go" {
				c.Send(wire.Binary, make([]byte, size))
			}
		}
		handlers := map[string]*server.Handler{"/": &h, "/other": {}}
		s := start(t, &server.Server{Handlers: handlers, PingInterval: short, PongTimeout: short, AssemblyTimeout: short})
		p := s.open(t)
		p.send(text("go") + fragment(wire.Text, "Hel", false))
		other := s.openAs(t, "/other")
		for range 3 { // so that time passes
			other.send(frame(wire.Pong, other.heartbeat()))
		}
		other.nc.Close()
		p.send(fragment(wire.Continuation, "lo", true))
		for {
			f, err := p.next()
			if err != nil {
				t.Fatal(err, rec.failure())
			}
			if f.Opcode == wire.Binary {
				break
			}
		}
		for _, want := range []string{`text "go"`, `text "Hello"`} {
			for got := ""; got != want; {
				got = result(t, rec.lines)
				if got == "lost" || got == "failed 1008" {
					t.Fatalf("the handler got %s: %v", got, rec.failure())
				}
			}
		}
	})
}
