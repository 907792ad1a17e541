package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

type failing struct {
	fail  func()
	value any // of the PanicError
}

// failings are the ways in which a function of the application does not return.
var failings = map[string]failing{
	"panic":  {func() { panic("<secret>") }, "<secret>"},
	"Goexit": {runtime.Goexit, server.ErrGoexit}, // as testing.T.FailNow
}

// A panic in a handler ends its connection with 1011, without details for the
// client, is the cause in its error, is reported once, and does not disturb
// other connections (6455-7.4-i, T-H10). So does a call of runtime.Goexit,
// which used to end the goroutine that served the connection, and on Linux the
// poller with all of its connections.
func TestPanicInAHandlerEndsItsConnectionOnly(t *testing.T) {
	var fail func()
	failed := []string{"open", "failed 1011", `close 1006 ""`}
	closes := func(h *server.Handler) { h.Close = func(*server.Conn, wire.StatusCode, string) { fail() } }
	tests := []struct {
		name   string
		set    func(h *server.Handler)
		client func(p *peer)
		want   string   // the Close that the client receives
		events []string // further calls of the handler
	}{
		{"in Open", func(h *server.Handler) { h.Open = func(*server.Conn) { fail() } },
			func(p *peer) { p.send(text("not looked at")) }, `close 1011 ""`, failed[1:]},
		{"in Message", func(h *server.Handler) { h.Message = func(*server.Conn, wire.Opcode, []byte) { fail() } },
			func(p *peer) { p.send(text("Hello"), text("not looked at")) }, `close 1011 ""`, failed},
		{"in Partial", func(h *server.Handler) { h.Partial = func(*server.Conn, wire.Opcode, []byte, bool) { fail() } },
			func(p *peer) { p.send(fragment(wire.Text, "Hel", false), text("not looked at")) }, `close 1011 ""`, failed},
		{"in Control", func(h *server.Handler) { h.Control = func(*server.Conn, wire.Opcode, []byte) { fail() } },
			func(p *peer) { p.send(frame(wire.Ping, "")); p.want(`pong ""`) }, `close 1011 ""`, failed},
		{"in Error", func(h *server.Handler) { h.Error = func(*server.Conn, error) { fail() } },
			func(p *peer) { p.send("\x83\x80") }, `close 1002 "reserved opcode"`, []string{"open", `close 1006 ""`}},
		{"in Close", closes, func(p *peer) { p.send(closing(1000, "")) }, `close 1000 ""`, []string{"open"}},
		{"in Close of a connection that is lost", closes, (*peer).endSide, "", []string{"open", "lost"}},
		{"in Serve", func(h *server.Handler) { h.Serve = func(*server.Conn) { fail() } },
			func(p *peer) { p.wantClose(`close 1011 ""`, closing(1000, "")) }, "", []string{"open", `close 1000 ""`}},
	}
	for name, how := range failings {
		t.Run(name, func(t *testing.T) {
			fail = how.fail
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
						if tt.want != "" {
							p.want(tt.want)
						}
						p.wantEnd()
						p.nc.Close()
						other.echo("Hello")
						rec.want(tt.events...)
						rec.wantNothing()
						if slices.Contains(tt.events, "failed 1011") && !isA[*server.PanicError](rec.failure()) {
							t.Errorf("Error got %v", rec.failure())
						}
						other.nc.Close()
						check.OK(t, s.Shutdown(t.Context())) // after Shutdown all panics are reported
						if p := takeOne[*server.PanicError](t, s.log); p != nil && (p.Value != how.value || !bytes.Contains(p.Stack, []byte("panic_test.go"))) {
							t.Errorf("reported %v\n%s", p.Value, p.Stack)
						}
					})
				}
			})
		})
	}
}

