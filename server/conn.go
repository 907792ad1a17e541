package server

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/wire"
)

// Conn is a connection to a client. All its methods may be called from any
// goroutine, in handlers and out of them; those that receive from one at a time.
//
// Once the connection has ended, what sends and receives returns why, and goes
// on to: a *CloseError if the client closed it, a *FailError if it was failed, a
// *LostError if the transport ended without a closing handshake, ErrClosed if
// the server closed it. All of them are net.ErrClosed under errors.Is.
type Conn struct {
	server    *Server
	transport transport
	endpoint  endpoint.Endpoint

	phase   atomic.Uint32 // acceptedPhase, …, endedPhase
	place   int32         // in Server.conns, guarded by its lock
	holders atomic.Int32  // loop and fiber; the last removes the connection
	watch   watch

	// What is known when it is open.
	handler *Handler
	head    string // text of the request, if this server has read it

	value atomic.Pointer[any]
	more  atomic.Pointer[reserve] // nil as long as none of it is needed
}

// reserve is what most connections do not need, so that those have no room for it.
type reserve struct {
	opening     *handshake.RequestParser // nil unless the request came in parts and is not complete
	upgraded    *Upgraded                // what Run or Adopt was given, until the connection is open
	request     *handshake.Request       // that Run or Adopt was told
	subprotocol string
	fiber       *fiber                 // of Handler.Serve; nil without
	outbox      atomic.Pointer[outbox] // nil until a message cannot be sent at once
	fragments   fragments

	// unacknowledged is Unacknowledged before the last heartbeat; the sweeping
	// goroutine's own.
	unacknowledged int
}

// reserve returns more, which is made if it is not there.
func (c *Conn) reserve() *reserve {
	if more := c.more.Load(); more != nil {
		return more
	}
	c.more.CompareAndSwap(nil, new(reserve))
	return c.more.Load()
}

// The phases of a connection's life.
const (
	acceptedPhase  uint32 = iota // nothing of the request has come
	requestPhase                 // part of the request has come
	answeringPhase               // the request is complete, or somebody else has read it
	openPhase                    // between the calls of Handler.Open and Handler.Close
	endedPhase
)

// isOpening reports whether the connection is in the opening handshake.
func (c *Conn) isOpening() bool { return c.phase.Load() < openPhase }

func (c *Conn) isOpen() bool { return c.phase.Load() == openPhase }

// Send sends p as one message of type op, Text or Binary. A text must be UTF-8:
// otherwise nothing is sent and the error is wire.ErrInvalidUTF8. p is neither
// changed nor kept. While a message begun with SendFragment is not finished, the
// error is ErrMessageUnfinished.
//
// Send does not wait for the client, except with SlowBlock: what the system does
// not take is kept, within Server.MaxBacklog, and what is over that is treated as
// Server.SlowPolicy says.
func (c *Conn) Send(op wire.Opcode, p []byte) error {
	if c.more.Load() == nil && c.transport.Buffered() == 0 { // nothing comes before it, and there is room
		c.traffic()
		return c.endpoint.Send(op, p)
	}
	if err := c.beforeSend(len(p)); err != nil {
		return err
	}
	if c.keeps() {
		return c.keepMessage(op, p)
	}
	return c.endpoint.Send(op, p)
}

// keepMessage puts a message into the outbox.
func (c *Conn) keepMessage(op wire.Opcode, p []byte) error {
	m, err := Prepare(op, p)
	if err == nil {
		c.keep(m)
	}
	return err
}

// SendText sends s as a text message; see Send.
func (c *Conn) SendText(s string) error {
	if err := c.beforeSend(len(s)); err != nil {
		return err
	}
	if c.keeps() {
		return c.keepMessage(wire.Text, []byte(s))
	}
	return c.endpoint.SendText(s)
}

// Sendf sends a text message formatted as by fmt.Sprintf; see Send.
func (c *Conn) Sendf(format string, args ...any) error {
	return c.Send(wire.Text, fmt.Appendf(nil, format, args...))
}

// SendJSON sends v, encoded by encoding/json, as a text message; see Send.
func (c *Conn) SendJSON(v any) error {
	p, err := endpoint.EncodeJSON(v)
	if err != nil {
		return err
	}
	return c.Send(wire.Text, p)
}

// beforeSend sees to the order of messages: those that were broadcast before
// come first, and a message in fragments is not interrupted. And it sees to it
// that there is room for a message of size bytes.
func (c *Conn) beforeSend(size int) error {
	c.traffic()
	if c.State() != Open {
		return nil // the engine says why not
	}
	if c.unfinished() {
		return ErrMessageUnfinished
	}
	if c.more.Load() != nil && c.policy() != SlowDropOldest {
		c.awaitOutbox()
	}
	return c.admit(size, false)
}

// unfinished reports whether a message begun with SendFragment is not finished.
func (c *Conn) unfinished() bool {
	more := c.more.Load()
	return more != nil && more.fragments.open.Load()
}

// fragments is the message that SendFragment is sending.
type fragments struct {
	open    atomic.Bool // the first fragment is sent, the last is not
	mu      sync.Mutex  // guards message
	message *endpoint.MessageWriter
}

