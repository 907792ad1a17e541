package server

import "github.com/fibersock/fibersock/wire"

// Handler holds the functions that serve a connection. Each may be nil. Those
// of one connection never overlap: Open is called first, then the others as
// events arrive, then Close. A handler may block, which delays its own
// connection only.
//
// A panic in a handler closes its connection with status 1011 and is reported
// as a *PanicError. So does a call of runtime.Goexit, which testing.T.FailNow
// makes; see ErrGoexit.
type Handler struct {
	// Open is called when the opening handshake is done.
	Open func(c *Conn)

	// Message is called with each message. op is Text or Binary; a text is
	// UTF-8. p is valid until Message returns. A client that shuts its side of
	// TCP down without a Close gets the messages that were sent before the last
	// call of Message returned.
	Message func(c *Conn, op wire.Opcode, p []byte)

	// Partial, if it is set, is called with the pieces of each message that
	// does not arrive whole, as they arrive. final is set with the last piece,
	// which may be empty. A piece of a text may end inside a code point.
	// Message is then called for whole messages only; if Message is nil,
	// Partial is called with them, too. If Partial is nil, messages are
	// assembled. p is valid until Partial returns.
	Partial func(c *Conn, op wire.Opcode, p []byte, final bool)

	// Control is called with each Ping and Pong; op tells which. The server
	// answers Pings by itself, before the call. The Pongs include those that
	// answer its own heartbeats and Conn.Ping. p is valid until Control
	// returns. With Serve, Control runs beside it.
	Control func(c *Conn, op wire.Opcode, p []byte)

	// Writable is called when the backlog of a client that read too slowly has
	// become empty: Conn.Buffered was above 0 and was then 0. It is above 0
	// again if other messages were sent before the call.
	Writable func(c *Conn)

	// Error is called at most once, before Close, if the connection ends
	// without a closing handshake. err is a *FailError or *LostError, and also
	// the value of c.Err.
	Error func(c *Conn, err error)

	// Close is called once, as the last handler, if Open was. code and reason
	// are those of RFC 6455, Section 7.1.5: those of the client's Close, 1005
	// if it had no code, 1006 if the connection ended without one.
	Close func(c *Conn, code wire.StatusCode, reason string)

	// Serve is the blocking style: it runs on a goroutine of its own, after
	// Open, and receives messages by c.Receive. Message and Partial are not
	// called. When Serve returns, the connection is closed with status 1000.
	// Serve may continue after Close was called, but receives nothing more;
	// c.Context has ended then.
	//
	// A client may shut its side of TCP down after its last message, without a
	// Close. The connection stays open until Serve waits for another message,
	// so that Serve can answer those it has received. PingInterval and
	// PongTimeout bound that time, because such a client answers no heartbeat.
	Serve func(c *Conn)
}

// empty reports whether no function of h is set.
func (h *Handler) empty() bool {
	return h.Open == nil && h.Message == nil && h.Partial == nil && h.Control == nil && h.Writable == nil && h.Error == nil && h.Close == nil && h.Serve == nil
}
