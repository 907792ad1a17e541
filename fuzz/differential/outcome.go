// Package differential gives the bytes of a client to fibersock and to other
// servers, and compares the outcomes. A difference must be in the list of known
// differences: see Differences.
package differential

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// Outcome is the result of a stream at a server.
type Outcome struct {
	Messages []string // type and payload of each that was delivered
	End      End
	Code     int   // of the Close received, if that was the end; 1005 if it had none
	Err      error // in the words of the implementation
}

// End is how a connection ends.
type End string

// The ends.
const (
	Closed End = "closed" // by a Close of the client's
	Failed End = "failed" // by the server, because the client broke a rule or a limit
	Lost   End = "lost"   // by the transport, perhaps inside of a frame
)

func (o Outcome) String() string {
	return fmt.Sprintf("%q, %s %d (%v)", o.Messages, o.End, o.Code, o.Err)
}

// same compares messages, end and code.
func (o Outcome) same(other Outcome) bool {
	return slices.Equal(o.Messages, other.Messages) && o.End == other.End && o.Code == other.Code
}

// MessageLimit bounds a message, in bytes, in all implementations.
const MessageLimit = 4 << 10

// message returns a message as outcomes have it.
func message(opcode int, payload []byte) string { return fmt.Sprintf("%d %q", opcode, payload) }

// Ours returns the outcome of fibersock.
func Ours(stream []byte) (o Outcome) {
	e := endpoint.New(io.Discard, endpoint.Config{Role: endpoint.Server, Limits: endpoint.Limits{Message: MessageLimit}})
	for rest := bytes.Clone(stream); len(rest) > 0; {
		ev, n := e.Receive(time.Time{}, rest)
		rest = rest[n:]
		if ev.Kind == endpoint.KindMessage {
			o.Messages = append(o.Messages, message(int(ev.Opcode), ev.Payload))
		}
	}
	o.Err = e.TransportClosed(io.EOF, nil)
	var closed *endpoint.CloseError
	var failed *endpoint.FailError
	switch {
	case errors.As(o.Err, &closed):
		o.End, o.Code = Closed, int(closed.Code)
	case errors.As(o.Err, &failed):
		o.End = Failed
	default:
		o.End = Lost
	}
	return o
}

// broke reports whether o failed because of the rule.
func (o Outcome) broke(rule *wire.Error) bool {
	var failed *endpoint.FailError
	return errors.As(o.Err, &failed) && errors.Is(failed.Err, rule)
}

// transport is a connection on which a client has sent a stream and then nothing.
type transport struct{ *bytes.Reader }

func (transport) Write(p []byte) (int, error)      { return len(p), nil }
func (transport) Close() error                     { return nil }
func (transport) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (transport) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (transport) SetDeadline(time.Time) error      { return nil }
func (transport) SetReadDeadline(time.Time) error  { return nil }
func (transport) SetWriteDeadline(time.Time) error { return nil }

func connection(stream []byte) transport { return transport{bytes.NewReader(stream)} }

// ofTransport reports whether err is the end of the transport.
func ofTransport(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
