package client

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/socket"
	"github.com/fibersock/fibersock/wire"
)

// Conn is an open connection to a server. Any number of goroutines may send at
// once, and ping, and close; one at a time may receive.
//
// Nothing is read from the connection but by a call that waits for something:
// Receive and its kin, a message's reader, Ping and Close. Pings of the server
// are answered by whichever of them runs, so a program that only sends should
// still have a goroutine that receives.
//
// # Errors
//
// Once the connection has ended, all calls return why: a
// *CloseError if the server closed it, a *FailError if the server broke a rule
// or a limit, a *LostError if the transport ended without a closing handshake,
// ErrClosed if this side closed it. All of them are net.ErrClosed under
// errors.Is.
//
// A context that ends while a call waits is not the end of the connection: the
// call returns the context's error, and a later call goes on where it stopped,
// also in the middle of a frame. This holds on every net.Conn, also if the server
// does not read, or the deadlines of the net.Conn do not work. A write of which the
// server takes nothing for Config.WriteTimeout ends the connection.
//
// A write that fails returns the error of the transport at once. The server may have
// closed the connection before: Receive, Ping and Close then still find its Close.
type Conn struct {
	transport socket.Transport
	socket    *socket.Conn // the transport, as the engine writes to it
	endpoint  endpoint.Endpoint

	response    *handshake.Response
	subprotocol string
	control     bool
	closeWait   time.Duration

	pings pings

	// receiving is set while a call receives on behalf of the program: two at
	// once are a mistake.
	receiving atomic.Bool

	// abandoning is held by a Close that has set receiving for the moment in
	// which it takes the turn from a reader.
	abandoning sync.Mutex

	// parked has a value when a reader has the turn and no call reads from it: a
	// Close that waits for the turn then takes it in the end.
	parked chan struct{}

	closeCall    sync.Mutex  // held by a Close that sends its frame; guards closeAwaited
	closeAwaited bool        // a Close waits for the end of the connection, or has
	discarded    atomic.Bool // CloseNow was called: nothing more is received

	// readLock is held by the call that reads from the socket, or by the reader
	// of a message that is not at its end. It guards the rest, down to reader.
	readLock readLock
	buffer   socket.Buffer  // the read buffer
	in       []byte         // bytes that have been read and not been used
	inbox    []Message      // what came while a Ping was waiting
	queued   int            // bytes that inbox counts for
	assembly assembly       // how far the message under way has come
	held     held           // a message that a call began to receive and gave up
	reader   *messageReader // the reader that has the turn; nil if a call has it

	closing sync.Once
	gone    chan struct{} // closed when the socket is
}

// Subprotocol returns the subprotocol that the server chose, "" if none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Response returns the server's handshake response, with its header fields. It
// is not to be changed.
func (c *Conn) Response() *handshake.Response { return c.response }

// RemoteAddr returns the address of the server, or of the proxy.
func (c *Conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// LocalAddr returns the address of this side.
func (c *Conn) LocalAddr() net.Addr { return c.socket.LocalAddr() }

// State says how far a connection has come: Open, Closing (this side sent its
// Close) or Closed.
type State = endpoint.State

// The states of a connection.
const (
	Open    = endpoint.Open
	Closing = endpoint.CloseSent
	Closed  = endpoint.Closed
)

// State returns how far the connection has come. That the server closed it, or
// that it was lost, is known once a call has read so far.
func (c *Conn) State() State { return c.endpoint.State() }

// Err returns why the connection ended, nil as long as that is not known.
func (c *Conn) Err() error { return c.endpoint.Err() }

// Send sends p as one message of type op, Text or Binary. A text must be UTF-8:
// otherwise nothing is sent and the error is wire.ErrInvalidUTF8. p is neither
// changed nor kept. Send waits while another message is being written with
// NextWriter.
func (c *Conn) Send(op wire.Opcode, p []byte) error { return c.endpoint.Send(op, p) }

// SendText sends s as a text message; see Send.
func (c *Conn) SendText(s string) error { return c.endpoint.SendText(s) }

// SendBinary sends p as a binary message; see Send.
func (c *Conn) SendBinary(p []byte) error { return c.endpoint.Send(wire.Binary, p) }

// Pong sends a Pong that answers no Ping: a sign of life that asks for nothing
// (RFC 6455, Section 5.5.3). payload is at most 125 bytes.
func (c *Conn) Pong(payload []byte) error { return c.endpoint.Pong(payload) }
