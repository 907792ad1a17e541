package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Open is called first, Close last, the other events in their order between.
// Close gets the code and the reason of the client, 1005 if it gave none, 1006
// if it sent no Close (6455-7.1.5-a, 6455-7.1.6-a, 6455-7.1.4-a). The server
// closes TCP first, without waiting for the client (6455-5.5.1-i,
// 6455-7.1.1-b).
func TestEventsInTheirOrder(t *testing.T) {
	ends := func(frames []string, sent ...string) func(p *peer) {
		return func(p *peer) {
			p.send(sent...)
			p.want(frames...)
			p.wantEnd() // the client's side of TCP is still open
		}
	}
	leaves := func(sent ...string) func(p *peer) {
		return func(p *peer) {
			p.send(sent...)
			p.nc.Close()
		}
	}
	tests := []struct {
		name   string
		client func(p *peer)
		want   []string
	}{
		{"messages, then the client's Close with a code of its own",
			ends([]string{`pong "?"`, `close 4000 ""`},
				text("one"), frame(wire.Ping, "?"), fragment(wire.Binary, "tw", false), fragment(wire.Continuation, "o", true), closing(4000, "bye"), text("late")),
			[]string{`text "one"`, `binary "two"`, `close 4000 "bye"`}},
		{"an empty Close (WHATWG-9)", ends([]string{`close ""`}, closing(0, "")), []string{`close 1005 ""`}},
		{"the end without a Close", leaves(text("one")), []string{`text "one"`, "lost", `close 1006 ""`}},
		{"the end inside a message (6455-5.2-m)", leaves(text("one"), text("two")[:7]), []string{`text "one"`, "lost", `close 1006 ""`}},
		{"the end of TCP instead of an answer to the server's Close",
			func(p *peer) { p.send(text("close")); p.want(`close 1000 ""`); p.nc.Close() },
			[]string{`text "close"`, "lost", `close 1006 ""`}},
		{"a faulty frame, and no frame after it (6455-7.1.7-a, -b)",
			ends([]string{`close 1002 "reserved opcode"`}, text("one"), "\x83\x80\x00\x00\x00\x00", text("late"), closing(1000, "")),
			[]string{`text "one"`, "failed 1002", `close 1006 ""`}},
		{"a frame without a mask (6455-5.1-b)",
			ends([]string{`close 1002 "frame from a client is not masked"`}, "\x81\x05Hello"), []string{"failed 1002", `close 1006 ""`}},
		{"a text that is not UTF-8 (6455-8.1-a, T-H08)",
			ends([]string{`close 1007 "invalid UTF-8"`}, text("\xff")), []string{"failed 1007", `close 1006 ""`}},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				rec := newRecorder(t)
				h := rec.handler()
				h.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
					if rec.message(c, op, p); string(p) == "close" {
						c.Close(1000, "")
					}
				}
				p := start(t, &server.Server{Handler: h}).open(t)
				tt.client(p)
				rec.want(append([]string{"open"}, tt.want...)...)
				rec.wantNothing()
			})
		}
	})
}

// errors.As and errors.Is recognize the end of a connection: a closed page, a
// browser that disconnects (WHATWG-11).
func TestErrorsSayHowAConnectionEnded(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		end := func(t *testing.T, client func(p *peer)) *server.Conn {
			c, p, rec := opened(t, start, &server.Server{})
			if c.Err() != nil || c.CloseCode() != 0 || c.State() != server.Open {
				t.Errorf("open: %v %v %v", c.Err(), c.CloseCode(), c.State())
			}
			client(p)
			for line := ""; !strings.HasPrefix(line, "close"); {
				line = result(t, rec.lines)
			}
			if err := c.SendText("late"); err != c.Err() || !errors.Is(err, net.ErrClosed) { // 6455-6.1-a
				t.Errorf("SendText returned %v, Err %v", err, c.Err())
			}
			return c
		}
		var closed *server.CloseError
		if err := end(t, func(p *peer) { p.send(closing(1001, "so\nlong")) }).Err(); !errors.As(err, &closed) || *closed != (server.CloseError{Code: 1001, Reason: "so\nlong"}) {
			t.Errorf("after a Close: %v", err)
		} else if strings.Contains(err.Error(), "\n") { // T-H06
			t.Errorf("not quoted: %q", err)
		}
		var failed *server.FailError
		var rule *wire.Error
		if err := end(t, func(p *peer) { p.send("\x83\x80") }).Err(); !errors.As(err, &failed) || failed.Code != 1002 || !errors.As(err, &rule) {
			t.Errorf("after a faulty frame: %v", err)
		}
		var lost *server.LostError
		if err := end(t, func(p *peer) { p.nc.Close() }).Err(); !errors.As(err, &lost) || !errors.Is(err, io.EOF) {
			t.Errorf("after the end of the transport: %v", err)
		}
		if err := end(t, func(p *peer) { p.send("\x81"); p.nc.Close() }).Err(); !errors.As(err, &lost) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after the end inside a frame: %v", err)
		}
		if err := end(t, func(p *peer) { p.reset() }).Err(); !errors.As(err, &lost) { // 6455-7.2.1-a
			t.Errorf("after a reset: %v", err)
		}
	})
}

