package differential

import (
	"errors"
	"io"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Gobwas is what gobwas/ws makes of a stream, by the reader of its package wsutil
// with every check on.
func Gobwas(stream []byte) (o Outcome) {
	c := connection(stream)
	control := wsutil.ControlFrameHandler(c, ws.StateServerSide)
	r := &wsutil.Reader{Source: c, State: ws.StateServerSide, CheckUTF8: true, MaxMessageSize: MessageLimit, OnIntermediate: control}
	for o.Err == nil {
		var h ws.Header
		if h, o.Err = r.NextFrame(); o.Err != nil {
			break
		}
		if h.OpCode.IsControl() {
			o.Err = control(h, r)
			continue
		}
		var payload []byte
		if payload, o.Err = io.ReadAll(r); o.Err == nil {
			o.Messages = append(o.Messages, message(int(h.OpCode), payload))
		}
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