// A handler that panics or ends the goroutine holds no resource: its connection
// ends although the client does not end it. More of them than goroutines and
// hand-offs leave the server in its former state.
func TestHandlersThatDoNotReturnHoldNothing(t *testing.T) {
	t.Parallel()
	const clients = 40
	eachAtOnce(t, failings, func(t *testing.T, how failing) {
		eachAtOnce(t, loops, func(t *testing.T, start starter) {
			s := start(t, &server.Server{MaxBlocked: 2, Log: func(error) {}, Handlers: map[string]*server.Handler{
				"/fails": {Message: func(*server.Conn, wire.Opcode, []byte) { how.fail() }},
				"/late": {Message: func(*server.Conn, wire.Opcode, []byte) {
					time.Sleep(5 * time.Millisecond) // until another goroutine has the poller
					how.fail()
				}},
				"/echo": {Message: echo},
			}})
			for i := range clients {
				p := s.openAs(t, []string{"/fails", "/late"}[i%2])
				p.send(text("Hello"))
				p.want(`close 1011 ""`)
			}
			eventually(t, "all connections ended", func() bool { return s.Stats().Open == 0 })
			p := s.openAs(t, "/echo")
			p.echo("Hello")
			p.nc.Close()
			check.OK(t, s.Shutdown(t.Context()))
			eventually(t, "no blocked handler", func() bool { return s.Stats().Blocked == 0 })
			if n := s.Stats().Panics; n != clients {
				t.Errorf("%d panics", n)
			}
		})
	})
}

// An Authorize that does not return refuses the handshake with 500.
func TestAuthorizeThatDoesNotReturn(t *testing.T) {
	each(t, failings, func(t *testing.T, how failing) {
		eachLoop(t, func(t *testing.T, start starter) {
			s := start(t, &server.Server{Authorize: func(*handshake.Request, *handshake.ServerAnswer) error {
				how.fail()
				return nil
			}})
			p := s.ask(t, request("/"))
			checkRefused(t, p, 500)
			p.nc.Close()
			check.OK(t, s.Shutdown(t.Context()))
			if n, st := s.log.panics(how.value), s.Stats(); n != 1 || st.Panics != 1 || st.Opening != 0 {
				t.Errorf("%d panics reported, statistics %+v", n, st)
			}
		})
	})
}

// A Log that panics or ends the goroutine is reported to the standard logger,
// with the error that it was called with. It used to end the process, or the
// goroutine that accepts.
func TestLogThatDoesNotReturn(t *testing.T) {
	each(t, failings, func(t *testing.T, how failing) {
		eachLoop(t, func(t *testing.T, start starter) {
			var logged lockedBuffer
			defer log.SetOutput(log.Writer())
			log.SetOutput(&logged)
			s := start(t, &server.Server{Handler: server.Handler{Message: echo}, Log: func(error) { how.fail() }})
			refused := s.ask(t, "nonsense\r\n\r\n")
			checkRefused(t, refused, 400)
			p := s.ask(t, "GET / HT")
			p.reset()
			eventually(t, "both errors reported", func() bool { return strings.Count(logged.String(), "refused: ") == 2 })
			if got := logged.String(); strings.Count(got, fmt.Sprint(how.value)+"\n") != 2 || strings.Count(got, "panic_test.go") < 2 {
				t.Errorf("logged %s", got)
			}
			p = s.open(t)
			p.echo("Hello")
			if n := s.Stats().Panics; n != 2 {
				t.Errorf("%d panics", n)
			}
		})
	})
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex // guards the fields below
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Without a Log, the standard logger reports panics, with the stack. It does
// not report refused handshakes, which any client can cause.
func TestWithoutLogTheStandardLoggerIsTold(t *testing.T) {
	var logged bytes.Buffer // the logger writes under a lock; the test reads after the server's end
	defer log.SetOutput(log.Writer())
	log.SetOutput(&logged)
	s := &server.Server{Handler: server.Handler{Message: func(*server.Conn, wire.Opcode, []byte) { panic("on purpose") }}}
	ln := &faultyListener{newPipeListener(), []error{passingError{errors.New("too many open files")}}}
	served := begin(func() error { return s.Serve(ln) })
	for _, first := range []string{"nonsense\r\n\r\n", request("/") + text("Hello")} {
		nc, err := ln.dial()
		check.Must(t, err)
		p := newPeer(t, nc)
		p.meanwhile(func(p *peer) { p.trySend(first) })
		check.OK(t, check.Err(p.rest()))
	}
	check.OK(t, s.Shutdown(t.Context()))
	<-served
	got := logged.String()
	for _, want := range []string{"too many open files", "websocket: panic in a function of the application: on purpose\n", "panic_test.go"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if strings.Contains(got, "refused") {
		t.Errorf("logged %q", got)
	}
}
