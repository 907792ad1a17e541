package server_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// ours maps a kind of net.Conn to its constructor. The kind selects the loop.
var ours = map[string]func(net.Conn) net.Conn{
	"TCP":     func(nc net.Conn) net.Conn { return nc },
	"wrapped": func(nc net.Conn) net.Conn { return struct{ net.Conn }{nc} },
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (ours *net.TCPConn, theirs net.Conn) {
	t.Helper()
	ln := listenTCP(t)
	defer ln.Close()
	theirs, err := net.Dial("tcp", ln.Addr().String())
	check.Must(t, err)
	nc, err := ln.Accept()
	check.Must(t, err)
	return nc.(*net.TCPConn), theirs
}

// eachOurs runs test with a source of connections of each kind.
func eachOurs(t *testing.T, test func(t *testing.T, connect func() (ours net.Conn, p *peer))) {
	each(t, ours, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		test(t, func() (net.Conn, *peer) {
			t.Helper()
			nc, theirs := tcpPair(t)
			return wrap(nc), newPeer(t, theirs)
		})
	})
}

// shutdown ends s and checks that no connection is left.
func shutdown(t *testing.T, s *server.Server) {
	t.Helper()
	check.OK(t, s.Shutdown(t.Context()))
	if st := s.Stats(); st.Opening+st.Open != 0 {
		t.Errorf("after Shutdown there are %d and %d connections", st.Opening, st.Open)
	}
}

const switching = "HTTP/1.1 101 Switching Protocols\r\n\r\n"

// Bytes read with the request by another party are the beginning of the frames
// (6455-4.2.2-m). The application can read the handshake and the client's
// address of an adopted connection from Open on. Run does the same.
func TestAdoptedConnection(t *testing.T) {
	t.Parallel()
	all := text("Hello") + frame(wire.Ping, "?") + closing(4000, "bye")
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		for cut := range 2 * (len(all) + 1) {
			runs, cut := cut%2 == 1, cut/2
			rec := newRecorder(t)
			h := rec.handler()
			h.Message = echo
			h.Open = func(c *server.Conn) {
				rec.note("%v %s %s %s", c.Value(), c.Path(), c.Query(), c.Subprotocol())
			}
			s := &server.Server{Handler: h}
			nc, p := connect()
			up := server.Handshake{
				Request:     &handshake.Request{Method: "GET", Target: "/x?y", Proto: "HTTP/1.1"},
				Subprotocol: "chat",
				Response:    []byte(switching),
				Buffered:    []byte(all[:cut]),
				Value:       "somebody",
			}
			var ran <-chan error
			if runs {
				ran = begin(func() error { return s.Run(nc, up) })
			} else {
				s.Adopt(nc, up)
			}
			p.send(all[cut:])
			p.response()
			p.want(`text "Hello"`, `pong "?"`, `close 4000 ""`)
			p.wantEnd()
			rec.want("somebody /x y chat", `close 4000 "bye"`)
			if p.nc.Close(); runs {
				check.OK(t, result(t, ran))
			}
			shutdown(t, s)
		}
	})
}

// Adopt returns while the handler blocks. Run does not.
func TestAdoptReturnsWhileTheHandlerBlocks(t *testing.T) {
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		opened, release := make(chan struct{}), make(chan struct{})
		s := &server.Server{Handler: server.Handler{Message: echo, Open: func(*server.Conn) {
			opened <- struct{}{}
			<-release
		}}}
		adopted, p := connect()
		s.Adopt(adopted, server.Handshake{})
		result(t, opened)
		kept, other := connect()
		returned := begin(func() error { return s.Run(kept, server.Handshake{}) })
		result(t, opened)
		close(release)
		for _, p := range []*peer{p, other} {
			p.echo("Hello")
		}
		select {
		case err := <-returned:
			t.Errorf("Run has returned %v", err)
		default:
		}
		for _, p := range []*peer{p, other} {
			p.close(1000)
		}
		check.OKf(t, result(t, returned), "Run")
		shutdown(t, s)
	})
}

// Handler.Serve receives messages that were read before the connection was
// adopted, more of them than the mailbox holds.
func TestAdoptedConnectionIsServed(t *testing.T) {
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		s := &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) {
			for m := range c.Messages(t.Context()) {
				c.Send(m.Opcode, m.Payload)
			}
		}}}
		nc, p := connect()
		s.Adopt(nc, server.Handshake{Response: []byte(switching), Buffered: []byte(strings.Repeat(text("Hello"), 100))})
		p.response()
		for range 100 {
			p.want(`text "Hello"`)
		}
		p.close(1000)
		shutdown(t, s)
	})
}

