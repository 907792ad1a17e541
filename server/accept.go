package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
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
	// beginning of the client's frames. It is the server's from then on.
	Buffered []byte

	// Value is what Conn.Value returns at first: what whoever has made the opening
	// handshake knows about the client.
	Value any
}

// Upgrade decides on an opening handshake request that somebody else has read
// (RFC 6455, Section 4.2). It returns what Run and Adopt need, but for Buffered and
// Value. The error is a *handshake.Error, with the HTTP status that the request should be refused
// with: see handshake.AppendRefusal.
func (s *Server) Upgrade(r *handshake.Request) (Upgraded, error) {
	returned := false
	defer func() {
		if !returned { // the caller's goroutine ends
			s.caught(nil)
			s.counters.count(func(st *Stats) { st.refused(&handshake.Error{Status: 500}) })
		}
	}()
	up, err := s.tryUpgrade(r)
	returned = true
	return up, err
}

// tryUpgrade is Upgrade without the care for an Authorize that does not return.
func (s *Server) tryUpgrade(r *handshake.Request) (Upgraded, error) {
	if err := s.full(); err != nil {
		s.counters.count(func(st *Stats) { st.refused(refusal(err)) })
		return Upgraded{}, err
	}
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
func (s *Server) accept(r *handshake.Request) (a handshake.ServerAnswer, err error) {
	if s.shuttingDown() {
		return a, errShuttingDown
	}
	u, err := handshake.ValidateRequest(r)
	if err != nil {
		return a, err
	}
	if err := s.checkPatterns(); err != nil {
		return a, s.cannotAnswer(err)
	}
	if err := handshake.CheckHost(r, s.Hosts); err != nil {
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

// authorize calls Authorize. One that panics has not agreed. The caller reports a
// call of runtime.Goexit.
func (s *Server) authorize(r *handshake.Request, a *handshake.ServerAnswer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.caught(p)
			err = &handshake.Error{Status: 500, Reason: "panic in Authorize"}
		}
	}()
	return s.Authorize(r, a)
}

// checkPatterns returns an error if Hosts or Origins has a malformed pattern.
func (s *Server) checkPatterns() error {
	s.patterns.once.Do(func() {
		s.patterns.err = errors.Join(handshake.ValidateHosts(s.Hosts), handshake.ValidateOrigins(s.Origins))
	})
	return s.patterns.err
}

// cannotAnswer refuses a request because of a fault of the program: Log is told the
// reason, the client only the status.
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
	var c *Conn
	open := func(made *Conn, t transport) {
		c = made
		s.upgraded(c, t, &up)
	}
	ended := make(chan struct{})
	if !s.runElsewhere(nc, open, up.start(), ended) {
		s.goroutines().begin(nc, open).serveElsewhere(up.start(), ended)
	}
	<-ended
	var closed *CloseError
	if err := c.Err(); !errors.As(err, &closed) {
		return err
	}
	return nil
}

// Adopt is Run for a caller that has other things to do: it returns at once, with
// the connection in the server's hands, and the 101, if there is one to be sent,
// still on its way. All handlers are called by others than the caller. How the
// connection ends, its Handler is told; if that is before it is open, Log.
//
// A TCP connection costs no goroutine then, where the server has a loop for many
// of them (see Server): what is not needed any more of nc, buffers included, is
// given up. Any other net.Conn, such as one with TLS, gets a goroutine of its own.
func (s *Server) Adopt(nc net.Conn, up Upgraded) {
	open := func(c *Conn, t transport) { s.upgraded(c, t, &up) }
	if !s.runElsewhere(nc, open, up.start(), nil) {
		s.goroutines().begin(nc, open).serveElsewhere(up.start(), nil)
	}
}

// upgraded makes c a connection whose opening handshake somebody else has made. It
// opens when it receives for the first time, and up is the server's until then.
func (s *Server) upgraded(c *Conn, t transport, up *Upgraded) {
	c.reserve().upgraded = up
	c.phase.Store(answeringPhase)
	s.begin(c, t)
}

// start returns what is to be received before anything is read. It is never nil:
// even if it is empty, receiving it opens the connection.
func (up *Upgraded) start() []byte {
	if up.Buffered == nil {
		return []byte{}
	}
	return up.Buffered
}

