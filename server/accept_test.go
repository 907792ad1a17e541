package server_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// accept calls Accept on another goroutine.
func accept(s *server.Server, nc net.Conn, h server.Handshake) <-chan accepted {
	result := make(chan accepted, 1)
	go func() {
		c, err := s.Accept(nc, h)
		result <- accepted{c, err}
	}()
	return result
}

// mustAccept returns the connection of Accept.
func mustAccept(t *testing.T, s *server.Server, nc net.Conn) *server.Conn {
	t.Helper()
	a := result(t, accept(s, nc, server.Handshake{}))
	check.Must(t, a.err)
	return a.c
}

type accepted struct {
	c   *server.Conn
	err error
}

// Accept returns an open connection from which its caller receives. It calls
// the handlers for open, error and close, not the handlers for messages.
func TestAcceptReturnsTheConnection(t *testing.T) {
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		rec := newRecorder(t)
		h := rec.handler()
		h.Partial = rec.partial
		h.Serve = func(*server.Conn) { rec.note("Serve") }
		s := &server.Server{Handler: h}
		nc, p := connect()
		got := accept(s, nc, server.Handshake{
			Request:     &handshake.Request{Method: "GET", Target: "/x?y", Proto: "HTTP/1.1"},
			Subprotocol: "chat",
			Response:    []byte(switching),
			Buffered:    []byte(text("Hello")),
			Value:       "somebody",
		})
		p.response()
		a := result(t, got)
		check.Must(t, a.err)
		c := a.c
		if c.Value() != "somebody" || c.Subprotocol() != "chat" || c.Path() != "/x" || c.State() != server.Open {
			t.Errorf("the connection is %v, %q, %q, %v", c.Value(), c.Subprotocol(), c.Path(), c.State())
		}
		p.send(frame(wire.Ping, "?"), fragment(wire.Binary, "two", false), fragment(wire.Continuation, " parts", true))
		p.want(`pong "?"`)
		for _, want := range []string{"Hello", "two parts"} {
			receives(t, c, want)
		}
		check.OK(t, c.SendText("bye"))
		p.want(`text "bye"`)
		p.send(closing(4000, "thanks"))
		p.want(`close 4000 ""`)
		var closed *server.CloseError
		if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != 4000 || closed.Reason != "thanks" {
			t.Errorf("Receive returned %v", err)
		}
		rec.want("open", `close 4000 "thanks"`)
		rec.wantNothing()
		shutdown(t, s)
	})
}

// A connection whose caller has called Close and does not receive ends with the
// client's Close. The server drops messages for which the mailbox has no room.
func TestAcceptedConnectionEndsAfterCloseWithoutAReceiver(t *testing.T) {
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		for _, closeFirst := range []bool{true, false} {
			rec := newRecorder(t)
			s := &server.Server{Handler: rec.handler()}
			nc, p := connect()
			c := mustAccept(t, s, nc)
			closeIt := func() {
				check.OK(t, c.Close(wire.NormalClosure, "enough"))
			}
			if closeFirst {
				closeIt()
			}
			for range 100 {
				p.send(text("nobody receives this"))
			}
			if !closeFirst {
				closeIt()
			}
			p.wantClose(`close 1000 "enough"`, closing(wire.NormalClosure, ""))
			rec.want("open", `close 1000 ""`)
			n := 0
			for {
				if _, err := c.Receive(t.Context()); err != nil {
					break
				}
				n++
			}
			if n > 3 {
				t.Errorf("%d messages were kept", n)
			}
			shutdown(t, s)
		}
	})
}

// A handler that panics in Open fails the connection before Accept returns it.
func TestAcceptReturnsWhyTheConnectionDidNotOpen(t *testing.T) {
	t.Parallel()
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		var failed *server.FailError
		var panicked *server.PanicError
		s := &server.Server{Log: func(error) {}, Handler: server.Handler{Open: func(*server.Conn) { panic("on purpose") }}}
		nc, p := connect()
		a := result(t, accept(s, nc, server.Handshake{}))
		if a.c != nil || !errors.As(a.err, &failed) || !errors.As(a.err, &panicked) {
			t.Errorf("a panic in Open: %v, %v", a.c, a.err)
		}
		p.want(`close 1011 ""`)
		p.nc.Close()
		shutdown(t, s)

		var full *server.CapacityError
		s = &server.Server{Log: func(error) {}, MaxConns: 1}
		nc, _ = connect()
		defer mustAccept(t, s, nc).CloseNow()
		nc, p = connect()
		if a := result(t, accept(s, nc, server.Handshake{})); a.c != nil || !errors.As(a.err, &full) {
			t.Errorf("Accept above the limit returned %v, %v", a.c, a.err)
		}
		p.wantCut()
	})
}

