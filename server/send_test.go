package server_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// opened returns a connection of a server on a loop, with its client.
func opened(t *testing.T, start starter, s *server.Server) (*server.Conn, *peer, *recorder) {
	t.Helper()
	r, rec := recorded(t, start, s)
	p := r.open(t)
	return rec.conn(), p, rec
}

// recorded starts a server on a loop. Events for which s.Handler has no function
// are recorded.
func recorded(t *testing.T, start starter, s *server.Server) (*running, *recorder) {
	t.Helper()
	rec := newRecorder(t)
	all := rec.handler()
	if s.Handler.Open == nil {
		s.Handler.Open = all.Open
	}
	if s.Handler.Message == nil && s.Handler.Serve == nil {
		s.Handler.Message = all.Message
	}
	if s.Handler.Error == nil {
		s.Handler.Error = all.Error
	}
	if s.Handler.Close == nil {
		s.Handler.Close = all.Close
	}
	return start(t, s), rec
}

// Messages of each kind are sent in one frame.
func TestMessagesAreSentInOneFrame(t *testing.T) {
	long := strings.Repeat("ä", 50_000)
	binary := strings.Repeat("\x00\xff", 100_000)
	eachLoop(t, func(t *testing.T, start starter) {
		c, client, _ := opened(t, start, &server.Server{})
		p := []byte("Hello")
		for _, tt := range []struct {
			send func() error
			want wire.Opcode
			body string
		}{
			{func() error {
				err := c.Send(wire.Text, p)
				if string(p) != "Hello" {
					t.Errorf("Send has made %q of the payload", p)
				}
				clear(p) // it is not kept
				return err
			}, wire.Text, "Hello"},
			{func() error { return c.Send(wire.Binary, []byte("\x00\xff")) }, wire.Binary, "\x00\xff"},
			{func() error { return c.Send(wire.Binary, []byte(binary)) }, wire.Binary, binary},
			{func() error { return c.Send(wire.Text, nil) }, wire.Text, ""},
			{func() error { return c.SendText("grüß") }, wire.Text, "grüß"},
			{func() error { return c.SendText(long) }, wire.Text, long},
			{func() error { return c.Sendf("%d of %q", 7, "x") }, wire.Text, `7 of "x"`},
			{func() error { return c.SendJSON(map[string]int{"a": 1}) }, wire.Text, `{"a":1}`},
			{func() error { return c.SendPing([]byte("?")) }, wire.Ping, "?"},
			{func() error { return c.SendPong([]byte("!")) }, wire.Pong, "!"},
			{func() error { return c.SendPing(make([]byte, 125)) }, wire.Ping, string(make([]byte, 125))},
		} {
			check.Must(t, tt.send())
			f, err := client.next()
			if err != nil || f.Opcode != tt.want || !f.Fin || f.RSV != 0 || string(f.Payload) != tt.body {
				t.Fatalf("received %s, %v", show(f), err)
			}
		}
	})
}

