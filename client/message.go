package client

import (
	"github.com/fibersock/fibersock/internal/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Message is a received message:
//
//	Opcode  wire.Opcode      // Text or Binary; with Config.Control also Ping, Pong and Close
//	Payload []byte           // of all but Close; the program's own
//	Code    wire.StatusCode  // of Close
//	Reason  string           // of Close
//
// Its method Text returns the payload as a string; JSON decodes it into a value.
type Message = endpoint.Received

// controlMessage returns a Ping, Pong or Close as a message.
func controlMessage(ev endpoint.Event) Message {
	switch ev.Kind {
	case endpoint.Closing:
		closed := ev.Err.(*CloseError)
		return Message{Opcode: wire.Close, Code: closed.Code, Reason: closed.Reason}
	case endpoint.Ping:
		return Message{Opcode: wire.Ping, Payload: append([]byte(nil), ev.Payload...)}
	default:
		return Message{Opcode: wire.Pong, Payload: append([]byte(nil), ev.Payload...)}
	}
}
