package server

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/fibersock/fibersock/handshake"
)

// Upgraded is a connection whose opening handshake is done, or as good as done.
type Upgraded struct {
	// Request is the client's handshake request; it may be nil if nobody will
	// ask for it.
	Request *handshake.Request

	// Subprotocol is the one that was chosen, "" if none.
	Subprotocol string

	// Response is what is still to be sent before the first frame: the 101. It
	// is empty if that has been sent.
	Response []byte

	// Buffered is what has been read from the connection after the request: the
	// beginning of the client's frames. Run changes it.
	Buffered []byte
}

// Upgrade decides on an opening handshake request that somebody else has read
// (RFC 6455, Section 4.2). It returns what Run needs, but for Buffered. The error
// is a *handshake.Error, with the HTTP status that the request should be refused
// with: see handshake.AppendRefusal.
func (s *Server) Upgrade(r *handshake.Request) (Upgraded, error) {
	up, err := s.upgrade(r, nil)
	if err != nil {
		s.counters.count(func(st *Stats) { st.refused(refusal(err)) })
	}
	return up, err
}

// upgrade is Upgrade, with room for the response.
func (s *Server) upgrade(r *handshake.Request, room []byte) (Upgraded, error) {
	a, err := s.accept(r)
	if err != nil {
		return Upgraded{}, refusal(err)
	}
	response, err := handshake.AppendResponse(room, &a)
	if err != nil {
		return Upgraded{}, s.cannotAnswer(err)
	}
	return Upgraded{Request: r, Subprotocol: a.Subprotocol, Response: response}, nil
}

// accept goes through Section 4.2.2: it returns what to answer, or why not.
func (s *Server) accept(r *handshake.Request) (a handshake.Acceptance, err error) {
	if s.shuttingDown() {
		return a, &handshake.Error{Status: 503, Reason: "the server is shutting down"}
	}
	u, err := handshake.ValidateRequest(r)
	if err != nil {
		return a, err
	}
	if err := handshake.CheckOrigin(r, s.Origins); err != nil {
		return a, err
	}
	if s.handler(r.Path()) == nil {
		return a, &handshake.Error{Status: 404, Reason: "no handler for this path"}
	}
	a.Key = u.Key
	a.Subprotocol = handshake.SelectSubprotocol(u.Subprotocols, s.Subprotocols)
	if s.Authorize != nil {
		program := a // what the program gets a pointer to lives longer
		if err := s.authorize(r, &program); err != nil {
			return a, err
		}
		a = program
	}
	if a.Subprotocol != "" && !slices.Contains(u.Subprotocols, a.Subprotocol) { // Section 4.2.2, item 5.5
		return a, s.cannotAnswer(fmt.Errorf("websocket: subprotocol %.100q was chosen, which the client does not offer", a.Subprotocol))
	}
	return a, nil
}

// authorize calls Authorize. One that panics has not agreed.
func (s *Server) authorize(r *handshake.Request, a *handshake.Acceptance) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.caught(p)
			err = &handshake.Error{Status: 500, Reason: "panic in Authorize"}
		}
	}()
	return s.Authorize(r, a)
}

// cannotAnswer refuses a handshake because what the server wanted to answer
// cannot be sent: the program has to know, the client only that it is refused.
func (s *Server) cannotAnswer(err error) *handshake.Error {
	s.report(err)
	return &handshake.Error{Status: 500, Reason: err.Error()}
}

// refusal makes an error of Authorize an answer.
func refusal(err error) *handshake.Error {
	var e *handshake.Error
	if errors.As(err, &e) {
		return e
	}
	return &handshake.Error{Status: 403, Reason: err.Error()}
}

// handler returns the handler for a path, nil if there is none.
func (s *Server) handler(path string) *Handler {
	if h, ok := s.Handlers[path]; ok {
		return h
	}
	if s.Handler.empty() && len(s.Handlers) > 0 {
		return nil
	}
	return &s.Handler
}

// Run serves a connection whose opening handshake somebody else has made, and
// returns when it has ended: nil if by a closing handshake, else why. Nobody else
// may write to nc or read from it, and Run closes it. After Shutdown the client
// gets a Close with 1001 at once.
func (s *Server) Run(nc net.Conn, up Upgraded) error {
	c := s.run(nc, func(c *Conn) (rest []byte, more bool) { return up.Buffered, c.adopt(up) })
	var closed *CloseError
	if err := c.Err(); !errors.As(err, &closed) {
		return err
	}
	return nil
}

// adopt opens a connection whose opening handshake somebody else has made.
func (c *Conn) adopt(up Upgraded) (more bool) {
	c.watch.enter(c.server.clock.now())
	defer func() { c.watch.leave(c.server.clock.now()) }()
	return c.open(up)
}

// handshake takes the next bytes of the opening handshake. It returns the bytes
// that came after it, and whether the connection goes on.
func (c *Conn) handshake(b []byte) (rest []byte, more bool) {
	var parser handshake.RequestParser // most requests come whole
	if more := c.more.Load(); more != nil {
		parser = *more.opening
	}
	r, n, err := parser.Parse(b)
	if err != nil {
		return nil, c.refuse(err)
	}
	if r == nil {
		kept := c.reserve()
		if kept.opening == nil {
			kept.opening = new(handshake.RequestParser)
		}
		*kept.opening = parser
		return nil, true
	}
	c.more.Store(nil) // there is nothing else in it yet
	room := responses.Get().(*[responseRoom]byte)
	defer responses.Put(room)
	up, err := c.server.upgrade(r, room[:0])
	if err != nil {
		return nil, c.refuse(err)
	}
	c.head, up.Request = r.Text(), nil
	return b[n:], c.open(up)
}

// responses lends room for a response of the usual size, in bytes.
var responses = sync.Pool{New: func() any { return new([responseRoom]byte) }}

const responseRoom = 512

// refuse answers with an HTTP error. What else the client sends is not looked
// at: a proxy may have taken it for a request, and the client for frames.
func (c *Conn) refuse(err error) (more bool) {
	refused := refusal(err)
	c.phase.Store(endedPhase)
	c.server.counters.count(func(st *Stats) {
		st.Opening--
		st.refused(refused)
	})
	c.server.report(&RefusedError{RemoteAddr: c.RemoteAddr(), Err: refused})
	c.transport.Write(handshake.AppendRefusal(nil, refused))
	c.transport.Finish(drainTime)
	return false
}

// open ends the opening handshake and begins the connection proper. It reports
// whether the connection goes on.
func (c *Conn) open(up Upgraded) (more bool) {
	if len(up.Response) > 0 {
		if _, err := c.transport.Write(up.Response); err != nil {
			c.endpoint.Lost(err, c.transport.Close)
			return false
		}
	}
	if up.Request != nil || up.Subprotocol != "" {
		more := c.reserve()
		more.request, more.subprotocol = up.Request, up.Subprotocol
	}
	c.handler = c.server.handler(c.Path())
	if c.handler == nil {
		c.handler = &c.server.Handler
	}
	if c.handler.Serve != nil {
		c.reserve().fiber = newFiber()
	}
	if c.policy() == SlowBlock {
		c.transport.Block()
	}
	partial := c.handler.Partial != nil && c.handler.Serve == nil
	c.endpoint.Init(c.output(), c.server.terms(partial, c.transport.Background()))
	c.server.counters.count((*Stats).opened)
	c.phase.Store(openPhase)
	return c.begin()
}
