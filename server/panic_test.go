package server_test

import (
	"bytes"
	"errors"
	"log"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A panic in a handler ends its connection with 1011, tells the client nothing
// more, is reported once, and does not disturb the others (6455-7.4-i, T-H10).
func TestPanicInAHandlerEndsItsConnectionOnly(t *testing.T) {
	tests := []struct {
		name   string
		set    func(h *server.Handler)
		client func(p *peer)
		want   string   // what the client gets
		events []string // what the handler is told besides
	}{
		{
			name:   "in Open",
			set:    func(h *server.Handler) { h.Open = func(*server.Conn) { panic("<secret>") } },
			client: func(p *peer) { p.send(text("not looked at")) },
			want:   `close 1011 ""`,
			events: []string{"failed 1011", `close 1006 ""`},
		},
		{
			name:   "in Message",
			set:    func(h *server.Handler) { h.Message = func(*server.Conn, wire.Opcode, []byte) { panic("<secret>") } },
			client: func(p *peer) { p.send(text("Hello"), text("not looked at")) },
			want:   `close 1011 ""`,
			events: []string{"open", "failed 1011", `close 1006 ""`},
		},
		{
			name: "in Partial",
			set: func(h *server.Handler) {
				h.Partial = func(*server.Conn, wire.Opcode, []byte, bool) { panic("<secret>") }
			},
			client: func(p *peer) { p.send(fragment(wire.Text, "Hel", false), text("not looked at")) },
			want:   `close 1011 ""`,
			events: []string{"open", "failed 1011", `close 1006 ""`},
		},
		{
			name:   "in Error",
			set:    func(h *server.Handler) { h.Error = func(*server.Conn, error) { panic("<secret>") } },
			client: func(p *peer) { p.send("\x83\x80") },
			want:   `close 1002 "reserved opcode"`,
			events: []string{"open", `close 1006 ""`},
		},
		{
			name:   "in Close",
			set:    func(h *server.Handler) { h.Close = func(*server.Conn, wire.StatusCode, string) { panic("<secret>") } },
			client: func(p *peer) { p.send(closing(1000, "")) },
			want:   `close 1000 ""`,
			events: []string{"open"},
		},
	}
	eachLoop(t, func(t *testing.T, start starter) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				rec := newRecorder(t)
				h := rec.handler()
				tt.set(&h)
				s := start(t, &server.Server{Handler: h, Handlers: map[string]*server.Handler{"/other": {Message: echo}}})
				other := s.openAs(t, "/other")
				p := s.open(t)
				tt.client(p)
				p.want(tt.want)
				p.wantEnd()
				p.nc.Close()
				other.send(text("Hello"))
				other.want(`text "Hello"`)
				rec.want(tt.events...)
				rec.wantNothing()
				other.nc.Close()
				if err := s.Shutdown(t.Context()); err != nil { // then all that can be reported is
					t.Error(err)
				}
				if p := takeOne[*server.PanicError](t, s.log); p != nil && (p.Value != "<secret>" || !bytes.Contains(p.Stack, []byte("panic_test.go"))) {
					t.Errorf("reported %v\n%s", p.Value, p.Stack)
				}
			})
		}
	})
}

// The program learns from the error that it was its own fault.
func TestPanicIsTheCauseOfTheFailure(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		h := rec.handler()
		h.Message = func(*server.Conn, wire.Opcode, []byte) { panic("on purpose") }
		s := start(t, &server.Server{Handler: h, Log: func(error) {}})
		s.open(t).send(text("Hello"))
		rec.want("open", "failed 1011", `close 1006 ""`)
		if err := rec.failure(); !isA[*server.PanicError](err) {
			t.Errorf("Error was told %v", err)
		}
	})
}

// Without a Log it is the standard logger that is told of panics, with the stack;
// of refused handshakes, which anybody can cause, it is not.
func TestWithoutLogTheStandardLoggerIsTold(t *testing.T) {
	var logged bytes.Buffer // the logger writes to it under a lock; it is read when the server has ended
	defer log.SetOutput(log.Writer())
	log.SetOutput(&logged)
	s := &server.Server{Handler: server.Handler{Message: func(*server.Conn, wire.Opcode, []byte) { panic("on purpose") }}}
	ln := &faultyListener{newPipeListener(), []error{passingError{errors.New("too many open files")}}}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	for _, first := range []string{"nonsense\r\n\r\n", request("/") + text("Hello")} {
		nc, err := ln.dial()
		if err != nil {
			t.Fatal(err)
		}
		p := newPeer(t, nc)
		p.meanwhile(func(p *peer) { p.trySend(first) })
		if _, err := p.rest(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-served
	got := logged.String()
	for _, want := range []string{"too many open files", "websocket: panic in a handler: on purpose\n", "panic_test.go"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if strings.Contains(got, "refused") {
		t.Errorf("logged %q", got)
	}
}
