package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// endSide shuts down the client's side of the connection. The client still
// reads.
func (p *peer) endSide() {
	p.t.Helper()
	if err := p.nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// A client that sends its messages, ends its side of TCP without a Close and
// waits for the answers receives all of them, by every way to send, and then
// the end. The connection ends with 1006. With Handler.Serve the client used to
// receive none (coder/websocket#507, kubernetes/kubernetes#89899).
func TestHalfClosedClientIsAnswered(t *testing.T) {
	t.Parallel()
	const messages = 7 // more than Serve's mailbox holds
	half := make(chan struct{}, 1)
	large := strings.Repeat("x", 300<<10)
	styles := map[string]struct {
		answer string // to each message; empty: an echo
		set    func(h *server.Handler, answer func(c *server.Conn, p string))
	}{
		"Message": {set: func(h *server.Handler, answer func(*server.Conn, string)) {
			h.Message = func(c *server.Conn, _ wire.Opcode, p []byte) { answer(c, string(p)) }
		}},
		"Message, after the end": {set: func(h *server.Handler, answer func(*server.Conn, string)) {
			var wait sync.Once
			h.Message = func(c *server.Conn, _ wire.Opcode, p []byte) {
				wait.Do(func() { <-half })
				answer(c, string(p))
			}
		}},
		"Message, more than the system takes": {answer: large, set: func(h *server.Handler, answer func(*server.Conn, string)) {
			h.Message = func(c *server.Conn, _ wire.Opcode, p []byte) { answer(c, string(p)) }
		}},
		"Serve, after the end": {set: func(h *server.Handler, answer func(*server.Conn, string)) {
			h.Serve = func(c *server.Conn) {
				var wait sync.Once
				for m, err := range c.Messages(t.Context()) {
					if err == nil {
						wait.Do(func() { <-half })
						answer(c, m.Text())
					}
				}
			}
		}},
		"Serve, more than the system takes": {answer: large, set: func(h *server.Handler, answer func(*server.Conn, string)) {
			h.Serve = func(c *server.Conn) {
				for m, err := range c.Messages(t.Context()) {
					if err == nil {
						answer(c, m.Text())
					}
				}
			}
		}},
	}
	for loop, start := range withTLS(loops) {
		for name, style := range styles {
			t.Run(loop+"/"+name, func(t *testing.T) {
				rec := newRecorder(t)
				h := server.Handler{Error: rec.error, Close: rec.closed}
				style.set(&h, func(c *server.Conn, p string) {
					if style.answer != "" {
						p = style.answer
					}
					check.OK(t, c.SendText(p))
				})
				p := start(t, &server.Server{Handler: h, MaxBacklog: 8 << 20}).open(t)
				var want []string
				for i := range messages {
					p.send(text(fmt.Sprint(i)))
					if style.answer != "" {
						want = append(want, fmt.Sprintf("text %d bytes", len(style.answer)))
					} else {
						want = append(want, fmt.Sprintf("text %q", fmt.Sprint(i)))
					}
				}
				p.endSide()
				select {
				case half <- struct{}{}:
				default:
				}
				p.want(want...)
				p.wantEnd()
				rec.want("lost", `close 1006 ""`)
				select {
				case <-half:
				default:
				}
			})
		}
	}
}

// An answer sent by successive calls of Handler.Writable reaches a half-closed
// client to its end.
func TestHalfClosedClientIsSentAStream(t *testing.T) {
	t.Parallel()
	const parts, size = 5, 400 << 10
	each(t, withTLS(loops), func(t *testing.T, start starter) {
		rec := newRecorder(t)
		left := parts
		send := func(c *server.Conn) {
			for left > 0 {
				left--
				check.OK(t, c.Send(wire.Binary, make([]byte, size)))
				if c.Buffered() > 0 {
					return
				}
			}
		}
		p := start(t, &server.Server{Handler: server.Handler{
			Message:  func(c *server.Conn, _ wire.Opcode, _ []byte) { send(c) },
			Writable: send,
			Error:    rec.error,
			Close:    rec.closed,
		}}).open(t)
		p.send(text("all of it"))
		p.endSide()
		for range parts {
			p.want(fmt.Sprintf("binary %d bytes", size))
		}
		p.wantEnd()
		rec.want("lost", `close 1006 ""`)
	})
}

// Messages that a client has sent before it ended its side are received, also
// those that wait for Serve. The connection ends when Serve returns.
func TestServeThatReturnsEndsAHalfClosedConnection(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		half := make(chan struct{})
		p, returned := fiber(t, start, rec, func(c *server.Conn) {
			check.OK(t, check.Err(c.Receive(t.Context())))
			<-half
		})
		p.send(text("one"), text("two"), text("three"), text("four"))
		p.endSide()
		close(half)
		result(t, returned)
		p.want(`close 1000 ""`)
		p.wantEnd()
		rec.want("open", "lost", `close 1006 ""`)
	})
}

// A half-closed client to which no answer is sent is aborted by PongTimeout: it
// answers no heartbeat.
func TestHalfClosedClientTimesOut(t *testing.T) {
	t.Parallel()
	eachLoop(t, func(t *testing.T, start starter) {
		rec := newRecorder(t)
		h := rec.handler()
		h.Message = nil
		h.Serve = func(c *server.Conn) {
			check.OK(t, check.Err(c.Receive(t.Context())))
			<-t.Context().Done() // does not receive again
		}
		p := start(t, &server.Server{Handler: h, PingInterval: 50 * time.Millisecond, PongTimeout: 50 * time.Millisecond}).open(t)
		p.send(text("one"))
		p.endSide()
		rec.want("open", "lost", `close 1006 ""`)
		wantTimeout(t, rec.failure(), "PongTimeout")
	})
}
