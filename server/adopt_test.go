package server_test

import (
	"net"
	"strings"
	"testing"
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

// eachOurs runs test with a source of connections of each kind.
func eachOurs(t *testing.T, test func(t *testing.T, connect func() (ours net.Conn, p *peer))) {
	each(t, ours, func(t *testing.T, wrap func(net.Conn) net.Conn) {
		ln := listenTCP(t)
		defer ln.Close()
		test(t, func() (net.Conn, *peer) {
			t.Helper()
			theirs, err := net.Dial("tcp", ln.Addr().String())
			check.Must(t, err)
			nc, err := ln.Accept()
			check.Must(t, err)
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
			p.send(closing(1000, ""))
			p.want(`close 1000 ""`)
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
		p.send(closing(1000, ""))
		p.want(`close 1000 ""`)
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
		if n := s.Stats().Timeouts.Pong; n != 2 {
			t.Errorf("%d timeouts", n)
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
