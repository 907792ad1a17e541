package server_test

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Server.MaxOutgoingFrame limits the frames of every call that sends, for
// clients that accept frames of at most 32 or 64 KiB
// (TooTallNate/Java-WebSocket#1466).
func TestMaxOutgoingFrame(t *testing.T) {
	const limit, size = 1000, 2500
	message := strings.Repeat("x", size)
	prepared, err := server.Prepare(wire.Text, []byte(message))
	check.Must(t, err)
	eachLoop(t, func(t *testing.T, start starter) {
		r := start(t, &server.Server{MaxOutgoingFrame: limit, Handler: server.Handler{Open: func(c *server.Conn) {
			c.Send(wire.Text, []byte(message))
			c.SendText(message)
			c.SendPrepared(prepared)
			c.SendText(message[:limit])
		}}})
		p := r.open(t)
		first, rest := wire.Text.String(), wire.Continuation.String()
		for range 3 {
			p.want(first+" 1000 bytes +", rest+" 1000 bytes +", rest+" 500 bytes")
		}
		p.want(first + " 1000 bytes")
	})
}