// Accept returns an error if the client has disconnected before the 101
// response is written.
func TestAcceptOfAConnectionThatHasEnded(t *testing.T) {
	s := &server.Server{Log: func(error) {}}
	a := result(t, accept(s, gone{err: io.ErrClosedPipe}, server.Handshake{Response: []byte(switching)}))
	var lost *server.LostError
	if a.c != nil || !errors.As(a.err, &lost) || !errors.Is(a.err, net.ErrClosed) {
		t.Errorf("Accept returned %v, %v", a.c, a.err)
	}
	shutdown(t, s)
}

// SlowDefault blocks the sender of an accepted connection, as with Serve: its
// caller may block, a handler may not.
func TestAcceptedConnectionSendsWithSlowBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := &server.Server{MaxBacklog: 1000, WriteTimeout: time.Minute}
		c := mustAccept(t, s, ours)
		sent := make(chan error, 1)
		go func() {
			for range 100 {
				if err := c.SendBinary(make([]byte, 1000)); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		synctest.Wait()
		if len(sent) > 0 {
			t.Errorf("sending has returned %v", <-sent)
		}
		p := newPeer(t, theirs)
		for range 100 {
			p.want("binary 1000 bytes")
		}
		check.OK(t, <-sent)
		c.CloseNow()
		shutdown(t, s)
	})
}

// Shutdown closes an accepted connection, and returns when it has ended.
func TestShutdownClosesAcceptedConnections(t *testing.T) {
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		s := new(server.Server)
		nc, p := connect()
		c := mustAccept(t, s, nc)
		done := begin(func() error { return s.Shutdown(t.Context()) })
		p.want(`close 1001 ""`)
		p.send(text("last words"), closing(1001, ""))
		p.wantEnd()
		receives(t, c, "last words")
		check.OK(t, result(t, done))
	})
}

// The subprotocols of a Handshake replace those of the server.
func TestSubprotocolsOfOneRequest(t *testing.T) {
	r := parse(t, request("/", "Sec-WebSocket-Protocol: a, b, c"))
	s := &server.Server{Subprotocols: []string{"a"}}
	for _, tt := range []struct {
		own  []string
		want string
	}{{nil, "a"}, {[]string{"c", "b"}, "b"}, {[]string{"d"}, ""}} {
		if up, err := s.AcceptHandshake(r, tt.own...); err != nil || up.Subprotocol != tt.want {
			t.Errorf("of %q %q was chosen, %v, want %q", tt.own, up.Subprotocol, err, tt.want)
		}
	}
}

// CheckOrigin decides only about origins that are neither the server's own nor
// in Origins (6455-10.2-a).
func TestCheckOriginDecidesOnOtherOrigins(t *testing.T) {
	tests := []struct {
		origins string
		asked   bool
		status  int
	}{
		{"", false, 101},
		{"Origin: http://server.example\r\n", false, 101},
		{"Origin: https://listed.example\r\n", false, 101},
		{"Origin: https://good.example\r\n", true, 101},
		{"Origin: https://evil.example\r\n", true, 403},
		{"Origin: null\r\n", true, 403},
		{"Origin: https://good.example\r\nOrigin: https://good.example\r\n", false, 400},
		{"Origin: https://panic.example\r\n", true, 500},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		asked := make(chan string, 1)
		s := start(t, &server.Server{
			Log:     func(error) {},
			Origins: []string{"listed.example"},
			CheckOrigin: func(r *handshake.Request) bool {
				origin := r.Header.Get("Origin")
				asked <- origin
				if origin == "https://panic.example" {
					panic("on purpose")
				}
				return origin == "https://good.example"
			},
		})
		for _, tt := range tests {
			p := s.ask(t, request("/")[:len(request("/"))-2], tt.origins, "\r\n")
			if got := p.response().Status; got != tt.status || len(asked) > 0 != tt.asked {
				t.Errorf("%q: status %d, asked %d times", tt.origins, got, len(asked))
			}
			if len(asked) > 0 {
				<-asked
			}
		}
	})
}

// The request is parsed once while a caller holds it.
func TestRequestIsParsedOnce(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s, rec := recorded(t, start, &server.Server{})
		s.openAs(t, "/x?y", "X-Field: 1")
		c := rec.conn()
		r := c.Request()
		if allocs := testing.AllocsPerRun(100, func() {
			if again := c.Request(); again != r {
				t.Fatal("another Request")
			}
			if c.Header().Get("X-Field") != "1" {
				t.Fatal("another Header")
			}
		}); allocs > 0 {
			t.Errorf("%v allocations", allocs)
		}
		if r.Target != "/x?y" {
			t.Errorf("the target is %q", r.Target)
		}
	})
}