// An invalid message or Close is refused with an error, no byte is sent, and
// the connection stays open (6455-5.6-c, 6455-5.5-b, 6455-7.4-a, -b, -c, -k,
// 6455-5.5.1-c, T-H05, T-H07).
func TestInvalidMessagesAreRefused(t *testing.T) {
	tests := []struct {
		name string
		send func(c *server.Conn) error
		want error // nil: any
	}{
		{"text that is not UTF-8", func(c *server.Conn) error { return c.Send(wire.Text, []byte("\xff")) }, wire.ErrInvalidUTF8},
		{"text that is not UTF-8, as a string", func(c *server.Conn) error { return c.SendText("\xed\xa0\x80") }, wire.ErrInvalidUTF8},
		{"text that is not UTF-8, formatted", func(c *server.Conn) error { return c.Sendf("%s", "\xff") }, wire.ErrInvalidUTF8},
		{"a Ping as a message", func(c *server.Conn) error { return c.Send(wire.Ping, nil) }, server.ErrNotData},
		{"a Close as a message", func(c *server.Conn) error { return c.Send(wire.Close, nil) }, server.ErrNotData},
		{"a continuation as a message", func(c *server.Conn) error { return c.Send(wire.Continuation, nil) }, server.ErrNotData},
		{"a control frame in fragments", func(c *server.Conn) error { return c.SendFragment(wire.Ping, nil, false) }, server.ErrNotData},
		{"a continuation without a message", func(c *server.Conn) error { return c.SendFragment(wire.Continuation, nil, true) }, server.ErrNotData},
		{"a value that JSON cannot encode", func(c *server.Conn) error { return c.SendJSON(func() {}) }, nil},
		{"a Ping of 126 bytes", func(c *server.Conn) error { return c.SendPing(make([]byte, 126)) }, wire.ErrControlTooLong},
		{"a Pong of 126 bytes", func(c *server.Conn) error { return c.SendPong(make([]byte, 126)) }, wire.ErrControlTooLong},
		{"Close with 999", closeWith(999, ""), wire.ErrStatusCode},
		{"Close with 1004", closeWith(1004, ""), wire.ErrStatusCode},
		{"Close with 1005", closeWith(1005, ""), wire.ErrStatusCode},
		{"Close with 1006", closeWith(1006, ""), wire.ErrStatusCode},
		{"Close with 1015", closeWith(1015, ""), wire.ErrStatusCode},
		{"Close with 1016", closeWith(1016, ""), wire.ErrStatusCode},
		{"Close with 2999", closeWith(2999, ""), wire.ErrStatusCode},
		{"Close with 5000", closeWith(5000, ""), wire.ErrStatusCode},
		{"Close with 66536, which is 1000 in 16 bits", closeWith(66536, ""), wire.ErrStatusCode},
		{"Close with 70000", closeWith(70000, ""), wire.ErrStatusCode},
		{"Close with -1", closeWith(-1, ""), wire.ErrStatusCode},
		{"Close with a reason of 124 bytes", closeWith(1000, strings.Repeat("a", 124)), wire.ErrReasonTooLong},
		{"Close with a reason that is not UTF-8", closeWith(1000, "\xff"), wire.ErrInvalidUTF8},
		{"Close with a reason and no code", closeWith(0, "a"), wire.ErrReasonWithoutCode},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, _ := opened(t, start, &server.Server{})
		for _, tt := range tests {
			err := tt.send(c)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), "websocket: ") {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
		wantState(t, c, server.Open)
		check.OK(t, c.SendText("still there"))
		p.want(`text "still there"`)
	})
}

func closeWith(code wire.StatusCode, reason string) func(c *server.Conn) error {
	return func(c *server.Conn) error { return c.Close(code, reason) }
}

// Close sends valid codes with reasons of all lengths (6455-7.1.2-a,
// 6455-7.4-j, T-C06).
func TestCloseSendsCodeAndReason(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := &server.Server{}
		rec := newRecorder(t)
		s.Handler = rec.handler()
		r := start(t, s)
		for _, tt := range []struct {
			code   wire.StatusCode
			reason string
			want   string
		}{
			{0, "", `close ""`},
			{1000, "", `close 1000 ""`},
			{1011, "x", `close 1011 "x"`},
			{3001, "x", `close 3001 "x"`},
			{4999, strings.Repeat("é", 61) + "a", fmt.Sprintf("close 4999 %q", strings.Repeat("é", 61)+"a")},
		} {
			p := r.open(t)
			check.Must(t, rec.conn().Close(tt.code, tt.reason))
			p.want(tt.want)
		}
	})
}

// The frames of a fragmented message: the type in the first, then
// continuations, FIN in the last (6455-6.1-b).
func TestFragmentsMakeOneMessage(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, _ := opened(t, start, &server.Server{})
		step := func(err, want error) {
			t.Helper()
			if err != want {
				t.Fatalf("%v, want %v", err, want)
			}
		}
		step(c.SendFragment(wire.Text, []byte("a\xe2"), false), nil) // cut in a code point (6455-5.6-a)
		step(c.SendPing(nil), nil)                                   // 6455-5.4-b
		step(c.SendText("in between"), server.ErrMessageUnfinished)
		step(c.Send(wire.Binary, nil), server.ErrMessageUnfinished)
		step(c.SendJSON(1), server.ErrMessageUnfinished)
		step(c.SendFragment(wire.Binary, nil, true), server.ErrMessageUnfinished)
		step(c.SendFragment(wire.Continuation, []byte("\xff"), false), wire.ErrInvalidUTF8)
		step(c.SendFragment(wire.Continuation, nil, true), wire.ErrInvalidUTF8) // the code point is incomplete
		step(c.SendFragment(wire.Text, []byte("\x82"), false), nil)
		step(c.SendFragment(wire.Continuation, nil, false), nil) // 6455-5.4-g
		step(c.SendFragment(wire.Continuation, []byte("\xac"), true), nil)
		step(c.SendText("behind"), nil)
		step(c.SendFragment(wire.Binary, []byte("\xff"), true), nil)
		p.want(`text "a\xe2" +`, `ping ""`, `continuation "\x82" +`, `continuation "" +`, `continuation "\xac"`, `text "behind"`, `binary "\xff"`)
	})
}