// A server without a listener enforces the timeouts of its connections
// (6455-5.5.2-c).
func TestAdoptedConnectionHasItsTimeLimits(t *testing.T) {
	t.Parallel()
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		rec := newRecorder(t)
		s := &server.Server{Handler: rec.handler(), PingInterval: 50 * time.Millisecond, PongTimeout: 50 * time.Millisecond}
		for range 2 { // the second connection restarts the sweeper
			nc, p := connect()
			s.Adopt(nc, server.Handshake{})
			if f, err := p.next(); err != nil || f.Opcode != wire.Ping {
				t.Fatalf("%s, %v, want a Ping", show(f), err)
			}
			p.rest()
			rec.want("open", "lost", `close 1006 ""`)
		}
		if st := s.Stats(); st.Timeouts != (server.Timeouts{Pong: 2}) || st.Ended != (server.Ended{Lost: 2}) || st.Sent.Pings < 2 { // more if the client's kernel was late to acknowledge one
			t.Errorf("%+v", st)
		}
		shutdown(t, s)
	})
}

// Shutdown ends connections adopted before it, and refuses those adopted after
// it (6455-7.3-a).
func TestShutdownEndsAdoptedConnections(t *testing.T) {
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		rec := newRecorder(t)
		s := &server.Server{Handler: rec.handler()}
		nc, p := connect()
		s.Adopt(nc, server.Handshake{Response: []byte(switching)})
		p.response()
		rec.conn()
		p.meanwhile(func(p *peer) {
			if f, err := p.next(); err != nil || show(f) != `close 1001 ""` {
				t.Errorf("%s, %v", show(f), err)
			}
			p.trySend(closing(1001, ""))
		})
		shutdown(t, s)
		rec.want("open", `close 1001 ""`)

		nc, late := connect()
		s.Adopt(nc, server.Handshake{Response: []byte(switching)})
		late.response()
		late.wantClose(`close 1001 ""`, closing(1001, ""))
		rec.want("open", `close 1001 ""`)
		shutdown(t, s)
	})
}

// Shutdown waits for every connection for which Adopt has returned.
func TestShutdownRightAfterAdopt(t *testing.T) {
	t.Parallel()
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		for range 20 {
			rec := newRecorder(t)
			s := &server.Server{Handler: rec.handler()}
			nc, p := connect()
			s.Adopt(nc, server.Handshake{Buffered: []byte(closing(1000, ""))})
			rest := begin(func() error {
				defer p.nc.Close()
				return check.Err(p.rest())
			})
			shutdown(t, s)
			check.OK(t, <-rest)
			select {
			case <-rec.conns:
			default:
				t.Fatal("it did not open")
			}
		}
	})
}

// A panic in Open ends the adopted connection only. Neither the caller of Adopt
// nor other connections notice.
func TestPanicInOpenOfAnAdoptedConnection(t *testing.T) {
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		var log reports
		s := &server.Server{Log: log.add, Handler: server.Handler{Message: echo, Open: func(c *server.Conn) {
			if c.Value() == "panic" {
				panic("on purpose")
			}
		}}}
		nc, other := connect()
		s.Adopt(nc, server.Handshake{})
		nc, p := connect()
		s.Adopt(nc, server.Handshake{Response: []byte(switching), Value: "panic"})
		p.response()
		p.want(`close 1011 ""`)
		p.nc.Close()
		other.send(text("Hello"), closing(1000, ""))
		other.want(`text "Hello"`, `close 1000 ""`)
		shutdown(t, s)
		takeOne[*server.PanicError](t, &log)
	})
}

// A client that has disconnected before its handshake is answered leaves no
// connection.
func TestAdoptedConnectionOfADisconnectedClient(t *testing.T) {
	eachOurs(t, func(t *testing.T, connect func() (net.Conn, *peer)) {
		rec := newRecorder(t)
		s := &server.Server{Handler: rec.handler(), Log: func(error) {}}
		for range 20 {
			nc, p := connect()
			p.reset()
			s.Adopt(nc, server.Handshake{Response: []byte(switching)})
		}
		eventually(t, "all connections ended", func() bool {
			st := s.Stats()
			return st.Opening+st.Open == 0 && st.Unfinished+st.Ended.Lost == 20
		})
		shutdown(t, s)
	})
}

// Without a request in the Handshake of Run, the connection has none.
func TestRunWithoutARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		h := rec.handler()
		p, _ := run(t, &server.Server{Handlers: map[string]*server.Handler{"/a": &h}, Handler: h}, server.Handshake{})
		c := rec.conn()
		if c.Request() != nil || c.Path() != "" || c.Query() != "" || c.Header() != nil || c.Subprotocol() != "" {
			t.Errorf("%v %q %q %v %q", c.Request(), c.Path(), c.Query(), c.Header(), c.Subprotocol())
		}
		p.close(1000)
	})
}

