package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
)

// Handshake is an opening handshake that another party has done: net/http, or a
// program with its own.
type Handshake struct {
	// Request is the client's handshake request. It may be nil. The server keeps
	// its text.
	Request *handshake.Request

	// Subprotocol is the negotiated subprotocol, "" if there is none.
	Subprotocol string

	// Extensions are the extensions of the 101 response: that of
	// Server.Compression, with its negotiated parameters, or none.
	Extensions []handshake.Extension

	// Response is the 101 response, if it has not been sent. The server writes
	// it before the first frame.
	Response []byte

	// Buffered holds the bytes that have been read behind the request: the
	// beginning of the client's frames. The server owns them from then on.
	Buffered []byte

	// Value is the initial Conn.Value.
	Value any

	// Context has values for Conn.Context of a connection with Handler.Serve or
	// of Accept. Its end has no effect. It may be nil.
	Context context.Context
}

// AcceptHandshake checks an opening handshake request that another party has
// read (RFC 6455, Section 4.2). It returns the Handshake for Run, Adopt or
// Accept, in which the caller sets Buffered and Value. subprotocols, if there
// are any, replace Server.Subprotocols for this request.
//
// The error is a *handshake.Error with the HTTP status of the refusal; see
// handshake.AppendRefusal.
func (s *Server) AcceptHandshake(r *handshake.Request, subprotocols ...string) (Handshake, error) {
	returned := false
	defer func() {
		if !returned { // Authorize or CheckOrigin ends the goroutine
			s.caught(nil)
			s.counters.count(func(st *Stats) { st.refused(&handshake.Error{Status: 500}) })
		}
	}()
	err := s.full()
	var up Handshake
	if err == nil {
		if len(subprotocols) == 0 {
			subprotocols = s.Subprotocols
		}
		up, _, err = s.negotiate(r, subprotocols, nil)
	}
	returned = true
	if err != nil {
		s.counters.count(func(st *Stats) { st.refused(refusal(err)) })
	}
	return up, err
}

// negotiate checks a request and appends the response to buf. It also returns
// the compression of the response's extensions.
func (s *Server) negotiate(r *handshake.Request, subprotocols []string, buf []byte) (Handshake, endpoint.Compression, error) {
	a, err := s.answer(r, subprotocols)
	if err != nil {
		return Handshake{}, nil, refusal(err)
	}
	compression, err := s.compression(a.Extensions)
	if err != nil {
		return Handshake{}, nil, s.cannotAnswer(err)
	}
	response, err := handshake.AppendResponse(buf, &a)
	if err != nil {
		return Handshake{}, nil, s.cannotAnswer(err)
	}
	return Handshake{Request: r, Subprotocol: a.Subprotocol, Extensions: a.Extensions, Response: response}, compression, nil
}

// answer follows Section 4.2.2: it returns the server's answer to a request, or
// the reason for the refusal. Its extensions are not checked yet.
func (s *Server) answer(r *handshake.Request, subprotocols []string) (a handshake.ServerAnswer, err error) {
	if s.shuttingDown() {
		return a, errShuttingDown
	}
	offer, err := handshake.ValidateRequest(r)
	if err != nil {
		return a, err
	}
	if err := s.checkPatterns(); err != nil {
		return a, s.cannotAnswer(err)
	}
	if err := handshake.CheckHost(r, s.Hosts); err != nil {
		return a, err
	}
	if err := s.checkOrigin(r); err != nil {
		return a, err
	}
	if s.handler(r.Path()) == nil {
		return a, &handshake.Error{Status: 404, Reason: "no handler for this path"}
	}
	a.Key = offer.Key
	a.Subprotocol = handshake.SelectSubprotocol(offer.Subprotocols, subprotocols)
	if s.Compression != nil {
		a.Extensions = s.Compression.Answer(offer.Extensions)
	}
	if s.Authorize != nil {
		shared := a // escapes to the heap
		if err := s.authorize(r, &shared); err != nil {
			return a, err
		}
		a = shared
	}
	if a.Subprotocol != "" && !slices.Contains(offer.Subprotocols, a.Subprotocol) { // Section 4.2.2, item 5.5
		return a, s.cannotAnswer(fmt.Errorf("websocket: Authorize chose subprotocol %.100q, which the client does not offer", a.Subprotocol))
	}
	return a, nil
}

