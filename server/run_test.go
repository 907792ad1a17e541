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

// A transport that writes a few bytes at a time loses none (T-G11).
func TestTransportThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := &server.Server{Handler: server.Handler{Message: echo}}
		done := begin(func() error { return s.Run(ours, server.Handshake{}) })
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
