package hostile

import "github.com/fibersock/fibersock/wire"

// What the victim's program does when it receives a text of this kind, for the
// attacks that begin with something that the victim does.
const (
	Push  = "push"  // it sends messages of PushSize until that fails
	Close = "close" // it closes the connection with 1000
	Ping  = "ping"  // it sends a Ping
)

// PushSize is how long the messages are, in bytes, that a victim sends for Push.
const PushSize = 16 << 10

var block = make([]byte, PushSize)

// Victim is what the victim's program can do with its connection.
type Victim struct {
	Send        func(op wire.Opcode, p []byte) error
	Close, Ping func() error
}

// Comply does what a victim does with a message: what that asks for, or an echo.
func (v Victim) Comply(op wire.Opcode, p []byte) (err error) {
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
