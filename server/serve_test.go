package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// The blocking style: Handler.Serve.

// fiber starts a server whose Handler.Serve is serve, and opens a connection.
// returned is closed when serve has returned.
func fiber(t *testing.T, start starter, rec *recorder, serve func(c *server.Conn)) (p *peer, returned <-chan struct{}) {
	t.Helper()
	done := make(chan struct{})
	h := rec.handler()
	h.Message = func(*server.Conn, wire.Opcode, []byte) { t.Error("Message is called beside Serve") }
	h.Serve = func(c *server.Conn) {
		defer close(done)
		serve(c)
	}
	return start(t, &server.Server{Handler: h}).open(t), done
}

// Receive returns whole messages in order, for all fragmentations. When Serve
// returns, the connection is closed with 1000 and leaves the server.
func TestServeReceivesMessagesAndClosesWhenItReturns(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		p, returned := fiber(t, start, rec, func(c *server.Conn) {
			for {
				m, err := c.Receive(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if m.Text() == "stop" {
					return
				}
				check.OK(t, c.Sendf("%v %s", m.Opcode, m.Text()))
			}
		})
		p.send(text("one"), fragment(wire.Binary, "t", false), frame(wire.Ping, "?"), fragment(wire.Continuation, "wo", true), text(""), text("stop"), text("nobody waits for this"))
		for n := 0; n < 3; { // the Pong may arrive at any time
			f, err := p.next()
			check.Must(t, err)
			if f.Opcode == wire.Pong {
				continue
			}
			if got, want := show(f), []string{`text "text one"`, `text "binary two"`, `text "text "`}[n]; got != want {
				t.Fatalf("received %s, want %s", got, want)
			}
			n++
		}
		p.want(`close 1000 ""`)
		result(t, returned)
		p.send(text("nor for this"), closing(1000, ""))
		p.wantEnd()
		rec.want("open", `close 1000 ""`)
	})
}

// A Receive that times out loses no message. The next call continues
// (6455-6.2-d, T-H14).
func TestReceiveGoesOnAfterATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := fiber(t, served, newRecorder(t), func(c *server.Conn) {
			for _, want := range []string{"one", "two"} {
				for range 3 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					same(t, check.Err(c.Receive(ctx)), context.DeadlineExceeded, "Receive")
					cancel()
				}
				c.SendText("now")
				receives(t, c, want)
			}
			canceled, cancel := context.WithCancel(t.Context())
			cancel()
			same(t, check.Err(c.Receive(canceled)), context.Canceled, "Receive")
		})
		for _, message := range []string{"one", "two"} {
			p.send(text(message)[:7]) // half of a message
			p.want(`text "now"`)
			p.send(text(message)[7:])
		}
		p.want(`close 1000 ""`)
		<-done
	})
}

// ReceiveInto appends to its buffer, and ReceiveJSON decodes. Invalid JSON is
// an error and does not end the connection.
func TestOtherFormsOfReceive(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
			ctx := t.Context()
			buf := append(make([]byte, 0, 100), "> "...)
			op, b, err := c.ReceiveInto(ctx, buf)
			if err != nil || op != wire.Binary || string(b) != "> one" || &b[0] != &buf[0] {
				t.Errorf("%v %q %v", op, b, err)
			}
			op, b, err = c.ReceiveInto(ctx, b[:0])
			if err != nil || op != wire.Text || len(b) != 1000 {
				t.Errorf("%v %q %v", op, b, err)
			}
			var v struct{ A int }
			if err := c.ReceiveJSON(ctx, &v); err != nil || v.A != 1 {
				t.Errorf("%v %v", v, err)
			}
			if err := c.ReceiveJSON(ctx, &v); err == nil || !strings.HasPrefix(err.Error(), "websocket: decoding a text message of 1 bytes") {
				t.Error(err)
			}
			if err := c.ReceiveJSON(ctx, &v); err != nil || v.A != 2 {
				t.Errorf("%v %v", v, err)
			}
			if _, b, err := c.ReceiveInto(ctx, []byte("kept")); !isA[*server.CloseError](err) || string(b) != "kept" {
				t.Errorf("%q %v", b, err)
			}
			if err := c.ReceiveJSON(ctx, &v); !isA[*server.CloseError](err) {
				t.Error(err)
			}
		})
		p.send(frame(wire.Binary, "one"), text(strings.Repeat("a", 1000)), text(`{"A":1}`), text("{"), frame(wire.Binary, `{"A":2}`), closing(4000, ""))
		result(t, returned)
	})
}

