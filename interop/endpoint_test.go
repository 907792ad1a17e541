package interop

import (
	"context"
	"testing"
	"time"

	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/wire"
)

// patience bounds everything that waits for a peer.
const patience = 30 * time.Second

// An endpoint is one end of an open connection, ours or another implementation's. One goroutine uses it at a time. No method waits for
// longer than patience.
type endpoint interface {
	subprotocol() string
	send(m event) error                           // as one frame
	sendFragments(k kind, parts [][]byte) error   // as several frames, with a ping and its pong between them
	ping(payload []byte) error                    // returns when the pong has arrived
	receive() (event, error)                      // the next message, or how the connection ended
	close(wire.StatusCode, string) (event, error) // the closing handshake; how it ended, as seen here. 0 sends an empty Close
}

type kind string

const (
	text   kind = "text"
	binary kind = "binary"
	closed kind = "close"
)

func (k kind) opcode() wire.Opcode {
	if k == text {
		return wire.Text
	}
	return wire.Binary
}

func kindOf(op wire.Opcode) kind {
	if op == wire.Text {
		return text
	}
	return binary
}

// An event is a message, or the end of the connection with the peer's code and
// reason.
type event struct {
	kind    kind
	payload []byte
	code    wire.StatusCode
	reason  string
}

// Options of a connection. The client offers, the server supports.
type options struct {
	offered, supported []string
	secure             bool     // over TLS, with the certificate of the tests
	origins            []string // of pages that our server accepts

	ours   *permessage.Deflate // our compression; nil: off
	theirs any                 // the peer's, in terms of its API; nil: off
}

// A party opens connections in either role. A nil function: it does not support
// the role.
type party struct {
	name   string
	pages  []string // the origins of its pages, if it is a browser
	dial   func(t *testing.T, url string, o options) endpoint
	listen func(t *testing.T, o options) (url string, accept func() endpoint)
}

// patient is the context of one test's waiting.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
