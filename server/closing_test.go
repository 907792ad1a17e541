package server_test

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// After its Close the server sends only Pongs and still receives. After both
// Closes it sends nothing (6455-5.1-e, 6455-5.5.1-e, 6455-7.1.3-a,
// 6455-5.5.2-a). The reported code is the client's (6455-7.1.5-a).
func TestServerClosesFirst(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, rec := opened(t, start, &server.Server{})
		check.Must(t, c.Close(4000, "enough"))
		wantState(t, c, server.Closing)
		for name, call := range map[string]func() error{
			"Close":        func() error { return c.Close(1000, "") },
			"Send":         func() error { return c.Send(wire.Text, nil) },
			"SendText":     func() error { return c.SendText("late") },
			"SendFragment": func() error { return c.SendFragment(wire.Text, nil, false) },
			"Ping":         func() error { return c.SendPing(nil) },
		} {
			if err := call(); err != server.ErrClosed || !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		p.want(`close 4000 "enough"`)
		p.send(text("still on its way"), frame(wire.Ping, "?"))
		p.want(`pong "?"`)
		p.send(closing(1000, "yes"), text("too late"))
		p.wantEnd() // no second Close (6455-5.5.1-k)
		rec.want("open", `text "still on its way"`, `close 1000 "yes"`)
		rec.wantNothing()
	})
}

// Any number of calls from any goroutine sends one Close frame (6455-5.5.1-l,
// T-H02).
func TestManyCallsSendOneCloseFrame(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, _ := opened(t, start, &server.Server{})
		var won atomic.Int32
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				switch err := c.Close(1000, ""); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, net.ErrClosed):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%d calls sent a Close", won.Load())
		}
		p.wantClose(`close 1000 ""`, closing(1000, ""))
	})
}

// Messages sent before the end, and the Close frame, reach a client whose input
// the server has not read: no reset destroys them (6455-7.1.1-a, T-H15). The test
// runs alone, because the rest of the messages must arrive within a second.
func TestCloseFrameArrivesAlthoughInputIsUnread(t *testing.T) {
	unread := strings.Repeat(text(strings.Repeat("a", 1000)), 500)
	messages := []string{`text "one"`, `text "two"`, "binary 300000 bytes"}
	send := func(c *server.Conn) {
		c.SendText("one")
		c.SendText("two")
		c.Send(wire.Binary, make([]byte, 300_000))
	}
	tests := []struct {
		name  string
		first string // the input of the server
		act   func(c *server.Conn)
		want  string
	}{
		{name: "the server fails the connection", first: text("go") + "\x83\x80", act: send, want: `close 1002 "reserved opcode"`},
		{name: "the client closes and sends on", first: text("go") + closing(1000, ""), act: send, want: `close 1000 ""`},
		{name: "a handler panics", first: text("go"), act: func(c *server.Conn) { send(c); panic("on purpose") }, want: `close 1011 ""`},
		{name: "the server closes, and the client after it", first: text("go") + closing(1000, ""), act: func(c *server.Conn) { send(c); c.Close(4000, "") }, want: `close 4000 ""`},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				s := start(t, &server.Server{Handler: server.Handler{Message: func(c *server.Conn, _ wire.Opcode, _ []byte) { tt.act(c) }}, Log: func(error) {}})
				for range 20 {
					p := s.open(t)
					sent := make(chan struct{})
					go func() {
						defer close(sent)
						p.trySend(tt.first, unread)
					}()
					p.want(messages...)
					p.want(tt.want)
					p.wantEnd()
					p.nc.Close()
					<-sent
				}
			})
		}
	})
}

// Both sides may close at the same time: one frame each, and a clean end
// (6455-5.5.1-k).
func TestBothCloseAtOnce(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		for range 20 {
			c, p, rec := opened(t, start, &server.Server{})
			go p.trySend(closing(1001, ""))
			c.Close(4000, "")
			f, err := p.next()
			if got := show(f); err != nil || got != `close 4000 ""` && got != `close 1001 ""` {
				t.Fatalf("received %s, %v", got, err)
			}
			p.wantEnd()
			rec.want("open", `close 1001 ""`)
		}
	})
}