// compression returns the compression that the extensions of an answer accept,
// nil if there are none.
func (s *Server) compression(answer []handshake.Extension) (endpoint.Compression, error) {
	switch {
	case len(answer) == 0:
		return nil, nil
	case s.Compression == nil:
		return nil, fmt.Errorf("websocket: the answer accepts extension %.100q, and Server.Compression is not set", answer[0].Name)
	}
	return s.Compression.Accepted(answer)
}

// checkOrigin applies Origins and CheckOrigin.
func (s *Server) checkOrigin(r *handshake.Request) (err error) {
	err = handshake.CheckOrigin(r, s.Origins)
	if err == nil || s.CheckOrigin == nil || refusal(err).Status != 403 {
		return err
	}
	defer s.refuseOnPanic("CheckOrigin", &err)
	if s.CheckOrigin(r) {
		return nil
	}
	return err
}

// authorize calls Authorize.
func (s *Server) authorize(r *handshake.Request, a *handshake.ServerAnswer) (err error) {
	defer s.refuseOnPanic("Authorize", &err)
	return s.Authorize(r, a)
}

// refuseOnPanic is deferred around an option that is a function of the
// application: a panic in it refuses the handshake. The caller of the caller
// reports a call of runtime.Goexit.
func (s *Server) refuseOnPanic(option string, err *error) {
	if p := recover(); p != nil {
		s.caught(p)
		*err = &handshake.Error{Status: 500, Reason: "panic in " + option}
	}
}

// checkPatterns returns an error if a pattern of Hosts or Origins is malformed.
func (s *Server) checkPatterns() error {
	s.patterns.once.Do(func() {
		s.patterns.err = errors.Join(handshake.ValidateHosts(s.Hosts), handshake.ValidateOrigins(s.Origins))
	})
	return s.patterns.err
}

// cannotAnswer refuses a request because of a mistake of the application: Log
// gets the reason, the client only the status.
func (s *Server) cannotAnswer(err error) *handshake.Error {
	s.report(err)
	return &handshake.Error{Status: 500, Reason: err.Error()}
}

// refusal returns err as a *handshake.Error: one of Authorize's own has status
// 403.
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

// Run serves a connection whose opening handshake another party has done, and
// returns when it has ended: nil after a closing handshake, otherwise the
// reason. Run closes nc; the caller must neither read from it nor write to it.
// After Shutdown the client gets a Close with 1001 at once.
func (s *Server) Run(nc net.Conn, h Handshake) error {
	up := &upgraded{Handshake: h}
	ended := make(chan struct{})
	s.serveUpgraded(nc, up, ended)
	<-ended
	var closed *CloseError
	if err := up.conn.Err(); !errors.As(err, &closed) {
		return err
	}
	return nil
}

// Adopt is Run without waiting: it returns at once, and the server owns the
// connection. Handlers run on other goroutines, and write the 101 response
// there, if Handshake has one. The Handler learns how the connection ends; Log
// does, if it ends before it is open.
//
// With epoll, a TCP connection then costs no goroutine, and neither does one of
// crypto/tls over a connection of BelowTLS; see the package documentation. Any
// other net.Conn gets a goroutine of its own. Adopt keeps no buffer of nc.
func (s *Server) Adopt(nc net.Conn, h Handshake) {
	s.serveUpgraded(nc, &upgraded{Handshake: h}, nil)
}

// BelowTLS returns ln for TLS of another party, such as an http.Server:
//
//	err := hs.ServeTLS(server.BelowTLS(ln), certFile, keyFile)
//
// On Linux, TLS connections over its connections that are then passed to Adopt,
// Run or Accept, or to package httpupgrade, cost no goroutine. On other
// systems, and if ln is no *net.TCPListener, BelowTLS returns ln itself.
//
// The net.Conn below a TLS connection of crypto/tls cannot be exchanged, and a
// *net.TCPConn there always makes the goroutine wait that reads or writes.
func BelowTLS(ln net.Listener) net.Listener { return netloop.BelowTLS(ln) }

