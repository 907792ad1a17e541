package server_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A message that arrives in the segment of the request, or with others, is
// delivered at once, without further input.
func TestMessagesReadTogetherAreDeliveredAtOnce(t *testing.T) {
	eachLoop(t, func(t *testing.T, start starter) {
		s := start(t, &server.Server{Handler: server.Handler{Message: echo}})
		for range 20 { // a busy connection is served in another way
			p := s.dial(t)
			p.send(request("/"), text("with the request"))
			p.response()
			p.want(`text "with the request"`)
			p.send(text("a"), text("b"), frame(wire.Ping, "?"), text(strings.Repeat("c", 10_000)), text(""))
			p.want(`text "a"`, `text "b"`, `pong "?"`, "text 10000 bytes", `text ""`)
			for range 10 {
				p.send(text("x"))
				p.want(`text "x"`)
			}
			p.nc.Close()
		}
	})
}

// A frame that arrives in two reads with a pause between them, on a parked or
// an active connection, is delivered whole.
func TestPausesAnywhere(t *testing.T) {
	t.Parallel()
	const pause = 7 * time.Second // longer than any connection stays active
	frames := text("Hello") + fragment(wire.Binary, "abc", false) + frame(wire.Ping, "?") + fragment(wire.Continuation, strings.Repeat("d", 70), true)
	synctest.Test(t, func(t *testing.T) {
		p, _ := run(t, &server.Server{Handler: server.Handler{Message: echo}, AssemblyTimeout: -1, PingInterval: -1}, server.Handshake{})
		for _, busy := range []int{0, 10} {
			for cut := 1; cut < len(frames); cut++ {
				for range busy {
					p.send(text("x"))
					p.want(`text "x"`)
				}
				go func() {
					p.send(frames[:cut])
					time.Sleep(pause)
					p.send(frames[cut:])
				}()
				p.want(`text "Hello"`, `pong "?"`, "binary 73 bytes")
				time.Sleep(pause)
			}
		}
	})
}