// Every end of a connection ends Receive, and Messages, which does not yield a
// normal closure. Messages before the end are delivered first.
func TestReceiveReturnsHowTheConnectionEnded(t *testing.T) {
	tests := []struct {
		name   string
		client func(p *peer)
		is     func(error) bool
		normal bool
	}{
		{"a normal Close", func(p *peer) { p.send(closing(1000, "")) }, isA[*server.CloseError], true},
		{"a client that goes away", func(p *peer) { p.send(closing(1001, "")) }, isA[*server.CloseError], true},
		{"another Close", func(p *peer) { p.send(closing(4000, "")) }, isA[*server.CloseError], false},
		{"an empty Close", func(p *peer) { p.send(closing(0, "")) }, isA[*server.CloseError], false},
		{"a faulty frame", func(p *peer) { p.send("\x83\x80") }, isA[*server.FailError], false},
		{"the end of the transport", func(p *peer) { p.nc.Close() }, func(err error) bool { return isA[*server.LostError](err) && errors.Is(err, io.EOF) }, false},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
					receives(t, c, "before")
					for range 2 {
						if _, err := c.Receive(t.Context()); !tt.is(err) || err != c.Err() {
							t.Errorf("Receive returned %v, Err %v", err, c.Err())
						}
					}
					errs := 0
					for m, err := range c.Messages(t.Context()) {
						if errs++; !tt.is(err) || m.Payload != nil {
							t.Errorf("Messages yields %v, %v", m, err)
						}
					}
					if want := map[bool]int{true: 0, false: 1}[tt.normal]; errs != want {
						t.Errorf("Messages yields %d errors, want %d", errs, want)
					}
				})
				p.send(text("before"))
				tt.client(p)
				result(t, returned)
			})
		}
	})
}

// Messages yields the results of Receive. The loop may be left and started
// again.
func TestMessagesMayBeStoppedAndResumed(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
			var got []string
			for m, err := range c.Messages(t.Context()) {
				if got = append(got, m.Text()); err != nil || len(got) == 2 {
					break
				}
			}
			for m, err := range c.Messages(t.Context()) {
				if got = append(got, m.Text()); err != nil {
					t.Error(err)
				}
			}
			if s := strings.Join(got, " "); s != "one two three" {
				t.Errorf("received %q", s)
			}
		})
		p.send(text("one"), text("two"), text("three"), closing(1000, ""))
		result(t, returned)
	})
}

// Receive is for Serve, and for one goroutine at a time.
func TestReceiveOutsideServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		s := &server.Server{Handler: rec.handler(), Handlers: map[string]*server.Handler{"/serve": {Serve: func(c *server.Conn) {
			first := make(chan error)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				_, err := c.Receive(ctx)
				first <- err
			}()
			time.Sleep(time.Millisecond) // until Receive blocks
			same(t, check.Err(c.Receive(t.Context())), server.ErrConcurrentReceive, "a second Receive")
			cancel()
			same(t, <-first, context.Canceled, "the first Receive")
			c.SendText("now")
			receives(t, c, "Hello")
		}}}}
		r := served(t, s)
		p := r.openAs(t, "/serve")
		p.want(`text "now"`)
		p.send(text("Hello"))
		p.want(`close 1000 ""`)
		r.open(t)
		c := rec.conn()
		same(t, check.Err(c.Receive(t.Context())), server.ErrNotServing, "Receive")
		same(t, check.Err2(c.NextReader(t.Context())), server.ErrNotServing, "NextReader")
		same(t, check.Err2(c.ReceiveInto(t.Context(), nil)), server.ErrNotServing, "ReceiveInto")
		same(t, c.ReceiveJSON(t.Context(), nil), server.ErrNotServing, "ReceiveJSON")
		for _, err := range c.Messages(t.Context()) {
			if err != server.ErrNotServing {
				t.Errorf("Messages yields %v", err)
			}
		}
	})
}