// Accept is Adopt for a caller that receives from the connection itself, as
// Handler.Serve does. It returns the connection once it is open, which includes
// that the 101 response is written, or the reason why it did not open.
//
// The caller calls Receive or one of its variants, and must end the connection
// by Close or CloseNow. Messages that find a full mailbox after Close are
// discarded. Of the Handler for the path, Open, Writable, Control, Error and
// Close are called; Message, Partial and Serve are not. SlowDefault is
// SlowBlock.
func (s *Server) Accept(nc net.Conn, h Handshake) (*Conn, error) {
	up := &upgraded{Handshake: h, accepted: &acceptance{done: make(chan struct{})}}
	s.serveUpgraded(nc, up, nil)
	<-up.accepted.done
	if err := up.accepted.err; err != nil {
		return nil, err
	}
	return up.conn, nil
}

// upgraded is a connection of Run, Adopt or Accept.
type upgraded struct {
	Handshake
	conn     *Conn
	accepted *acceptance // of Accept; nil otherwise
}

// acceptance is the result of Accept.
type acceptance struct {
	once sync.Once
	done chan struct{}
	err  error // set before done is closed; nil: the connection is open
}

// finish makes Accept return. The first call decides.
func (a *acceptance) finish(err error) {
	a.once.Do(func() {
		a.err = err
		close(a.done)
	})
}

// finishAccept makes Accept return, if it waits for c.
func (c *Conn) finishAccept(err error) {
	if ext := c.ext.Load(); ext != nil && ext.accepted != nil {
		ext.accepted.finish(err)
	}
}

// serveUpgraded serves nc, which opens when it receives for the first time.
// ended, if it is not nil, is closed when the connection has ended.
func (s *Server) serveUpgraded(nc net.Conn, up *upgraded, ended chan struct{}) {
	s.loop().Start(nc, func(polled bool) (netloop.Conn, *netloop.PolledSocket) {
		c, socket := s.newConn(polled)
		up.conn = c
		ext := c.ensureExt()
		ext.upgraded, ext.accepted = up, up.accepted
		c.phase.store(phaseAnswering)
		return (*loopConn)(c), socket
	}, up.Buffered, ended)
}

// handshake consumes bytes of the opening handshake. It returns the bytes
// behind it, and whether the connection goes on.
func (c *Conn) handshake(b []byte) (rest []byte, ok bool) {
	c.phase.change(phaseAccepted, phaseRequested)
	var parser handshake.RequestParser // most requests arrive whole
	if ext := c.ext.Load(); ext != nil {
		if up := ext.upgraded; up != nil {
			ext.upgraded = nil
			if up.accepted == nil {
				c.ext.Store(nil) // its only field is upgraded
			}
			compression, err := c.server.compression(up.Extensions)
			if err != nil {
				c.endpoint.TransportClosed(err, c.transport.Abort)
				return b, false
			}
			return b, c.open(up.Handshake, compression)
		}
		parser = *ext.parser
	}
	parser.Limits = c.server.HandshakeLimits
	r, n, err := parser.Parse(b)
	if err != nil {
		return nil, c.refuse(err)
	}
	if r == nil {
		ext := c.ensureExt()
		if ext.parser == nil {
			ext.parser = new(handshake.RequestParser)
		}
		*ext.parser = parser
		return nil, true
	}
	if !c.phase.change(phaseRequested, phaseAnswering) {
		return nil, false // Shutdown has refused it
	}
	c.ext.Store(nil) // its only field is parser
	buf := responses.Get().(*[responseSize]byte)
	defer responses.Put(buf)
	if c.server.HTTP != nil && !r.WantsWebSocket() {
		return nil, c.serveHTTP(r, buf[:0])
	}
	up, compression, err := c.server.negotiate(r, c.server.Subprotocols, buf[:0])
	if err != nil {
		return nil, c.refuse(err)
	}
	return b[n:], c.open(up, compression)
}

// responses lends buffers for responses.
var responses = sync.Pool{New: func() any { return new([responseSize]byte) }}

// responseSize is the size in bytes of a buffer that most responses fit into.
const responseSize = 512

// refuse answers with an HTTP error and ends the connection.
func (c *Conn) refuse(err error) (ok bool) {
	if c.phase.end() { // else Shutdown has refused it
		c.sendRefusal(err)
	}
	return false
}

// refuseShutdown ends an opening handshake because the server shuts down. A
// client that has sent a part of its request gets an answer. It may be called
// from any goroutine.
func (c *Conn) refuseShutdown() {
	switch c.phase.load() {
	case phaseAccepted:
		_ = c.abort(nil)
	case phaseRequested:
		if c.phase.change(phaseRequested, phaseEnded) {
			c.sendRefusal(errShuttingDown)
		}
	}
}