// A message that was unfinished at the end of the connection does not hide the
// reason of the end.
func TestUnfinishedMessageDoesNotHideHowTheConnectionEnded(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, rec := opened(t, start, &server.Server{})
		check.Must(t, c.SendFragment(wire.Text, []byte("a"), false))
		p.send(closing(4000, ""))
		rec.want("open", `close 4000 ""`)
		for name, send := range map[string]func() error{
			"SendText":                        func() error { return c.SendText("late") },
			"SendFragment":                    func() error { return c.SendFragment(wire.Continuation, nil, true) },
			"SendFragment again":              func() error { return c.SendFragment(wire.Continuation, nil, true) },
			"SendFragment of another message": func() error { return c.SendFragment(wire.Binary, nil, true) },
			"Ping":                            func() error { return c.SendPing(nil) },
			"Close":                           func() error { return c.Close(1000, "") },
		} {
			var closed *server.CloseError
			if err := send(); !errors.As(err, &closed) || closed.Code != 4000 {
				t.Errorf("%s: %v", name, err)
			}
		}
		p.want(`text "a" +`, `close 4000 ""`)
	})
}

// Neither does a message whose first fragment could not be sent any more.
func TestUnsentMessageDoesNotHideHowTheConnectionEnded(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, rec := opened(t, start, &server.Server{})
		p.send(closing(4000, ""))
		rec.want("open", `close 4000 ""`)
		for _, op := range []wire.Opcode{wire.Text, wire.Continuation, wire.Binary} {
			var closed *server.CloseError
			if err := c.SendFragment(op, nil, false); !errors.As(err, &closed) || closed.Code != 4000 {
				t.Errorf("SendFragment, %v: %v", op, err)
			}
		}
	})
}

// Goroutines that send at the same time send whole messages, and none is lost
// (6455-6.1-c, T-H01, T-H03).
func TestWritersAtOnceDoNotMixTheirFrames(t *testing.T) {
	const writers, each = 50, 40
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, _ := opened(t, start, &server.Server{MaxBacklog: -1})
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				body := strings.Repeat(string(rune('A'+w)), 1+w*50)
				for range each {
					if err := c.SendText(body); err != nil {
						t.Error(err)
						return
					}
					c.SendPing([]byte("?"))
				}
			})
		}
		counts := map[int]int{}
		for n := 0; n < writers*each; {
			f, err := p.next()
			check.Must(t, err)
			if f.Opcode == wire.Ping {
				continue
			}
			n++
			body := string(f.Payload)
			counts[len(body)]++
			if strings.Trim(body, body[:1]) != "" {
				t.Fatalf("mixed: %q", body)
			}
		}
		all.Wait()
		for w := range writers {
			if n := counts[len(strings.Repeat(string(rune('A'+w)), 1+w*50))]; n != each {
				t.Errorf("writer %d: %d messages of %d", w, n, each)
			}
		}
	})
}

// Several goroutines may send fragments of one message, one at a time.
func TestFragmentsFromGoroutinesAtOnceAreWholeFrames(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		c, p, _ := opened(t, start, &server.Server{})
		check.Must(t, c.SendFragment(wire.Binary, nil, false))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				check.OK(t, c.SendFragment(wire.Continuation, make([]byte, 1000), false))
			})
		}
		all.Wait()
		check.Must(t, c.SendFragment(wire.Continuation, nil, true))
		p.want(`binary "" +`)
		for range 20 {
			p.want("continuation 1000 bytes +")
		}
		p.want(`continuation ""`)
	})
}

// Server.MaxOutgoingFrame limits the frames of every call that sends, for
// clients that accept frames of at most 32 or 64 KiB
// (TooTallNate/Java-WebSocket#1466).
func TestMaxOutgoingFrame(t *testing.T) {
	const limit, size = 1000, 2500
	message := strings.Repeat("x", size)
	prepared, err := server.Prepare(wire.Text, []byte(message))
	check.Must(t, err)
	eachLoop(t, func(t *testing.T, start starter) {
		r := start(t, &server.Server{MaxOutgoingFrame: limit, Handler: server.Handler{Open: func(c *server.Conn) {
			c.Send(wire.Text, []byte(message))
			c.SendText(message)
			c.SendPrepared(prepared)
			c.SendText(message[:limit])
		}}})
		p := r.open(t)
		first, rest := wire.Text.String(), wire.Continuation.String()
		for range 3 {
			p.want(first+" 1000 bytes +", rest+" 1000 bytes +", rest+" 500 bytes")
		}
		p.want(first + " 1000 bytes")
	})
}