// The request of a Handshake is available, also if it cannot be written as the
// head of a request.
func TestRequestOfAHandshake(t *testing.T) {
	for _, name := range []string{"X-Field", "X Field"} {
		check.Bubble(t, name, func(t *testing.T) {
			rec := newRecorder(t)
			given := &handshake.Request{Method: "GET", Target: "/a?b", Proto: "HTTP/1.1", Header: handshake.Header{{Name: name, Value: "1"}}}
			p, _ := run(t, &server.Server{Handler: rec.handler()}, server.Handshake{Request: given, Subprotocol: "chat"})
			c := rec.conn()
			got := c.Request()
			if got == nil || got.Method != given.Method || got.Target != given.Target || got.Proto != given.Proto || !slices.Equal(got.Header, given.Header) {
				t.Errorf("got %+v, want %+v", got, given)
			}
			if c.Path() != "/a" || c.Query() != "b" || c.Header().Get(name) != "1" || c.Subprotocol() != "chat" {
				t.Errorf("%q %q %v %q", c.Path(), c.Query(), c.Header(), c.Subprotocol())
			}
			p.close(1000)
		})
	}
}

// Run returns nil after a closing handshake, otherwise the reason of the end.
func TestRunReturnsHowTheConnectionEnded(t *testing.T) {
	tests := []struct {
		name   string
		client func(p *peer)
		is     func(error) bool
	}{
		{"the client's Close", func(p *peer) { p.send(closing(4000, "")); p.next() }, func(err error) bool { return err == nil }},
		{"the server's Close", func(p *peer) { p.send(text("close")); p.next(); p.send(closing(1000, "")) }, func(err error) bool { return err == nil }},
		{"CloseNow", func(p *peer) { p.send(text("cut")) }, func(err error) bool { return err == server.ErrClosed }},
		{"a faulty frame", func(p *peer) { p.send("\x83\x80"); p.next() }, isA[*server.FailError]},
		{"the end of the transport", func(p *peer) { p.nc.Close() }, func(err error) bool { return isA[*server.LostError](err) && errors.Is(err, io.EOF) }},
	}
	for _, tt := range tests {
		check.Bubble(t, tt.name, func(t *testing.T) {
			p, returned := run(t, &server.Server{Handler: server.Handler{Message: func(c *server.Conn, _ wire.Opcode, p []byte) {
				if string(p) == "close" {
					c.Close(1000, "")
				} else {
					c.CloseNow()
				}
			}}}, server.Handshake{})
			tt.client(p)
			if err := result(t, returned); !tt.is(err) {
				t.Errorf("Run returned %v", err)
			}
		})
	}
}

// A 101 response that cannot be written is the reason of the end.
func TestRunReturnsThatTheResponseCouldNotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log reports
		rec := newRecorder(t)
		s := &server.Server{Handler: rec.handler(), Log: log.add}
		ours, theirs := net.Pipe()
		theirs.Close()
		err := s.Run(ours, server.Handshake{Response: []byte("HTTP/1.1 101 Switching Protocols\r\n\r\n")})
		if !isA[*server.LostError](err) || !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Run returned %v", err)
		}
		if refused := takeOne[*server.RefusedError](t, &log); refused != nil && !errors.Is(refused, io.ErrClosedPipe) {
			t.Errorf("reported %v", refused)
		}
		rec.wantNothing()
		check.OK(t, s.Shutdown(t.Context()))
	})
}

// parse returns a request that another party has read.
func parse(t *testing.T, raw string) *handshake.Request {
	t.Helper()
	var parser handshake.RequestParser
	r, _, err := parser.Parse([]byte(raw))
	check.Must(t, err)
	return r
}

// wantRefusal checks that AcceptHandshake has refused with a status.
func wantRefusal(t *testing.T, what string, _ server.Handshake, err error, status int) {
	var refused *handshake.Error
	if !errors.As(err, &refused) || refused.Status != status {
		t.Helper()
		t.Errorf("%s: %v, want status %d", what, err, status)
	}
}

// Upgrade answers a handshake whose request another party has read.
func TestUpgradeDecidesOnARequest(t *testing.T) {
	s := &server.Server{Handler: server.Handler{Message: echo}, Subprotocols: []string{"chat"}, Log: func(error) {}}
	refused := func(what string, r *handshake.Request, status int) {
		t.Helper()
		up, err := s.AcceptHandshake(r)
		wantRefusal(t, what, up, err, status)
	}
	r := parse(t, request("/x", "Sec-WebSocket-Protocol: chat"))
	up, err := s.AcceptHandshake(r)
	if err != nil || up.Request != r || up.Subprotocol != "chat" || up.Buffered != nil ||
		!strings.HasPrefix(string(up.Response), "HTTP/1.1 101 ") || !strings.Contains(string(up.Response), sampleAccept) {
		t.Errorf("%+v, %v", up, err)
	}
	refused("PUT", parse(t, strings.Replace(request("/"), "GET", "PUT", 1)), 405)
	s.Authorize = func(*handshake.Request, *handshake.ServerAnswer) error { panic("on purpose") }
	refused("a panic in Authorize", r, 500)
	check.OK(t, s.Shutdown(t.Context()))
	refused("after Shutdown", r, 503)
}
