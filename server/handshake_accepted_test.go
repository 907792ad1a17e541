package server_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
)

// The 101 response has its status line, the three required fields, and none
// that is forbidden (6455-4.2.2-h, -i, -j, -k, 9110-8.6-a, T-D22).
func TestOpeningHandshakeIsAnsweredToTheByte(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		p := start(t, &server.Server{}).dial(t)
		p.send(request("/chat", "Sec-WebSocket-Extensions: permessage-deflate, foo; a=1", "X-Unknown: 1")) // 6455-4.2.1-n, 6455-9.1-e
		want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + sampleAccept + "\r\n\r\n"
		got := make([]byte, len(want))
		if _, err := io.ReadFull(p.nc, got); err != nil || string(got) != want {
			t.Fatalf("answered with %q, %v", got, err)
		}
		p.send(closing(1000, ""))
		p.want(`close 1000 ""`) // and not a byte between the two
	})
}

// Other valid spellings of an opening handshake are accepted
// (6455-4.2.1-f, -g, -i, T-E06).
func TestOpeningHandshakeMayBeSpelledOtherwise(t *testing.T) {
	tests := []struct{ name, old, new string }{
		{"lower case", "Upgrade: websocket\r\nConnection: Upgrade", "upgrade: WEBSOCKET\r\nconnection: upgrade"},
		{"as Firefox has it (WHATWG-4)", "Connection: Upgrade", "Connection: keep-alive, Upgrade"},
		{"empty list elements (9110-5.6.1-a)", "Connection: Upgrade", "Connection: ,, upgrade ,"},
		{"two lines", "Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"},
		{"h2c as well", "Upgrade: websocket", "Upgrade: h2c, websocket"},
		{"a key with unused bits set", sampleKey, "AQIDBAUGBwgJCgsMDQ4PEC=="},
		{"an empty body", "\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{})
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				p := s.ask(t, strings.Replace(request("/"), tt.old, tt.new, 1))
				r := p.response()
				if r.Status != 101 || !slices.Equal(r.Header.Values("Upgrade"), []string{"websocket"}) {
					t.Errorf("answered with %+v", r)
				}
			})
		}
	})
}

// The client's order of preference decides (6455-4.2.2-f, -g), over all lines
// (6455-11.3.4-a). The application may choose another offered subprotocol.
func TestSubprotocolIsChosenFromThoseOffered(t *testing.T) {
	choose := func(name string) func(*handshake.Request, *handshake.ServerAnswer) error {
		return func(_ *handshake.Request, a *handshake.ServerAnswer) error {
			a.Subprotocol = name
			return nil
		}
	}
	tests := []struct {
		name      string
		offered   []string // lines
		supported []string
		authorize func(*handshake.Request, *handshake.ServerAnswer) error
		want      []string
	}{
		{name: "the client's order", offered: []string{"b, a"}, supported: []string{"a", "b"}, want: []string{"b"}},
		{name: "two lines", offered: []string{"x", "b"}, supported: []string{"a", "b"}, want: []string{"b"}},
		{name: "none in common (WHATWG-8)", offered: []string{"x"}, supported: []string{"a"}},
		{name: "none offered", supported: []string{"a"}},
		{name: "the program's choice", offered: []string{"b, a"}, supported: []string{"a", "b"}, authorize: choose("a"), want: []string{"a"}},
		{name: "none, says the program", offered: []string{"b, a"}, supported: []string{"a", "b"}, authorize: choose("")},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				rec := newRecorder(t)
				p := start(t, &server.Server{Handler: rec.handler(), Subprotocols: tt.supported, Authorize: tt.authorize}).dial(t)
				var lines []string
				for _, offer := range tt.offered {
					lines = append(lines, "Sec-WebSocket-Protocol: "+offer)
				}
				p.send(request("/", lines...))
				got := p.response().Header.Values("Sec-WebSocket-Protocol")
				if conn := rec.conn().Subprotocol(); !slices.Equal(got, tt.want) || conn != strings.Join(tt.want, "") {
					t.Errorf("answered with %q, the connection says %q", got, conn)
				}
			})
		}
	})
}

// The application reads the request before it is answered, and may add fields
// to the response (6455-10.5-a, WHATWG-5, WHATWG-16).
func TestAuthorizeMayAddToTheAnswer(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Authorize: func(r *handshake.Request, a *handshake.ServerAnswer) error {
			if r.Header.Get("Cookie") != "user=x" || r.Path() != "/p" || r.Query() != "q=1" {
				t.Errorf("request %+v", r)
			}
			a.Header = map[string][]string{"Set-Cookie": {"a=1", "b=2"}}
			return nil
		}})
		p := s.ask(t, request("/p?q=1", "Cookie: user=x"))
		if r := p.response(); r.Status != 101 || !slices.Equal(r.Header.Values("Set-Cookie"), []string{"a=1", "b=2"}) {
			t.Errorf("answered with %+v", r)
		}
	})
}

// Bytes that arrive with the request are the beginning of the frames
// (6455-4.2.2-m, 6455-5.2-l).
func TestRequestAndFramesMayArriveInAnyPieces(t *testing.T) {
	t.Parallel()
	all := request("/", "Origin: http://server.example") + text("Hello") + text("again") + closing(1000, "bye")
	answered := func(p *peer, pieces ...string) {
		p.t.Helper()
		p.meanwhile(func(p *peer) {
			for _, piece := range pieces {
				p.trySend(piece)
			}
		})
		p.wantStatus(101)
		p.want(`text "Hello"`, `text "again"`, `close 1000 ""`)
		p.wantEnd()
		p.nc.Close()
	}
	pieces := func(t *testing.T, s *running) {
		answered(s.dial(t), strings.Split(all, "")...)
		for i := range len(all) {
			answered(s.dial(t), all[:i], all[i:])
		}
	}
	test := func(t *testing.T, start starter) {
		pieces(t, start(t, &server.Server{Handler: server.Handler{Message: echo}}))
	}
	eachLoop(t, test)
	check.Bubble(t, "each piece is read alone", func(t *testing.T) { test(t, served) })
}

// After the first handshake all bytes are frames. A second handshake is an
// invalid frame (T-D13).
func TestSecondHandshakeIsNoFrame(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		p := start(t, &server.Server{Handler: rec.handler()}).ask(t, request("/"), request("/"))
		p.wantStatus(101)
		p.want(`close 1002 "reserved opcode"`)
		p.wantEnd()
		rec.want("open", "failed 1002", `close 1006 ""`)
	})
}

// The data of the handshake stays available as long as the connection.
func TestConnectionKnowsItsHandshake(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{Subprotocols: []string{"chat"}})
		p := s.openAs(t, "/a%2Fb?x=1&y=%20", "Sec-WebSocket-Protocol: chat", "X-A: 1", "X-A: 2")
		c := rec.conn()
		p.send(closing(0, ""))
		p.want(`close ""`)
		rec.want("open", `close 1005 ""`)
		got := fmt.Sprint(c.Path(), c.Query(), c.Header().Values("x-a"), c.Subprotocol(), c.Request().Host(), c.RemoteAddr(), c.LocalAddr())
		want := fmt.Sprint("/a%2Fb", "x=1&y=%20", []string{"1", "2"}, "chat", "server.example", p.nc.LocalAddr(), p.nc.RemoteAddr())
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
