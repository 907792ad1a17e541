package client

import (
	"context"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// SendJSON sends v, encoded by encoding/json, as a text message.
func (c *Conn) SendJSON(v any) error {
	p, err := endpoint.EncodeJSON(v)
	if err != nil {
		return err
	}
	return c.Send(wire.Text, p)
}

// ReceiveJSON receives a message, text or binary, and decodes it into v. A
// message that is not the JSON for v is an error, and the next one can be
// received. If Config.Control is set, control messages are skipped.
func (c *Conn) ReceiveJSON(ctx context.Context, v any) error {
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		if m.Opcode.IsData() {
			return m.JSON(v)
		}
	}
}