// handshake takes the next bytes of the opening handshake. It returns the bytes
// that came after it, and whether the connection goes on.
func (c *Conn) handshake(b []byte) (rest []byte, more bool) {
	c.phase.CompareAndSwap(acceptedPhase, requestPhase)
	var parser handshake.RequestParser // most requests come whole
	if more := c.more.Load(); more != nil {
		if up := more.upgraded; up != nil { // by somebody else
			more.upgraded = nil
			return b, c.open(*up)
		}
		parser = *more.opening
	}
	parser.Limits = c.server.HandshakeLimits
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
	if !c.phase.CompareAndSwap(requestPhase, answeringPhase) {
		return nil, false // Shutdown has refused it
	}
	c.more.Store(nil) // there is nothing else in it yet
	room := responses.Get().(*[responseRoom]byte)
	defer responses.Put(room)
	if c.server.HTTP != nil && !r.WantsWebSocket() {
		return nil, c.serveHTTP(r, room[:0])
	}
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

// refuse answers with an HTTP error, and ends the connection.
func (c *Conn) refuse(err error) (more bool) {
	if c.phase.Swap(endedPhase) != endedPhase { // else Shutdown has refused it
		c.sendRefusal(err)
	}
	return false
}

// refuseShutdown ends an opening handshake because the server is shutting down. A
// client that has sent part of its request is answered. It may be called from any
// goroutine.
func (c *Conn) refuseShutdown() {
	switch c.phase.Load() {
	case acceptedPhase:
		_ = c.cut(nil)
	case requestPhase:
		if c.phase.CompareAndSwap(requestPhase, endedPhase) {
			c.sendRefusal(errShuttingDown)
		}
	}
}

// errShuttingDown refuses an opening handshake.
var errShuttingDown = &handshake.Error{Status: 503, Reason: "the server is shutting down"}

// sendRefusal answers with an HTTP error, by the one who has set endedPhase.
func (c *Conn) sendRefusal(err error) {
	refused := refusal(err)
	c.server.counters.count(func(st *Stats) {
		st.Opening--
		st.refused(refused)
	})
	if !refused.NotWebSocket {
		c.server.report(&RefusedError{RemoteAddr: c.RemoteAddr(), Err: refused})
	}
	c.lastAnswer(handshake.AppendRefusal(nil, refused))
}

// lastAnswer answers a request that opens no connection. Later input is discarded: a
// proxy may have taken it for a request, and the client for frames.
func (c *Conn) lastAnswer(response []byte) {
	c.transport.Write(response)
	c.transport.Finish(drainTime)
}

// serveHTTP answers a request that is plain HTTP as Server.HTTP says, and ends the
// connection. It has room for the response.
func (c *Conn) serveHTTP(r *handshake.Request, room []byte) (more bool) {
	s := c.server
	response, err := s.answerHTTP(r, room)
	if err != nil {
		return c.refuse(err)
	}
	c.phase.Store(endedPhase)
	s.counters.count(func(st *Stats) {
		st.Opening--
		st.Answered++
	})
	c.lastAnswer(response)
	return false
}

// answerHTTP returns the answer of Server.HTTP to a request that is plain HTTP.
func (s *Server) answerHTTP(r *handshake.Request, room []byte) ([]byte, error) {
	_, err := handshake.ValidateRequest(r) // it is no opening handshake
	switch refused := refusal(err); {
	case s.shuttingDown():
		return nil, &handshake.Error{Status: 503, Reason: "the server is shutting down", NotWebSocket: true}
	case refused.Status == 400, !strings.HasPrefix(r.Proto, "HTTP/1."): // no valid request at all
		return nil, err
	}
	if hostErr := handshake.CheckHost(r, s.Hosts); hostErr != nil {
		return nil, hostErr
	}
	answer := s.HTTP(r)
	if answer == nil {
		return nil, err
	}
	response, unsendable := handshake.AppendHTTPAnswer(room, r, answer)
	if unsendable != nil {
		return nil, s.cannotAnswer(unsendable)
	}
	return response, nil
}

// hungUp reports whether err, by which the connection ended in the opening handshake, is
// only that the client closed it, or reset it before it sent a byte of a request. Load
// balancers probe a port that way.
func (c *Conn) hungUp(err error) bool {
	switch {
	case err == nil, err == io.EOF, errors.Is(err, net.ErrClosed):
		return true
	case errors.Is(err, errConnReset):
		return c.phase.Load() == acceptedPhase
	}
	return false
}

// open ends the opening handshake and begins the connection proper. It reports
// whether the connection goes on.
func (c *Conn) open(up Upgraded) (more bool) {
	if len(up.Response) > 0 {
		if _, err := c.transport.Write(up.Response); err != nil {
			c.endpoint.TransportClosed(err, c.transport.Close)
			return false
		}
	}
	if up.Request != nil || up.Subprotocol != "" {
		more := c.reserve()
		more.request, more.subprotocol = up.Request, up.Subprotocol
	}
	if up.Value != nil {
		c.SetValue(up.Value)
	}
	c.handler = c.server.handler(c.Path())
	if c.handler == nil {
		c.handler = &c.server.Handler
	}
	if c.handler.Serve != nil {
		c.reserve().fiber = newFiber()
	}
	partial := c.handler.Partial != nil && c.handler.Serve == nil
	c.endpoint.Init(c.transport, c.server.terms(partial))
	if c.policy() == SlowBlock {
		c.endpoint.SetBackpressure(backpressure{c})
	}
	c.server.counters.count((*Stats).opened)
	c.phase.Store(openPhase)
	c.begin()
	return true
}
