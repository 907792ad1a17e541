package client

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/wire"
)

// Conn is an open connection to a server. Any number of goroutines may call
// its methods, with one exception: one goroutine at a time may receive, with
// Receive, ReceiveInto, ReceiveJSON, NextReader, the reader of a message, or
// Messages. A second one gets ErrConcurrentReceive.
//
// A Conn has no goroutine of its own. It reads from the socket only during a
// call that receives, Ping or Close, and answers the server's Pings and sends
// heartbeats then: see Config.PingInterval. An application that only sends
// needs a goroutine that receives too.
//
// # Errors
//
// Once the connection has ended, all calls return the reason, which Err
// returns too: a *CloseError if the server closed it, a *FailError if the
// server broke a rule or a limit, a *LostError if the transport ended without
// a closing handshake, ErrClosed if this side closed it. All of them are
// net.ErrClosed under errors.Is.
//
// If the context of a call ends, the call returns the context's error and the
// connection stays open. The next call continues at the same byte, even in the
// middle of a frame. This holds for every net.Conn, including one whose
// deadlines do nothing.
//
// A write fails with the error of the transport. The server may have closed
// the connection before: Receive, Ping and Close still return its Close then.
type Conn struct {
	transport netloop.Transport
	socket    *netloop.NetConn // the transport; closes it after the last frame
	endpoint  endpoint.Endpoint

	response     *handshake.Response
	subprotocol  string
	control      bool // Config.Control
	closeTimeout time.Duration
	limits       Limits       // Config.Limits
	value        atomic.Value // an *any; see SetValue
	values       atomic.Value // an *endpoint.Values; empty until Key.Set is called, which programs without a Key do not link
	pings        atomic.Value // a *pings; empty until Ping is called, which programs without Ping do not link

	// receiving is set during a call that receives for the application, and
	// for a moment by a Close that holds stealing.
	receiving atomic.Bool

	// stealing is held by a Close that takes the read lock from a reader.
	stealing sync.Mutex

	// readerIdle receives a value when a reader holds the read lock and no
	// Read is under way.
	readerIdle chan struct{}

	closeMu      sync.Mutex  // held while a Close frame is sent; guards closeAwaited
	closeAwaited bool        // a Close waits or waited for the end of the connection
	cutCalled    atomic.Bool // CloseNow was called

	// readLock is held by the call that reads from the socket, or by the reader
	// of a message until its end. It guards the fields from buffer to reader.
	readLock  readLock
	buffer    netloop.Buffer  // the read buffer; see readBuffer
	first     [firstRead]byte // used while buffer is freed
	in        []byte          // bytes read from the socket and not used yet
	kept      []Message       // messages received by a Ping or Close
	keptSize  int             // size of kept, in bytes, with messageOverhead
	assembly  assembly        // progress of the unfinished message
	heartbeat heartbeat
	partial   partial    // the unfinished message of a call that gave up
	reader    heldReader // the reader that holds the lock; nil if a call holds it

	closing atomic.Bool   // the end of the connection has begun
	done    chan struct{} // closed when the socket is closed
}

// Subprotocol returns the subprotocol that the server chose, "" if none.
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Compression returns the extension that compresses messages, with its
// negotiated parameters, "" if none.
func (c *Conn) Compression() string { return c.endpoint.Compression() }

// Response returns the server's response to the opening handshake. The caller
// must not change it.
func (c *Conn) Response() *handshake.Response { return c.response }

// RemoteAddr returns the address of the server, or of the proxy.
func (c *Conn) RemoteAddr() net.Addr { return c.transport.RemoteAddr() }

// LocalAddr returns the local address.
func (c *Conn) LocalAddr() net.Addr { return c.transport.LocalAddr() }

// State is the progress of the closing handshake: Open, Closing (this side
// sent its Close) or Closed.
type State = endpoint.State

// The states of a connection.
const (
	Open    = endpoint.Open
	Closing = endpoint.CloseSent
	Closed  = endpoint.Closed
)

// State returns the state of the connection. A Close of the server, or the end
// of the transport, changes it only when a call reads it from the socket.
func (c *Conn) State() State { return c.endpoint.State() }

// Err returns the reason why the connection ended, nil while it is open. See
// Conn for the types.
func (c *Conn) Err() error { return c.endpoint.Err() }