// A message that arrives in pieces is delivered in these pieces. A message that
// arrives as a whole is delivered to Message.
func TestPartialDeliversPiecesInOrder(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		h := rec.handler()
		h.Partial = rec.partial
		p := start(t, &server.Server{Handler: h}).open(t)
		p.send(text("whole"))
		rec.want("open", `text "whole"`)
		p.send(fragment(wire.Text, "a\xe2\x82", false), frame(wire.Ping, ""), fragment(wire.Continuation, "\xac", false), fragment(wire.Continuation, "", true)) // 6455-8.1-e, WHATWG-19
		p.want(`pong ""`)
		rec.want(`partial text "a\xe2\x82" +`, `partial text "\xac" +`, `partial text "" .`)
		p.send(frame(wire.Binary, "cut in two")[:9]) // in the middle of its frame
		rec.want(`partial binary "cut" +`)
		p.send(frame(wire.Binary, "cut in two")[9:])
		rec.want(`partial binary " in two" .`)
		p.send(text("whole"))
		rec.want(`text "whole"`)
		p.send(fragment(wire.Text, "a\xe2\x82", false), fragment(wire.Continuation, "", true)) // 6455-8.1-c
		rec.want(`partial text "a\xe2\x82" +`, "failed 1007", `close 1006 ""`)
	})
}

// Handlers of one connection do not overlap, also when messages arrive faster
// than they return. Other connections do not wait for them (6455-5.4-h).
func TestEventsOfAConnectionNeverOverlap(t *testing.T) {
	const conns, messages = 4, 200
	eachLoop(t, func(t *testing.T, start starter) {
		var ended sync.WaitGroup
		ended.Add(conns)
		s := start(t, &server.Server{Handler: server.Handler{
			Open: func(c *server.Conn) { c.SetValue(&counter{}) },
			Message: func(c *server.Conn, _ wire.Opcode, p []byte) {
				n := c.Value().(*counter)
				defer n.enter(t)()
				if want := fmt.Sprint(n.messages); string(p) != want {
					t.Errorf("message %s, want %s", p, want)
				}
				n.messages++
			},
			Close: func(c *server.Conn, _ wire.StatusCode, _ string) {
				n := c.Value().(*counter)
				defer n.enter(t)()
				if n.messages != messages {
					t.Errorf("closed after %d messages", n.messages)
				}
				ended.Done()
			},
		}})
		var all []string
		for i := range messages {
			all = append(all, text(fmt.Sprint(i)))
		}
		for range conns {
			p := s.open(t)
			go p.trySend(append(slices.Clone(all), closing(1000, ""))...)
		}
		ended.Wait()
	})
}

// counter has no lock. The race detector reports overlapping handlers.
type counter struct {
	messages int
	inside   atomic.Bool
}

func (n *counter) enter(t *testing.T) (leave func()) {
	if n.inside.Swap(true) {
		t.Error("two events of one connection at once")
	}
	return func() { n.inside.Store(false) }
}

// A handler that blocks delays its own connection only.
func TestHandlerThatBlocksDelaysNoOther(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		release := make(chan struct{})
		s := start(t, &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			if string(p) == "block" {
				<-release
			}
			c.Send(op, p)
		}}})
		slow := s.open(t)
		slow.send(text("block"), text("behind"))
		for range 10 {
			fast := s.open(t)
			fast.echo("Hello")
		}
		close(release)
		slow.want(`text "block"`, `text "behind"`)
	})
}