// SendFragment sends p, which may be empty, as the next fragment of a message,
// the last one if final is set (RFC 6455, Section 5.4). op is the message's type
// with its first fragment, and the same or wire.Continuation with the others. A
// fragment of a text may end inside a code point, the message may not. Until the
// message is finished, no other can be sent but control frames.
func (c *Conn) SendFragment(op wire.Opcode, p []byte, final bool) error {
	f := &c.reserve().fragments
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.message == nil {
		if err := c.beforeSend(len(p)); err != nil {
			return err
		}
		c.awaitOutbox()
		m, err := c.endpoint.NextWriter(op)
		if err != nil {
			return err
		}
		f.message = m
	} else if op != wire.Continuation && op != f.message.Opcode() {
		return ErrMessageUnfinished
	}
	c.traffic()
	err := f.message.WriteFragment(p, final)
	f.open.Store(f.message.Began() && !f.message.Done())
	if !f.open.Load() {
		f.message = nil
	}
	return err
}

// Ping sends a Ping with the given payload, at most 125 bytes. The server looks
// after the life of its connections by itself: see Server.PingInterval.
func (c *Conn) Ping(payload []byte) error { return c.endpoint.Ping(payload) }

// Pong sends a Pong that answers no Ping, with at most 125 bytes. Pings are
// answered without it.
func (c *Conn) Pong(payload []byte) error { return c.endpoint.Pong(payload) }

// Close starts the closing handshake: it sends a Close with code and reason, an
// empty one if code is 0, after what was broadcast before, and returns. The
// connection ends when the client's Close comes, or after Server.CloseTimeout.
// Messages that come before that are still delivered.
//
// A code or reason that cannot be sent is a *wire.Error, and the connection stays
// open. If a Close has been sent already, the error is ErrClosed, or why the
// connection ended.
func (c *Conn) Close(code wire.StatusCode, reason string) error {
	if !c.unfinished() { // broadcasts wait for the message, which will not be finished
		c.awaitOutbox()
	}
	return c.endpoint.Close(code, reason)
}

// CloseNow cuts the connection, without a closing handshake. It may be called at
// any time, any number of times.
func (c *Conn) CloseNow() error { return c.cut(nil) }

// cut cuts the connection and remembers why.
func (c *Conn) cut(why error) error {
	_, err := c.endpoint.Abort(why, c.transport.Close)
	if !c.isOpening() {
		c.endFiber()
	}
	return err
}

// Value returns what SetValue has set last, nil at first.
func (c *Conn) Value() any {
	if v := c.value.Load(); v != nil {
		return *v
	}
	return nil
}

// SetValue keeps v with the connection, for the program's own use.
func (c *Conn) SetValue(v any) { c.value.Store(&v) }

// Request returns the client's handshake request, nil if Run or Adopt was not given
// one.
//
// Of a request that the server has read itself, the connection keeps the text of
// the head, as it came, and nothing else, for as long as it lasts: the request is
// made of that anew with each call, and is the caller's own. What Run or Adopt was
// given is kept as it is, and not to be changed.
func (c *Conn) Request() *handshake.Request {
	if c.head != "" {
		var parser handshake.RequestParser
		r, _, _ := parser.Parse([]byte(c.head)) // it has been read before
		return r
	}
	if more := c.more.Load(); more != nil {
		return more.request
	}
	return nil
}

// requestLine returns a request with the target alone. It costs no allocation.
func (c *Conn) requestLine() (r handshake.Request) {
	if c.head != "" {
		_, target, _ := strings.Cut(c.head, " ")
		r.Target, _, _ = strings.Cut(target, " ")
	} else if known := c.Request(); known != nil {
		r.Target = known.Target
	}
	return r
}

// Path returns the path of the request, as it was sent.
func (c *Conn) Path() string {
	r := c.requestLine()
	return r.Path()
}

// Query returns what follows the "?" of the request, as it was sent.
func (c *Conn) Query() string {
	r := c.requestLine()
	return r.Query()
}

// Header returns the header fields of the request. As with Request, keep them
// rather than ask for them again, and do not change them.
func (c *Conn) Header() handshake.Header {
	if r := c.Request(); r != nil {
		return r.Header
	}
	return nil
}

// Subprotocol returns the subprotocol that was chosen, "" if none.
func (c *Conn) Subprotocol() string {
	if more := c.more.Load(); more != nil {
		return more.subprotocol
	}
	return ""
}

// RemoteAddr returns the address of the client, or of the proxy before it.
func (c *Conn) RemoteAddr() net.Addr { return c.transport.RemoteAddr() }

// LocalAddr returns the address of this side.
func (c *Conn) LocalAddr() net.Addr { return c.transport.LocalAddr() }

// State says how far a connection has come: Open, Closing (the server sent its
// Close) or Closed.
type State = endpoint.State

// The states of a connection.
const (
	Open    = endpoint.Open
	Closing = endpoint.CloseSent
	Closed  = endpoint.Closed
)

// State returns how far the connection has come.
func (c *Conn) State() State { return c.endpoint.State() }

// CloseCode returns what Handler.Close is called with; 0 before that is known.
func (c *Conn) CloseCode() wire.StatusCode { return c.endpoint.CloseCode() }

// CloseReason returns what Handler.Close is called with.
func (c *Conn) CloseReason() string { return c.endpoint.CloseReason() }

// Err returns why the connection ended, nil as long as that is not known.
func (c *Conn) Err() error { return c.endpoint.Err() }