// CloseCode returns the status code of the connection's end (RFC 6455, Section
// 7.1.5): the code of the server's Close, 1005 if that has none, 1006 if there
// was no Close. It is 0 while Err is nil.
func (c *Conn) CloseCode() wire.StatusCode { return c.endpoint.CloseCode() }

// CloseReason returns the reason of the server's Close, "" if there was none.
// It is the server's text: valid UTF-8, not trusted otherwise.
func (c *Conn) CloseReason() string { return c.endpoint.CloseReason() }

// SetLimits replaces Limits.Frame and Limits.Message of Config.Limits, in
// bytes: 0 means the default, negative means no limit. The new limits apply to
// frames whose header arrives afterwards, also in an unfinished message.
func (c *Conn) SetLimits(frame, message int64) {
	limits := c.limits
	limits.Frame, limits.Message = frame, message
	c.endpoint.SetLimits(limits)
}

// SetValue stores a value of the application in the connection.
func (c *Conn) SetValue(v any) { c.value.Store(&v) }

// Value returns the value of the last SetValue, nil before the first.
func (c *Conn) Value() any {
	if v, ok := c.value.Load().(*any); ok {
		return *v
	}
	return nil
}

// Value returns Conn.Value as a T. It reports false if there is no value, or
// one of another type.
func Value[T any](c *Conn) (T, bool) {
	v, ok := c.Value().(T)
	return v, ok
}

// Send sends p as one message of type op, Text or Binary. It neither changes
// nor keeps p. A text must be valid UTF-8; otherwise the error is
// wire.ErrInvalidUTF8, nothing is sent and the connection stays open. Send
// blocks while another message is written with NextWriter, and while the
// server does not read: at most Config.WriteTimeout without progress.
func (c *Conn) Send(op wire.Opcode, p []byte) error { return c.endpoint.Send(op, p) }

// SendUncompressed is Send without compression. Use it for a message that
// contains a secret beside text of an attacker, who would learn from the
// length of compressed messages whether they are alike.
func (c *Conn) SendUncompressed(op wire.Opcode, p []byte) error {
	return c.endpoint.SendUncompressed(op, p)
}

// SendText sends s as a text message; see Send.
func (c *Conn) SendText(s string) error { return c.endpoint.SendText(s) }

// SendBinary sends p as a binary message; see Send.
func (c *Conn) SendBinary(p []byte) error { return c.endpoint.Send(wire.Binary, p) }

// Sendf formats its arguments like fmt.Sprintf and sends the result as a text
// message; see Send.
func (c *Conn) Sendf(format string, args ...any) error {
	return c.endpoint.SendText(fmt.Sprintf(format, args...))
}

// SendJSON sends v, encoded by encoding/json, as a text message; see Send. If
// v cannot be encoded, nothing is sent.
func (c *Conn) SendJSON(v any) error {
	p, err := endpoint.EncodeJSON(v)
	if err != nil {
		return err
	}
	return c.endpoint.Send(wire.Text, p)
}

// MessageWriter writes one message in fragments; see Conn.NextWriter.
type MessageWriter = endpoint.MessageWriter

// NextWriter returns a writer of one message of type op, Text or Binary, for a
// message that is too large for memory or not known at once. The caller must
// close it. From its first fragment until Close, other messages block; Pings
// and Pongs do not. After an error of Write, Flush or Close, the message is
// abandoned; if a part of it has been sent, the connection is closed with it.
func (c *Conn) NextWriter(op wire.Opcode) (*MessageWriter, error) { return c.endpoint.NextWriter(op) }

// SendPing sends a Ping with the given payload, at most 125 bytes, and does
// not wait for the Pong. Use Ping to measure the round trip.
func (c *Conn) SendPing(payload []byte) error { return c.endpoint.Ping(payload) }

// SendPong sends an unsolicited Pong, a sign of life that demands no answer
// (RFC 6455, Section 5.5.3). The payload is at most 125 bytes. The server's
// Pings are answered without it.
func (c *Conn) SendPong(payload []byte) error { return c.endpoint.Pong(payload) }

// NetConn returns a net.Conn over the messages of type op, Text or Binary: for
// TLS, HTTP, SSH or another protocol of bytes. See endpoint.NewNetConn for its
// methods. The methods that receive must not be called any more.
func (c *Conn) NetConn(op wire.Opcode) net.Conn { return endpoint.NewNetConn(c, op) }
