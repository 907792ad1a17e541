package server

import "github.com/fibersock/fibersock/wire"

// Handler is what a server does with a connection: functions, each of which may
// be nil. For one connection they are called one after the other, never two at
// once, in the order Open, then what happens, then Close, as if the connection
// had a thread of its own. They may block; that delays this connection only.
//
// A panic in any of them closes that connection with status 1011 and is
// reported as a *PanicError. So does a call of runtime.Goexit, as by
// testing.T.FailNow: see ErrGoexit.
type Handler struct {
	// Open is called when the opening handshake is done.
	Open func(c *Conn)

	// Message is called for each message; op is Text or Binary, and a text is
	// UTF-8. p is valid until Message returns. A client that ends its side of
	// TCP after its last message, without a Close, still gets the messages that
	// were sent before the last call of Message returned.
	Message func(c *Conn, op wire.Opcode, p []byte)

	// Partial, if it is set, is called for a message that does not arrive
	// whole, with one piece of it after the other as they arrive; final is set
	// on the last, which may be empty. A piece of a text may end inside a code
	// point. Message is then called only for messages that arrive whole. If
	// Partial is nil, messages are assembled. p is valid until Partial returns.
	Partial func(c *Conn, op wire.Opcode, p []byte, final bool)

	// Writable is called when the client has taken all that had to wait for it
	// because it did not read fast enough: Conn.Buffered was not 0, and is now.
	// With Serve, what is sent waits by itself.
	Writable func(c *Conn)

	// Error is called at most once, before Close, if the connection did not end
	// by a closing handshake: err is what c.Err returns from then on, a
	// *FailError or a *LostError.
	Error func(c *Conn, err error)

	// Close is called once, as the last, if Open was: the connection has ended.
	// code and reason are as RFC 6455, Section 7.1.5 has them: those of the
	// client's Close, 1005 if it had no code, 1006 if none came.
	Close func(c *Conn, code wire.StatusCode, reason string)

	// Serve is the blocking style: it is called, in a goroutine of its own,
	// after Open, and receives messages by c.Receive in place of Message and
	// Partial. When it returns, the connection is closed with status 1000. It
	// may go on after Close was called, but receives nothing more.
	//
	// A client may end its side of TCP after its last message, without a Close.
	// The connection stays open until Serve waits for a message that will not
	// come, so that it can answer those it has received. Such a client answers
	// no heartbeat: Serve has PingInterval and PongTimeout for that.
	Serve func(c *Conn)
}

// empty reports whether h does nothing.
func (h *Handler) empty() bool {
	return h.Open == nil && h.Message == nil && h.Partial == nil && h.Writable == nil && h.Error == nil && h.Close == nil && h.Serve == nil
}
