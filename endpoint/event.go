package endpoint

import "github.com/fibersock/fibersock/wire"

// Kind says what an Event is.
type Kind uint8

const (
	// KindNone: nothing yet, all bytes are used.
	KindNone Kind = iota

	// KindMessage: a whole message.
	KindMessage

	// KindPartial: a piece of a message that did not come whole, in an endpoint
	// whose Config.Partial is set. The pieces come in order, none but the
	// last is empty, Final is set on the last. A piece of a text may end
	// inside a code point; all of it that came so far is a prefix of UTF-8.
	KindPartial

	// KindPing: a Ping came; its Pong is written, or owed and soon written.
	KindPing

	// KindPong: a Pong came, asked for or not.
	KindPong

	// KindClose: the peer's Close came and has been answered, if it was not an
	// answer itself. Err is the *CloseError, or why the connection had ended
	// before.
	KindClose

	// KindFailed: the peer broke a rule, and a Close that says so was sent. Err is
	// the *FailError, or why the connection had ended before.
	KindFailed
)

// Event is what the peer did. Payload is part of the bytes given to Receive or
// of the endpoint's own buffer: it is valid until the next call of Receive, and
// no longer than those bytes are.
type Event struct {
	Kind    Kind
	Opcode  wire.Opcode // Text or Binary, of Message and Partial
	Final   bool        // of Partial: the last piece
	Payload []byte      // of Message, Partial, Ping and Pong
	Err     error       // of Closing and Failed
}
