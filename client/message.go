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
// Its method Text returns the payload as a string.
type Message = endpoint.Received

// controlMessage returns a Ping or Pong as a message.
func controlMessage(ev endpoint.Event) Message {
	m := Message{Opcode: wire.Ping, Payload: append([]byte(nil), ev.Payload...)}
	if ev.Kind == endpoint.Pong {
		m.Opcode = wire.Pong
	}
	return m
}

// closeMessage returns the server's Close as a message.
func closeMessage(ev endpoint.Event) Message {
	closed := ev.Err.(*CloseError)
	return Message{Opcode: wire.Close, Code: closed.Code, Reason: closed.Reason}
}
