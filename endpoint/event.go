package endpoint

import "github.com/fibersock/fibersock/wire"

// Kind is the type of an Event.
type Kind uint8

const (
	// KindNone: the input is used up and completes no event.
	KindNone Kind = iota

	// KindMessage: a complete message.
	KindMessage

	// KindPartial: a piece of a message that did not arrive at once, with
	// Config.Partial. Pieces are in order; only the last one, with Final set,
	// may be empty. A piece of a text may end inside a code point; the pieces
	// so far are a prefix of UTF-8.
	KindPartial

	// KindPing: a Ping. The engine answers it.
	KindPing

	// KindPong: a Pong, solicited or not.
	KindPong

	// KindClose: the peer's Close, which the engine answers if it is not an
	// answer itself. Err is a *CloseError, or the earlier reason for the end.
	KindClose

	// KindFailed: the peer broke a rule or a limit, and the engine sends a
	// Close with the status code. Err is a *FailError, or the earlier reason
	// for the end.
	KindFailed
)

// Event is an event of the connection. Payload is a part of Receive's input or
// of the endpoint's buffer. It is valid until the next call of Receive, and as
// long as the input.
type Event struct {
	Kind    Kind
	Opcode  wire.Opcode // of KindMessage and KindPartial: Text or Binary
	Final   bool        // of KindPartial: the last piece
	Payload []byte      // of KindMessage, KindPartial, KindPing and KindPong
	Err     error       // of KindClose and KindFailed
}

// AppendTo appends the payload to b and returns the extended slice. It copies
// nothing if the input was read into the spare capacity of b.
func (ev Event) AppendTo(b []byte) []byte { return extend(b, ev.Payload) }

// extend is append(b, p...) that copies nothing if p is the spare capacity of
// b.
func extend(b, p []byte) []byte {
	if end := len(b) + len(p); len(p) > 0 && end <= cap(b) && &b[:end][len(b)] == &p[0] {
		return b[:end]
	}
	return append(b, p...)
}