// While Serve is busy, the server answers Pings (6455-5.5.2-b) and buffers one
// message. Further messages wait in the client, so that memory does not grow
// with them.
func TestBusyServeBlocksTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var got []string
		p, done := fiber(t, served, newRecorder(t), func(c *server.Conn) {
			<-release
			for m, err := range c.Messages(t.Context()) {
				check.OK(t, err)
				got = append(got, m.Text())
			}
		})
		p.send(frame(wire.Ping, "1"))
		p.want(`pong "1"`)
		p.send(text("one")) // into the mailbox
		p.send(frame(wire.Ping, "2"))
		p.want(`pong "2"`)
		p.send(text("two")) // waits for the mailbox
		var behind bool
		p.meanwhile(func(p *peer) {
			p.trySend(text("three"))
			behind = true
			p.trySend(closing(1000, ""))
		})
		for range 2 {
			if synctest.Wait(); behind {
				t.Error("a third message was read although Serve is busy")
			}
			time.Sleep(time.Hour)
		}
		close(release)
		p.want(`close 1000 ""`)
		<-done
		if s := strings.Join(got, " "); s != "one two three" {
			t.Errorf("received %q", s)
		}
	})
}

// A Serve that stops receiving and continues otherwise sees the end of the
// connection.
func TestServeThatDoesNotReceiveSeesTheEndByOtherMeans(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		release := make(chan struct{})
		rec := newRecorder(t)
		p, returned := fiber(t, start, rec, func(*server.Conn) { <-release })
		p.send(text("one"), closing(4000, ""))
		rec.want("open", `close 4000 ""`)
		close(release)
		result(t, returned)
	})
}

// The connection belongs to the server until Serve has returned and TCP is
// closed. Conns yields it while it is open.
func TestConnsYieldsOpenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) { <-release }}}
		r := served(t, s)
		count := func() (n int) {
			synctest.Wait()
			for range s.Conns() {
				n++
			}
			return n
		}
		r.ask(t, request("/")[:20])
		if n := count(); n != 0 {
			t.Errorf("%d connections, one in the opening handshake", n)
		}
		peers := []*peer{r.open(t), r.open(t), r.open(t)}
		if n := count(); n != 3 {
			t.Errorf("%d connections of 3", n)
		}
		for range s.Conns() {
			break // the loop may be left
		}
		peers[0].send(closing(1000, ""))
		peers[0].want(`close 1000 ""`)
		peers[1].nc.Close()
		if n := count(); n != 1 {
			t.Errorf("%d connections of 1", n)
		}
		close(release)
		peers[2].want(`close 1000 ""`)
		peers[2].send(closing(1000, ""))
		if n := count(); n != 0 {
			t.Errorf("%d connections of 0", n)
		}
	})
}

// Receive returns every message, whether it is faster or slower than the loop,
// or both in turn. Its payload belongs to the application (T-H09).
func TestReceiveGetsEveryMessage(t *testing.T) {
	const messages = 5000
	eachLoop(t, func(t *testing.T, start starter) {
		p, returned := fiber(t, start, newRecorder(t), func(c *server.Conn) {
			all := make([]server.Message, messages)
			for i := range all {
				var err error
				if all[i], err = c.Receive(t.Context()); err != nil {
					t.Error(i, err)
					return
				}
			}
			for i, m := range all {
				if m.Text() != fmt.Sprint(i) {
					t.Fatalf("message %d is %q", i, m.Text())
				}
			}
		})
		var all strings.Builder
		for i := range messages {
			all.WriteString(text(fmt.Sprint(i)))
		}
		p.send(all.String())
		result(t, returned)
	})
}
