package server

import (
	"net"
	"strings"
	"sync/atomic"
	"weak"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
	"github.com/fibersock/fibersock/wire"
)

// Conn is a connection to a client. Its methods may be called from any
// goroutine, inside handlers and outside. Those that receive are for one
// goroutine at a time.
//
// Once the connection has ended, methods that send or receive return the
// reason, each time: a *CloseError if the client closed it, a *FailError if the
// server failed it, a *LostError if the transport ended without a closing
// handshake, ErrClosed if the server closed it. errors.Is finds net.ErrClosed
// in all of them.
type Conn struct {
	server    *Server
	transport netloop.Socket
	endpoint  endpoint.Endpoint

	phase    atomicPhase
	place    int32        // in Server.conns, guarded by its lock
	refs     atomic.Int32 // loop and Handler.Serve; the last one removes the connection
	activity activity

	// Set before the connection is open.
	handler *Handler
	head    string // text of the request's head; "": see connExt.request

	value atomic.Pointer[any]
	ext   atomic.Pointer[connExt] // nil until one of its fields is needed
}

// connExt holds the fields that most connections never need.
type connExt struct {
	parser      *handshake.RequestParser // of a request that has arrived in part
	upgraded    *upgraded                // of Run, Adopt or Accept, until the connection is open
	accepted    *acceptance              // of Accept
	request     *handshake.Request       // of a Handshake, if it has no text
	parsed      atomic.Pointer[weak.Pointer[handshake.Request]]
	subprotocol string
	mailbox     *mailbox                        // nil if messages go to Handler.Message
	pings       atomic.Pointer[pings]           // nil until Ping is called
	lifetime    atomic.Pointer[lifetime]        // nil until Context is called
	values      atomic.Pointer[endpoint.Values] // nil until Key.Set is called
	sendQueue   atomic.Pointer[sendQueue]       // nil until a message is queued
	inputEnded  atomic.Bool                     // the client has shut its side down: no more messages arrive
	topics      atomic.Pointer[connTopics]      // nil until Topics.Subscribe is called
	fragments   fragments

	// unacknowledged is Unacknowledged before the last heartbeat; the sweeper's
	// own.
	unacknowledged int
}

// ensureExt returns ext, which it allocates if it is nil.
func (c *Conn) ensureExt() *connExt {
	if ext := c.ext.Load(); ext != nil {
		return ext
	}
	c.ext.CompareAndSwap(nil, new(connExt))
	return c.ext.Load()
}

// isOpening reports whether the opening handshake is not complete.
func (c *Conn) isOpening() bool { return c.phase.load().opening() }

func (c *Conn) isOpen() bool { return c.phase.load() == phaseOpen }

// Close starts the closing handshake: it sends a Close with code and reason, an
// empty one if code is 0, behind the messages broadcast before, and returns.
// The connection ends when the client's Close arrives, or after
// Server.CloseTimeout. Messages that arrive before the client's Close are still
// delivered.
//
// A code or reason that cannot be sent is a *wire.Error, and the connection
// stays open. If a Close has been sent before, the error is ErrClosed, or the
// reason why the connection has ended.
func (c *Conn) Close(code wire.StatusCode, reason string) error {
	err := c.sendClose(code, reason)
	if b := c.mailbox(); b != nil && b.accepted && c.State() != Open {
		c.discardWhenFull()
	}
	return err
}

// sendClose is Close for the server's own reasons.
func (c *Conn) sendClose(code wire.StatusCode, reason string) error {
	c.forceFlush(true)
	return c.endpoint.Close(code, reason)
}

// CloseNow closes the transport without a closing handshake. It may be called
// at any time, any number of times.
func (c *Conn) CloseNow() error { return c.abort(nil) }

// abort closes the transport and records why; nil stands for ErrClosed.
func (c *Conn) abort(why error) error {
	_, err := c.endpoint.Abort(why, c.transport.Abort)
	if !c.isOpening() {
		c.endMailbox()
	}
	return err
}

