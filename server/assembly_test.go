package server_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// wantLate checks that a connection was failed because of an incomplete
// message, and that the error names the option.
func wantLate(t *testing.T, err error) {
	t.Helper()
	var failed *server.FailError
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &failed) || failed.Code != wire.PolicyViolation || !errors.As(err, &timeout) || !timeout.Timeout() ||
		!strings.HasSuffix(err.Error(), "(AssemblyTimeout)") {
		t.Errorf("ended with %v, want a failure by AssemblyTimeout", err)
	}
}

const lateClose = `close 1008 "message not complete in time"`

// A client that starts a message and does not finish it is closed, at any point
// of the message (T-C15, profiles 1, 5 and 10), although all of its bytes count
// as activity.
func TestUnfinishedMessageEndsTheConnection(t *testing.T) {
	silent := func(*peer) {}
	each := func(every time.Duration, next func(i int) string) func(p *peer) {
		return func(p *peer) {
			for i := 0; p.trySend(next(i)) == nil; i++ {
				time.Sleep(every)
			}
		}
	}
	long := declaring(wire.Binary, 1000, true)
	tests := []struct {
		name, sends string
		then        func(p *peer)
	}{
		{"half a header", long[:1], silent},
		{"half an extended length", long[:3], silent},
		{"half a masking-key", long[:6], silent},
		{"a header", long, silent},
		{"half a payload", frame(wire.Binary, strings.Repeat("a", 1000))[:500], silent},
		{"a fragment", fragment(wire.Text, "Hel", false), silent},
		{"an empty fragment", fragment(wire.Text, "", false), silent},
		{"half a Ping", frame(wire.Ping, "Hello")[:8], silent},
		{"half a Ping in a message", fragment(wire.Text, "Hel", false) + frame(wire.Ping, "Hello")[:8], silent},
		{"half a message behind a whole one", text("Hello") + long, silent},
		{"a byte each second", long, each(time.Second, func(int) string { return "a" })},
		{"a fragment each second", fragment(wire.Text, "", false), each(time.Second, func(int) string { return fragment(wire.Continuation, "a", false) })},
		{"a Pong each second", fragment(wire.Text, "", false), each(time.Second, func(int) string { return frame(wire.Pong, "") })},
	}
	partial := server.Handler{Partial: func(*server.Conn, wire.Opcode, []byte, bool) {}}
	for _, tt := range tests {
		for style, h := range map[string]server.Handler{"whole": {}, "partial": partial} {
			check.Bubble(t, tt.name+", "+style, func(t *testing.T) {
				rec := newRecorder(t)
				h.Open, h.Error, h.Close = rec.open, rec.error, rec.closed
				s := served(t, &server.Server{Handler: h, AssemblyTimeout: 8 * time.Second, PingInterval: -1})
				p := s.open(t)
				p.send(tt.sends)
				p.meanwhile(tt.then)
				timed(t, "failed", 8*time.Second, func() { p.want(lateClose) })
				p.wantEnd()
				rec.want("open", "failed 1008", `close 1006 ""`)
				wantLate(t, rec.failure())
				if st := s.Stats(); st.Timeouts.Assembly != 1 || st.Ended.Failed != 1 {
					t.Errorf("%+v", st)
				}
			})
		}
	}
}

// A message that makes progress is received, however long it takes as a whole.
func TestSlowMessageThatMakesProgressIsReceived(t *testing.T) {
	const size, timeout = 1 << 20, 30 * time.Second
	forms := map[string][]string{
		"one frame": {frame(wire.Binary, strings.Repeat("a", size))},
		"fragments": {fragment(wire.Binary, strings.Repeat("a", size/2), false), frame(wire.Ping, ""), fragment(wire.Continuation, strings.Repeat("a", size/2), true)},
	}
	open := func(t *testing.T) (*recorder, *peer) {
		rec := newRecorder(t)
		return rec, served(t, &server.Server{Handler: rec.handler(), PingInterval: -1, IdleTimeout: 2 * timeout}).open(t)
	}
	for name, frames := range forms {
		all := strings.Join(frames, "")
		check.Bubble(t, name, func(t *testing.T) {
			rec, p := open(t)
			p.meanwhile(func(p *peer) { p.rest() })
			for rest := all; len(rest) > 0; time.Sleep(timeout / 10) {
				n := min(len(rest), 8<<10)
				p.send(rest[:n])
				rest = rest[n:]
			}
			rec.want("open", "binary 1048576 bytes")
		})
		check.Bubble(t, name+" that stops", func(t *testing.T) {
			rec, p := open(t)
			p.send(declaring(wire.Binary, size, true))
			for range 10 {
				time.Sleep(timeout * 3 / 4)
				p.send(strings.Repeat("a", 64<<10))
			}
			timed(t, "failed", timeout, func() { p.want(lateClose) })
			rec.want("open", "failed 1008")
		})
	}
}

