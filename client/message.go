package client

import (
	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Message is a received message. The application owns Payload. Opcode is Text
// or Binary; with Config.Control also Ping or Pong, or Close with Code and
// Reason. The method Text returns the payload as a string, JSON decodes it.
type Message = endpoint.Message

// controlMessage sets m to the Ping, Pong or Close of ev. It reports false for
// a Close that arrived after the connection had ended.
func controlMessage(ev *endpoint.Event, m *Message) bool {
	switch ev.Kind {
	case endpoint.KindClose:
		closed, ok := ev.Err.(*CloseError)
		if ok {
			*m = Message{Opcode: wire.Close, Code: closed.Code, Reason: closed.Reason}
		}
		return ok
	case endpoint.KindPing:
		m.Opcode = wire.Ping
	default:
		m.Opcode = wire.Pong
	}
	m.Payload = append([]byte(nil), ev.Payload...)
	return true
}