// The application may attach a value to a connection, and call all of its
// methods from any goroutine (T-H02).
func TestMethodsMayBeCalledFromAnyGoroutine(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, rec := opened(t, start, &server.Server{})
		if c.Value() != nil {
			t.Errorf("the value is %v at first", c.Value())
		}
		c.SetValue(0)
		var calls sync.WaitGroup
		for i := range 20 {
			calls.Go(func() {
				c.SetValue(i)
				_ = c.Value().(int)
				_ = fmt.Sprint(c.Path(), c.Query(), c.Header(), c.Subprotocol(), c.RemoteAddr(), c.LocalAddr(), c.State(), c.Err(), c.CloseCode(), c.CloseReason())
				c.SendText("Hello")
				c.SendPing(nil)
			})
		}
		calls.Go(func() { p.send(text("Hello"), closing(1000, "")) })
		calls.Wait()
		rec.want("open", `text "Hello"`, `close 1000 ""`)
		c.SetValue("after the end")
		if c.Value() != "after the end" {
			t.Errorf("the value is %v", c.Value())
		}
	})
}

// After CloseNow only Close is called, and no message that has arrived is
// delivered.
func TestCloseNowIsTheEnd(t *testing.T) {
	where := map[string]func(h *server.Handler, cut func(c *server.Conn)){
		"in Open": func(h *server.Handler, cut func(c *server.Conn)) {
			open := h.Open
			h.Open = func(c *server.Conn) { open(c); cut(c) }
		},
		"in Message": func(h *server.Handler, cut func(c *server.Conn)) {
			h.Message = func(c *server.Conn, _ wire.Opcode, _ []byte) { cut(c) }
		},
		"in Partial": func(h *server.Handler, cut func(c *server.Conn)) {
			h.Partial = func(c *server.Conn, _ wire.Opcode, _ []byte, _ bool) { cut(c) }
		},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for name, set := range where {
			t.Run(name, func(t *testing.T) {
				rec := newRecorder(t)
				h := rec.handler()
				set(&h, func(c *server.Conn) {
					for range 2 {
						if err := c.CloseNow(); err != nil && !errors.Is(err, net.ErrClosed) {
							t.Error(err)
						}
					}
				})
				p := start(t, &server.Server{Handler: h}).ask(t, request("/"), fragment(wire.Text, "one", name != "in Partial"), text("two"), text("three"))
				if b, _ := p.rest(); bytes.Contains(b, []byte("\x88")) {
					t.Errorf("a Close frame in % x", b)
				}
				rec.want("open", `close 1006 ""`)
				rec.wantNothing()
				same(t, rec.conn().Err(), server.ErrClosed, "Err returns")
			})
		}
	})
}

// A message that arrives in the segment of the request, or with others, is
// delivered at once, without further input.
func TestMessagesReadTogetherAreDeliveredAtOnce(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}})
		for range 20 { // a busy connection is served in another way
			p := s.ask(t, request("/"), text("with the request"))
			p.response()
			p.want(`text "with the request"`)
			p.send(text("a"), text("b"), frame(wire.Ping, "?"), text(strings.Repeat("c", 10_000)), text(""))
			p.want(`text "a"`, `text "b"`, `pong "?"`, "text 10000 bytes", `text ""`)
			for range 10 {
				p.echo("x")
			}
			p.nc.Close()
		}
	})
}

// A frame that arrives in two reads with a pause between them, on a parked or
// an active connection, is delivered whole.
func TestPausesAnywhere(t *testing.T) {
	t.Parallel()
	const pause = 7 * time.Second // longer than any connection stays active
	frames := text("Hello") + fragment(wire.Binary, "abc", false) + frame(wire.Ping, "?") + fragment(wire.Continuation, strings.Repeat("d", 70), true)
	synctest.Test(t, func(t *testing.T) {
		p, _ := run(t, &server.Server{Handler: server.Handler{Message: echo}, AssemblyTimeout: -1, PingInterval: -1}, server.Handshake{})
		for _, busy := range []int{0, 10} {
			for cut := 1; cut < len(frames); cut++ {
				for range busy {
					p.echo("x")
				}
				go func() {
					p.send(frames[:cut])
					time.Sleep(pause)
					p.send(frames[cut:])
				}()
				p.want(`text "Hello"`, `pong "?"`, "binary 73 bytes")
				time.Sleep(pause)
			}
		}
	})
}
