package server_test

import (
	"context"
	"errors"
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
	for name, h := range map[string]server.Handler{
		"events": {Message: echo},
		"Serve":  {Serve: func(c *server.Conn) { c.Receive(context.Background()) }},
	} {
		check.Bubble(t, name, func(t *testing.T) {
			conns := make(chan *server.Conn, 1)
			h.Open = func(c *server.Conn) { conns <- c }
			p, _ := run(t, &server.Server{Handler: h}, server.Handshake{})
			c := <-conns
			for _, delay := range []time.Duration{time.Second, 3 * time.Second} {
				rtt := make(chan time.Duration, 1)
				go func() {
					took, err := c.Ping(t.Context())
					check.OK(t, err)
					rtt <- took
				}()
				f, err := p.next()
				if err != nil || f.Opcode != wire.Ping {
					t.Fatalf("received %v, %v", f.Opcode, err)
				}
				p.send(frame(wire.Pong, "unsolicited"), frame(wire.Pong, ""))
				time.Sleep(delay)
				p.send(frame(wire.Pong, string(f.Payload)))
				if took := <-rtt; took != delay {
					t.Errorf("Ping returned %v, want %v", took, delay)
				}
			}
		})
	}
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
			go func() {
				_, err := c.Ping(t.Context())
				pinged <- err
			}()
			f, err := p.next()
			if err != nil || f.Opcode != wire.Ping {
				t.Fatalf("received %v, %v", f.Opcode, err)
			}
			synctest.Wait() // until Ping waits for its Pong
			if len(pinged) > 0 {
				t.Fatal("no Pong was received")
			}
			last = string(f.Payload)
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
		rec := newRecorder(t)
		p := start(t, &server.Server{Handler: rec.handler()}).open(t)
		c := rec.conn()
		ctx, cancel := context.WithCancel(t.Context())
		pinged := make(chan error, 1)
		ping := func(ctx context.Context) {
			_, err := c.Ping(ctx)
			pinged <- err
		}
		go ping(ctx)
		f, err := p.next()
		if err != nil || f.Opcode != wire.Ping {
			t.Fatalf("received %v, %v", f.Opcode, err)
		}
		cancel()
		if err := result(t, pinged); err != context.Canceled {
			t.Errorf("Ping returned %v", err)
		}
		p.send(frame(wire.Pong, string(f.Payload)), text("still open"))
		rec.want("open", `text "still open"`)
		go ping(t.Context())
		if f, err := p.next(); err != nil || f.Opcode != wire.Ping {
			t.Fatalf("received %v, %v", f.Opcode, err)
		}
		p.nc.Close()
		var lost *server.LostError
		if err := result(t, pinged); !errors.As(err, &lost) || err != c.Err() {
			t.Errorf("Ping returned %v, Err %v", err, c.Err())
		}
		rec.want("lost", `close 1006 ""`)
		if _, err := c.Ping(t.Context()); err != c.Err() {
			t.Errorf("after the end, Ping returned %v", err)
		}
	})
}

// Control gets the Pings, which have been answered, and the Pongs, also those
// of heartbeats, and also with Serve (6455-5.5.2-b).
func TestControlSeesPingsAndPongs(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		for name, serve := range map[string]func(*server.Conn){"events": nil, "Serve": func(c *server.Conn) { c.Receive(context.Background()) }} {
			t.Run(name, func(t *testing.T) {
				rec := newRecorder(t)
				h := server.Handler{Open: rec.open, Serve: serve, Control: rec.message}
				p := start(t, &server.Server{Handler: h}).open(t)
				p.send(frame(wire.Ping, "1"), frame(wire.Pong, "2"), frame(wire.Ping, ""))
				p.want(`pong "1"`, `pong ""`)
				rec.want("open", `ping "1"`, `pong "2"`, `ping ""`)
				rec.conn()
			})
		}
	})
}

// A panic in Control ends the connection, as in any handler (T-H10).
func TestPanicInControl(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Control: func(*server.Conn, wire.Opcode, []byte) { panic("on purpose") }}})
		p := s.open(t)
		p.send(frame(wire.Ping, ""))
		p.want(`pong ""`, `close 1011 ""`)
		p.send(closing(1011, ""))
		p.wantEnd()
		if e := takeOne[*server.PanicError](t, s.log); e != nil && e.Value != "on purpose" {
			t.Errorf("reported %v", e)
		}
	})
}
