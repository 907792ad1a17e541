package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/fibersock/fibersock/wire"
)

// Message is a received message. Payload belongs to the program. Opcode is Text
// or Binary; a program that receives control frames gets them as a Message too:
// Ping or Pong with their payload, Close with Code and Reason.
type Message struct {
	Opcode  wire.Opcode
	Payload []byte
	Code    wire.StatusCode // of Close; NoStatusReceived if the frame has none
	Reason  string          // of Close
}

// Text returns the payload as a string.
func (m Message) Text() string { return string(m.Payload) }

// JSON decodes the payload of a Text or Binary message into v.
func (m Message) JSON(v any) error {
	if err := json.Unmarshal(m.Payload, v); err != nil {
		return fmt.Errorf("websocket: decoding a %v message of %d bytes: %w", m.Opcode, len(m.Payload), err)
	}
	return nil
}

// EncodeJSON returns v as the payload of a text message.
func EncodeJSON(v any) ([]byte, error) {
	p, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("websocket: encoding a message: %w", err)
	}
	return p, nil
}

// Messages returns an iterator over the messages that receive returns. It
// yields the first error with a zero Message and ends. If the peer closed the
// connection with 1000 or 1001, it ends without an error.
func Messages(ctx context.Context, receive func(context.Context) (Message, error)) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			m, err := receive(ctx)
			var closed *CloseError
			if errors.As(err, &closed) && (closed.Code == wire.NormalClosure || closed.Code == wire.GoingAway) {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}