// endSide shuts down the client's side of the connection. The client still
// reads.
func (p *peer) endSide() {
	p.t.Helper()
	if err := p.nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// A client that sends its messages, ends its side of TCP without a Close and
// waits for the answers receives all of them, by every way to send, and then
// the end. The connection ends with 1006. With Handler.Serve the client used to
// receive none (coder/websocket#507, kubernetes/kubernetes#89899).
func TestHalfClosedClientIsAnswered(t *testing.T) {
	t.Parallel()
	const messages = 7 // more than Serve's mailbox holds
	large := strings.Repeat("x", 300<<10)
	tests := map[string]struct {
		serve, late bool
		answer      string // to each message; empty: an echo
	}{
		"Message":                             {},
		"Message, after the end":              {late: true},
		"Message, more than the system takes": {answer: large},
		"Serve, after the end":                {serve: true, late: true},
		"Serve, more than the system takes":   {serve: true, answer: large},
	}
	for loop, start := range withTLS(loops) {
		for name, tt := range tests {
			t.Run(loop+"/"+name, func(t *testing.T) {
				t.Parallel()
				rec := newRecorder(t)
				h := server.Handler{Error: rec.error, Close: rec.closed}
				half := make(chan struct{})
				answer := func(c *server.Conn, _ wire.Opcode, p []byte) {
					if tt.late {
						<-half
					}
					check.OK(t, c.SendText(cmp.Or(tt.answer, string(p))))
				}
				h.Message = answer
				if tt.serve {
					h.Serve = func(c *server.Conn) {
						for m, err := range c.Messages(t.Context()) {
							if err == nil {
								answer(c, m.Opcode, m.Payload)
							}
						}
					}
				}
				p := start(t, &server.Server{Handler: h, MaxBacklog: 8 << 20}).open(t)
				var want []string
				for i := range messages {
					p.send(text(fmt.Sprint(i)))
					want = append(want, "text "+brief([]byte(cmp.Or(tt.answer, fmt.Sprint(i)))))
				}
				p.endSide()
				close(half)
				p.want(want...)
				p.wantEnd()
				p.nc.Close() // ends the lingering of TLS
				rec.want("lost", `close 1006 ""`)
			})
		}
	}
}

// An answer sent by successive calls of Handler.Writable reaches a half-closed
// client to its end.
func TestHalfClosedClientIsSentAStream(t *testing.T) {
	t.Parallel()
	const parts, size = 5, 400 << 10
	each(t, withTLS(loops), func(t *testing.T, start starter) {
		rec := newRecorder(t)
		left := parts
		send := func(c *server.Conn) {
			for left > 0 && c.Buffered() == 0 { // Writable may be called after the next part was buffered
				left--
				check.OK(t, c.Send(wire.Binary, make([]byte, size)))
			}
		}
		p := start(t, &server.Server{Handler: server.Handler{
			Message:  func(c *server.Conn, _ wire.Opcode, _ []byte) { send(c) },
			Writable: send,
			Error:    rec.error,
			Close:    rec.closed,
		}}).open(t)
		p.send(text("all of it"))
		p.endSide()
		for range parts {
			p.want(fmt.Sprintf("binary %d bytes", size))
		}
		p.wantEnd()
		p.nc.Close() // ends the lingering of TLS
		rec.want("lost", `close 1006 ""`)
	})
}

// Queued messages reach a half-closed client too: those that SlowDropOldest has
// queued, and a broadcast behind a message that is unfinished when the client
// ends its side. The connection used to end when the write buffer was empty.
func TestHalfClosedClientIsSentTheQueue(t *testing.T) {
	t.Parallel()
	for loop, start := range withTLS(loops) {
		for _, style := range []string{"Message", "Serve"} {
			start := func(t *testing.T, rec *recorder, answer func(c *server.Conn)) *peer {
				s := &server.Server{SlowPolicy: server.SlowDropOldest, Handler: server.Handler{Open: rec.open, Error: rec.error, Close: rec.closed}}
				if style == "Message" {
					s.Handler.Message = func(c *server.Conn, _ wire.Opcode, _ []byte) { answer(c) }
				} else {
					s.Handler.Serve = func(c *server.Conn) {
						for check.Err(c.Receive(t.Context())) == nil {
							answer(c)
						}
					}
				}
				p := start(t, s).open(t)
				p.send(text("all of it"))
				p.endSide()
				return p
			}
			t.Run(loop+"/"+style+"/slow", func(t *testing.T) {
				t.Parallel()
				rec := newRecorder(t)
				sent := make(chan struct{})
				p := start(t, rec, func(c *server.Conn) {
					for i := range enough {
						check.OK(t, c.Send(wire.Binary, numbered(i)))
					}
					close(sent)
				})
				<-sent
				eventually(t, "the end of the input", rec.conn().InputEnded)
				for p.number() < enough-1 {
				}
				p.wantEnd()
				p.nc.Close() // ends the lingering of TLS
				rec.want("open", "lost", `close 1006 ""`)
			})
			t.Run(loop+"/"+style+"/broadcast", func(t *testing.T) {
				t.Parallel()
				rec := newRecorder(t)
				queued := make(chan struct{})
				p := start(t, rec, func(c *server.Conn) {
					check.OK(t, c.SendFragment(wire.Text, []byte("a"), false))
					check.OK(t, server.Broadcast(only(c), wire.Text, []byte("c")))
					close(queued)
				})
				<-queued
				c := rec.conn()
				eventually(t, "the end of the input", c.InputEnded)
				check.OK(t, c.SendFragment(wire.Continuation, []byte("b"), true))
				p.want(`text "a" +`, `continuation "b"`, `text "c"`)
				p.wantEnd()
				p.nc.Close() // ends the lingering of TLS
				rec.want("open", "lost", `close 1006 ""`)
			})
		}
	}
}

// A message that another goroutine sends with SlowBlock, piece by piece, reaches
// a half-closed client to its end. The connection used to end when the write
// buffer was empty between two pieces.
func TestHalfClosedClientIsSentABlockedMessage(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	each(t, withTLS(loops), func(t *testing.T, start starter) {
		rec := newRecorder(t)
		p := start(t, &server.Server{SlowPolicy: server.SlowBlock, MaxBacklog: 64 << 10, Handler: server.Handler{
			Open: rec.open,
			Message: func(c *server.Conn, _ wire.Opcode, _ []byte) {
				go func() { check.OK(t, c.Send(wire.Binary, make([]byte, size))) }()
			},
			Error: rec.error,
			Close: rec.closed,
		}}).open(t)
		c := rec.conn()
		p.send(text("all of it"))
		eventually(t, "a blocked sender", func() bool { return c.Buffered() > 0 })
		p.endSide()
		eventually(t, "the end of the input", c.InputEnded)
		p.want(fmt.Sprintf("binary %d bytes", size))
		p.wantEnd()
		p.nc.Close() // ends the lingering of TLS
		rec.want("open", "lost", `close 1006 ""`)
	})
}

// Messages that a client has sent before it ended its side are received, also
// those that wait for Serve. The connection ends when Serve returns.
func TestServeThatReturnsEndsAHalfClosedConnection(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		half := make(chan struct{})
		p, returned := fiber(t, start, rec, func(c *server.Conn) {
			check.OK(t, check.Err(c.Receive(t.Context())))
			<-half
		})
		p.send(text("one"), text("two"), text("three"), text("four"))
		p.endSide()
		close(half)
		result(t, returned)
		p.want(`close 1000 ""`)
		p.wantEnd()
		rec.want("open", "lost", `close 1006 ""`)
	})
}

// A half-closed client to which no answer is sent is aborted by PongTimeout: it
// answers no heartbeat.
func TestHalfClosedClientTimesOut(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		h := rec.handler()
		h.Message = nil
		h.Serve = func(c *server.Conn) {
			check.OK(t, check.Err(c.Receive(t.Context())))
			<-t.Context().Done() // does not receive again
		}
		half := make(chan struct{})
		p := start(t, &server.Server{Handler: h, PingInterval: 50 * time.Millisecond, PongTimeout: 50 * time.Millisecond, Authorize: func(*handshake.Request, *handshake.ServerAnswer) error {
			<-half // the time of the heartbeat begins behind this
			return nil
		}}).dial(t)
		p.send(request("/"), text("one"))
		p.endSide()
		close(half)
		p.wantStatus(101)
		rec.want("open", "lost", `close 1006 ""`)
		wantTimeout(t, rec.failure(), "PongTimeout")
	})
}
