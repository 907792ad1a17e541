package differential

import (
	"errors"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/fibersock/fibersock/interop/peers"
	"github.com/fibersock/fibersock/interop/peers/gobwas"
	"github.com/fibersock/fibersock/wire"
)

// Gobwas returns the outcome of gobwas/ws, with every check on.
func Gobwas(stream []byte) (o Outcome) {
	c := connection(stream)
	s := gobwas.NewSession(ws.StateServerSide, options, o.collect())
	s.Begin(c, c, false)
	for o.Err == nil {
		o.Err = s.Next()
	}
	var closed wsutil.ClosedError
	switch {
	case errors.As(o.Err, &closed):
		o.End, o.Code = Closed, int(closed.Code)
	case ofTransport(o.Err):
		o.End = Lost
	default:
		o.End = Failed
	}
	return o
}

// options are those of both libraries.
var options = peers.Options{MaxMessage: MessageLimit}

// collect returns a handler that appends messages to o.
func (o *Outcome) collect() peers.Handler {
	return peers.Handler{Message: func(_ peers.Conn, text bool, p []byte) error {
		opcode := wire.Binary
		if text {
			opcode = wire.Text
		}
		o.Messages = append(o.Messages, message(int(opcode), p))
		return nil
	}}
}