// errShuttingDown refuses an opening handshake.
var errShuttingDown = &handshake.Error{Status: 503, Reason: "the server is shutting down"}

// sendRefusal answers with an HTTP error. The caller has set phaseEnded.
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

// lastAnswer answers a request that opens no connection. Later input is
// discarded: it may be another request of a proxy, or frames of the client.
func (c *Conn) lastAnswer(response []byte) {
	c.transport.Write(response)
	c.transport.CloseWrite(false)
}

// serveHTTP answers a plain HTTP request by Server.HTTP and ends the
// connection. buf is for the response.
func (c *Conn) serveHTTP(r *handshake.Request, buf []byte) (ok bool) {
	s := c.server
	response, err := s.answerHTTP(r, buf)
	if err != nil {
		return c.refuse(err)
	}
	c.phase.store(phaseEnded)
	s.counters.count(func(st *Stats) {
		st.Opening--
		st.Answered++
	})
	c.lastAnswer(response)
	return false
}

// answerHTTP returns the response of Server.HTTP to a plain HTTP request.
func (s *Server) answerHTTP(r *handshake.Request, buf []byte) ([]byte, error) {
	_, err := handshake.ValidateRequest(r) // it is no opening handshake
	switch refused := refusal(err); {
	case s.shuttingDown():
		return nil, &handshake.Error{Status: 503, Reason: "the server is shutting down", NotWebSocket: true}
	case refused.Status == 400, !strings.HasPrefix(r.Proto, "HTTP/1."): // no valid request
		return nil, err
	}
	if hostErr := handshake.CheckHost(r, s.Hosts); hostErr != nil {
		return nil, hostErr
	}
	answer := s.HTTP(r)
	if answer == nil {
		return nil, err
	}
	response, unsendable := handshake.AppendHTTPAnswer(buf, r, answer)
	if unsendable != nil {
		return nil, s.cannotAnswer(unsendable)
	}
	return response, nil
}

// hungUp reports whether err, which ended the connection in the opening
// handshake, only says that the client closed it, or reset it before the first
// byte of a request. Load balancers probe a port that way.
func (c *Conn) hungUp(err error) bool {
	switch {
	case err == nil, err == io.EOF, errors.Is(err, net.ErrClosed):
		return true
	case errors.Is(err, netloop.ErrConnReset):
		return c.phase.load() == phaseAccepted
	}
	return false
}

// open writes the response, if it has not been sent, and opens the connection
// with the compression of h.Extensions. It reports whether the connection goes
// on.
func (c *Conn) open(h Handshake, compression endpoint.Compression) (ok bool) {
	if c.endpoint.Err() != nil {
		return false // aborted, as one connection too many
	}
	if len(h.Response) > 0 {
		if _, err := c.transport.Write(h.Response); err != nil {
			c.endpoint.TransportClosed(err, c.transport.Abort)
			return false
		}
	}
	if h.Request != nil {
		if c.head = h.Request.Text(); c.head != "" {
			h.Request = nil // its text takes less memory
		}
	}
	if h.Request != nil || h.Subprotocol != "" {
		ext := c.ensureExt()
		ext.request, ext.subprotocol = h.Request, h.Subprotocol
	}
	if h.Value != nil {
		c.SetValue(h.Value)
	}
	c.handler = c.server.handler(c.Path())
	if c.handler == nil {
		c.handler = &c.server.Handler
	}
	ext := c.ext.Load()
	accepted := ext != nil && ext.accepted != nil
	if accepted || c.handler.Serve != nil {
		b := newMailbox(accepted)
		b.base = h.Context
		c.ensureExt().mailbox = b
	}
	partial := c.handler.Partial != nil || c.mailbox() != nil
	c.endpoint.Init(c.transport, c.server.sharedConfig(partial, compression))
	if c.policy() == SlowBlock {
		c.endpoint.SetBackpressure(backpressure{c.transport, c})
	}
	c.server.counters.count((*Stats).opened)
	c.noteMessage() // the opening handshake may have lasted longer than IdleTimeout
	c.phase.store(phaseOpen)
	c.callOpen()
	return true
}
