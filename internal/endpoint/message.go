package endpoint

import "github.com/fibersock/fibersock/wire"

// Received is a message as a program keeps it: Payload is its own. Opcode is Text
// or Binary; where control frames are asked for, it may be Ping or Pong with
// their payload, or Close with Code and Reason.
type Received struct {
	Opcode  wire.Opcode
	Payload []byte
	Code    wire.StatusCode // of Close: NoStatusReceived if the frame had none
	Reason  string          // of Close
}

// Text returns the payload as a string.
func (m Received) Text() string { return string(m.Payload) }
