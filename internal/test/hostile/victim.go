package hostile

import "github.com/fibersock/fibersock/wire"

// The commands to the victim's application, as texts.
const (
	Push  = "push"  // send messages of PushSize until Send fails
	Close = "close" // close the connection with 1000
	Ping  = "ping"  // send a Ping
)

// PushSize is the size, in bytes, of the messages of Push.
const PushSize = 16 << 10

var block = make([]byte, PushSize)

// Victim has the calls of the victim's application.
type Victim struct {
	Send        func(op wire.Opcode, p []byte) error
	Close, Ping func() error
}

// Respond executes the command of a message, or echoes it.
func (v Victim) Respond(op wire.Opcode, p []byte) (err error) {
	switch string(p) {
	case Push:
		for err == nil {
			err = v.Send(wire.Binary, block)
		}
		return err
	case Close:
		return v.Close()
	case Ping:
		return v.Ping()
	}
	return v.Send(op, p)
}
