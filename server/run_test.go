package server_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Bytes read with the request by another party are the beginning of the frames
// (6455-4.2.2-m). The application can read the Handshake that Run receives.
func TestRunTakesAConnectionOver(t *testing.T) {
	all := text("Hello") + frame(wire.Ping, "?") + closing(4000, "bye")
	for cut := range len(all) + 1 {
		synctest.Test(t, func(t *testing.T) {
			rec := newRecorder(t)
			h := rec.handler()
			h.Message = echo
			p, returned := run(t, &server.Server{Handler: h}, server.Handshake{
				Request:     &handshake.Request{Method: "GET", Target: "/x?y", Proto: "HTTP/1.1"},
				Subprotocol: "chat",
				Response:    []byte("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
				Buffered:    []byte(all[:cut]),
			})
			p.meanwhile(func(p *peer) { p.trySend(all[cut:]) })
			p.response()
			p.want(`text "Hello"`, `pong "?"`, `close 4000 ""`)
			p.wantEnd()
			check.OKf(t, result(t, returned), "Run")
			rec.want("open", `close 4000 "bye"`)
			if c := rec.conn(); c.Path() != "/x" || c.Query() != "y" || c.Subprotocol() != "chat" {
				t.Errorf("%q %q %q", c.Path(), c.Query(), c.Subprotocol())
			}
		})
	}
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
		p.send(closing(1000, ""))
		p.want(`close 1000 ""`)
	})
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

// Upgrade answers a handshake whose request another party has read.
func TestUpgradeDecidesOnARequest(t *testing.T) {
	s := &server.Server{Handler: server.Handler{Message: echo}, Subprotocols: []string{"chat"}, Log: func(error) {}}
	parse := func(raw string) *handshake.Request {
		t.Helper()
		var parser handshake.RequestParser
		r, _, err := parser.Parse([]byte(raw))
		check.Must(t, err)
		return r
	}
	r := parse(request("/x", "Sec-WebSocket-Protocol: chat"))
	up, err := s.AcceptHandshake(r)
	if err != nil || up.Request != r || up.Subprotocol != "chat" || up.Buffered != nil ||
		!strings.HasPrefix(string(up.Response), "HTTP/1.1 101 ") || !strings.Contains(string(up.Response), sampleAccept) {
		t.Errorf("%+v, %v", up, err)
	}
	var refused *handshake.Error
	if _, err := s.AcceptHandshake(parse(strings.Replace(request("/"), "GET", "PUT", 1))); !errors.As(err, &refused) || refused.Status != 405 {
		t.Errorf("PUT: %v", err)
	}
	s.Authorize = func(*handshake.Request, *handshake.ServerAnswer) error { panic("on purpose") }
	if _, err := s.AcceptHandshake(r); !errors.As(err, &refused) || refused.Status != 500 {
		t.Errorf("a panic in Authorize: %v", err)
	}
	check.OK(t, s.Shutdown(t.Context()))
	if _, err := s.AcceptHandshake(r); !errors.As(err, &refused) || refused.Status != 503 {
		t.Errorf("after Shutdown: %v", err)
	}
}

// A transport that writes a few bytes at a time loses none (T-G11).
func TestTransportThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := &server.Server{Handler: server.Handler{Message: echo}}
		done := make(chan error, 1)
		go func() { done <- s.Run(ours, server.Handshake{}) }()
		go func() {
			all := text(strings.Repeat("a", 1000)) + closing(1000, "")
			for i := range len(all) {
				time.Sleep(time.Millisecond)
				io.WriteString(theirs, all[i:i+1])
			}
		}()
		var got []byte
		for b := make([]byte, 1); ; got = append(got, b[0]) {
			if _, err := theirs.Read(b); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		f, n, err := wire.DecodeFrame(got)
		if err != nil || len(f.Payload) != 1000 || string(got[n:]) != "\x88\x02\x03\xe8" {
			t.Errorf("%s, then % x, %v", show(f), got[n:], err)
		}
		check.OKf(t, <-done, "Run")
	})
}
