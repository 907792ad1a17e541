package client

import (
	"github.com/fibersock/fibersock/endpoint"
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
type Message = endpoint.Message

// controlMessage returns a Ping, Pong or Close as a message. A Close that arrived
// after the connection had ended is none.
func controlMessage(ev endpoint.Event) (m Message, ok bool) {
	switch ev.Kind {
	case endpoint.KindClose:
		closed, ok := ev.Err.(*CloseError)
		if !ok {
			return Message{}, false
		}
		return Message{Opcode: wire.Close, Code: closed.Code, Reason: closed.Reason}, true
	case endpoint.KindPing:
		return Message{Opcode: wire.Ping, Payload: append([]byte(nil), ev.Payload...)}, true
	default:
		return Message{Opcode: wire.Pong, Payload: append([]byte(nil), ev.Payload...)}, true
	}
}