// SetLimits replaces Limits.Frame and Limits.Message of Server.Limits for this
// connection, in bytes: 0 means the default, a negative value means no limit.
// The new limits apply to frames whose header arrives afterwards.
func (c *Conn) SetLimits(frame, message int64) {
	limits := c.server.Limits
	limits.Frame, limits.Message = frame, message
	c.endpoint.SetLimits(limits)
}

// Value returns the value that SetValue stored last, nil at first.
func (c *Conn) Value() any {
	if v := c.value.Load(); v != nil {
		return *v
	}
	return nil
}

// SetValue stores v with the connection, for the application's own use.
func (c *Conn) SetValue(v any) { c.value.Store(&v) }

// Request returns the client's handshake request, nil if the Handshake given to
// Run or Adopt had none. It is shared and must not be changed.
//
// A connection keeps the text of the request's head only; see
// handshake.Request.Text. The first call parses it; later calls return the same
// Request as long as the application holds it, and otherwise parse the text
// again at most once in a cycle of the garbage collector.
func (c *Conn) Request() *handshake.Request {
	if c.head == "" {
		if ext := c.ext.Load(); ext != nil {
			return ext.request
		}
		return nil
	}
	ext := c.ensureExt()
	if p := ext.parsed.Load(); p != nil {
		if r := p.Value(); r != nil {
			return r
		}
	}
	r := handshake.RequestOf(c.head)
	p := weak.Make(r)
	ext.parsed.Store(&p)
	return r
}

// requestLine returns a request that has a target only. It does not allocate.
func (c *Conn) requestLine() (r handshake.Request) {
	if c.head != "" {
		_, target, _ := strings.Cut(c.head, " ")
		r.Target, _, _ = strings.Cut(target, " ")
	} else if known := c.Request(); known != nil {
		r.Target = known.Target
	}
	return r
}

// Path returns the path of the request's target, without decoding it.
func (c *Conn) Path() string {
	r := c.requestLine()
	return r.Path()
}

// Query returns the part of the request's target behind the "?", without
// decoding it.
func (c *Conn) Query() string {
	r := c.requestLine()
	return r.Query()
}

// Header returns the header fields of the request. They must not be changed.
func (c *Conn) Header() handshake.Header {
	if r := c.Request(); r != nil {
		return r.Header
	}
	return nil
}

// Subprotocol returns the negotiated subprotocol, "" if there is none.
func (c *Conn) Subprotocol() string {
	if ext := c.ext.Load(); ext != nil {
		return ext.subprotocol
	}
	return ""
}

// Compression returns the extension that compresses messages, with its
// negotiated parameters, "" if there is none.
func (c *Conn) Compression() string { return c.endpoint.Compression() }

// RemoteAddr returns the address of the client, or of the proxy in front of it.
func (c *Conn) RemoteAddr() net.Addr { return c.transport.RemoteAddr() }

// LocalAddr returns the server's address.
func (c *Conn) LocalAddr() net.Addr { return c.transport.LocalAddr() }

// State is the progress of the closing handshake: Open, Closing (the server has
// sent its Close) or Closed.
type State = endpoint.State

// The states of a connection.
const (
	Open    = endpoint.Open
	Closing = endpoint.CloseSent
	Closed  = endpoint.Closed
)

// State returns the state of the connection.
func (c *Conn) State() State { return c.endpoint.State() }

// CloseCode returns the status code that Handler.Close is called with, 0 as
// long as the connection has not ended.
func (c *Conn) CloseCode() wire.StatusCode { return c.endpoint.CloseCode() }

// CloseReason returns the reason that Handler.Close is called with.
func (c *Conn) CloseReason() string { return c.endpoint.CloseReason() }

// Err returns the error that ended the connection, nil as long as it has not
// ended.
func (c *Conn) Err() error { return c.endpoint.Err() }