// AssemblyTimeout limits one message. A stream in which every read ends in the
// middle of the next message does not exceed it.
func TestOverlappingMessagesAreInTime(t *testing.T) {
	streams := map[string]string{
		"texts":            text("Hello"),
		"Pongs":            frame(wire.Pong, "Hello"),
		"texts and Pongs":  text("Hello") + frame(wire.Pong, "Hello"),
		"fragmented texts": fragment(wire.Text, "Hel", false) + fragment(wire.Continuation, "lo", true),
	}
	eachBubble(t, streams, func(t *testing.T, stream string) {
		p := served(t, &server.Server{AssemblyTimeout: 8 * time.Second, PingInterval: -1}).open(t)
		const cut = 8
		p.send(stream[:cut])
		for range 20 {
			time.Sleep(5 * time.Second)
			p.send(stream[cut:] + stream[:cut])
		}
		p.send(stream[cut:] + closing(1000, ""))
		p.want(`close 1000 ""`)
	})
}

// AssemblyTimeout does not run while the application is busy.
func TestMessageThatWaitsForTheProgramIsInTime(t *testing.T) {
	halves := [2]string{fragment(wire.Text, "Hel", false), fragment(wire.Continuation, "lo", true)}
	check.Bubble(t, "for a handler", func(t *testing.T) {
		rec := newRecorder(t)
		h := rec.handler()
		h.Message = nil
		h.Partial = func(c *server.Conn, op wire.Opcode, p []byte, final bool) {
			time.Sleep(20 * time.Second)
			rec.partial(c, op, p, final)
		}
		p := served(t, &server.Server{Handler: h, AssemblyTimeout: 8 * time.Second}).open(t)
		p.send(halves[0])
		p.meanwhile(func(p *peer) { p.trySend(halves[1]) })
		rec.want("open", `partial text "Hel" +`, `partial text "lo" .`)
	})
	check.Bubble(t, "for Serve", func(t *testing.T) {
		rec := newRecorder(t)
		h := rec.handler()
		h.Serve = func(c *server.Conn) {
			for range 3 {
				time.Sleep(20 * time.Second)
				m, err := c.Receive(t.Context())
				rec.note("%q %v", m.Text(), err)
			}
		}
		p := served(t, &server.Server{Handler: h, AssemblyTimeout: 8 * time.Second}).open(t)
		p.send(text("a") + text("b") + halves[0])
		p.meanwhile(func(p *peer) { p.trySend(halves[1]) })
		rec.want("open", `"a" <nil>`, `"b" <nil>`, `"Hello" <nil>`)
	})
}

// A message that stays incomplete ends the connection and its Receive, also if
// the client does not react, or continues to send (T-C15).
func TestUnfinishedMessageEndsTheConnectionOverSockets(t *testing.T) {
	t.Parallel()
	clients := map[string]func(p *peer){
		"one that answers":  func(p *peer) { p.send(closing(1008, "")); p.nc.Close() },
		"one that hangs up": func(p *peer) { p.nc.Close() },
		"a silent one":      func(*peer) {},
		"one that continues to send": func(p *peer) {
			p.meanwhile(func(p *peer) {
				for p.trySend("a") == nil {
					time.Sleep(time.Millisecond)
				}
			})
		},
	}
	eachAtOnce(t, clients, func(t *testing.T, client func(p *peer)) {
		eachAtOnce(t, map[string]bool{"handler": false, "Serve": true}, func(t *testing.T, serve bool) {
			eachAtOnce(t, loops, func(t *testing.T, start starter) {
				rec := newRecorder(t)
				h := rec.handler()
				ended := make(chan error, 1)
				if serve {
					h.Serve = func(c *server.Conn) {
						_, err := c.Receive(t.Context())
						ended <- err
					}
				}
				s := start(t, &server.Server{Handler: h, AssemblyTimeout: 40 * time.Millisecond})
				p := s.open(t)
				p.send(declaring(wire.Text, 1<<20, true))
				p.want(lateClose)
				client(p)
				rec.want("open", "failed 1008", `close 1006 ""`)
				wantLate(t, rec.failure())
				if serve {
					wantLate(t, result(t, ended))
				}
			})
		})
	})
}
