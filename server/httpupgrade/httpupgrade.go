// Package httpupgrade serves WebSocket connections of an http.Server. It works
// with any mux, and behind middleware whose http.ResponseWriter supports
// http.ResponseController.
//
// Handler serves all requests by the handlers of a server.Server:
//
//	mux.Handle("/ws", httpupgrade.Handler(&server.Server{…}))
//
// Upgrade does the same for one request, from an http.HandlerFunc that knows
// the client:
//
//	httpupgrade.Upgrade(s, w, r, user)
//
// Accept returns the connection, for code that receives by itself:
//
//	c, err := httpupgrade.Accept(w, r, nil)
//	if err != nil {
//		return // the client and the log have the reason
//	}
//	defer c.CloseNow()
//	for m, err := range c.Messages(r.Context()) {…}
//
// The opening handshake follows the rules of package server. It ends the part
// of net/http: its buffers, the timeouts of the http.Server and its bookkeeping
// do not apply to the connection. With Handler and Upgrade, the goroutine of
// the request ends too, and the connection is like one of server.Server.Serve.
// Over TLS it keeps the buffers of crypto/tls and, unless the listener of the
// http.Server is one of server.BelowTLS, a goroutine.
//
// http.Server.Shutdown and Close do not end the connections. Call
// server.Server.Shutdown after them; it refuses later handshakes with 503.
package httpupgrade

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/server"
)

// Handler returns an http.Handler that calls Upgrade for each request, with a
// nil value.
func Handler(s *server.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = Upgrade(s, w, r, nil) // the client and Log have the reason
	})
}

// Upgrade makes the request a connection of s and returns at once. The
// connection is served by s's handlers, on other goroutines. Set Handler.Serve
// for blocking code. value is the initial Conn.Value.
//
// A request that is no valid opening handshake is answered with an HTTP error;
// the result is that *handshake.Error. If w does not support
// http.ResponseController.Hijack, the status is 500 and the error says why.
// s.Log gets the error too, unless the request was plain HTTP. The caller has
// nothing more to do.
//
// The 101 response has the fields of Server.Authorize and then those of
// w.Header, such as Set-Cookie of middleware; see handshake.AddFields. The
// handshake.Request of Authorize has the context of r; in Handler.Serve,
// Conn.Context has its values.
// Server.HTTP and Server.HandshakeLimits do not apply: the mux serves plain
// HTTP, and http.Server.MaxHeaderBytes limits requests.
func Upgrade(s *server.Server, w http.ResponseWriter, r *http.Request, value any) error {
	nc, h, err := negotiate(s, w, r, &Options{Value: value})
	if err == nil {
		s.Adopt(nc, h)
	}
	return err
}

// Options are the options of Accept for one request.
type Options struct {
	// Server has the limits, timeouts, origins and hooks of the connection. The
	// default is DefaultServer.
	Server *server.Server

	// Subprotocols, if there are any, replace Server.Subprotocols.
	Subprotocols []string

	// Header has further fields for the 101 response. It replaces the fields of
	// w.Header of the same name.
	Header http.Header

	// Value is the initial Conn.Value.
	Value any
}

// DefaultServer serves the connections of Accept without Options.Server. A
// browser may connect from pages of the same origin only. Call its Shutdown to
// end all of its connections. Its fields may be set before the first call of
// Accept.
var DefaultServer = new(server.Server)

// Accept makes the request a connection and returns it, when the 101 response
// has been written. opts may be nil. The caller receives from the connection,
// on this or another goroutine, and must end it by Close or CloseNow: see
// server.Server.Accept. Only a connection from which the caller receives, or
// whose mailbox is not full, answers Pings and notices the client's Close.
//
// Do not use the request's context after the http.Handler has returned:
// net/http cancels it then. It does not end when the client disconnects;
// Receive and Conn.Context do. Conn.Context has its values.
//
// In case of an error the client has an answer, as with Upgrade, and the caller
// has nothing more to do.
func Accept(w http.ResponseWriter, r *http.Request, opts *Options) (*server.Conn, error) {
	if opts == nil {
		opts = new(Options)
	}
	s := opts.Server
	if s == nil {
		s = DefaultServer
	}
	nc, h, err := negotiate(s, w, r, opts)
	if err != nil {
		return nil, err
	}
	return s.Accept(nc, h)
}

// negotiate does the opening handshake up to the response. In case of an error
// it has answered the client and told s.Log.
func negotiate(s *server.Server, w http.ResponseWriter, r *http.Request, opts *Options) (net.Conn, server.Handshake, error) {
	asked := request(r)
	asked.SetContext(r.Context()) // for Authorize and CheckOrigin
	h, err := s.AcceptHandshake(asked, opts.Subprotocols...)
	asked.SetContext(context.Background()) // a connection without Serve does not keep it
	if err != nil {
		var refused *handshake.Error
		if s.Log != nil && !(errors.As(err, &refused) && refused.NotWebSocket) {
			s.Log(&server.RefusedError{RemoteAddr: addr(r.RemoteAddr), Err: err})
		}
		refuse(w, r, err)
		return nil, h, err
	}
	var nc net.Conn
	if h.Response, err = handshake.AddFields(h.Response, fields(w.Header(), opts.Header)); err == nil {
		nc, h.Buffered, err = takeOver(w)
	}
	if err != nil {
		if s.Log != nil {
			s.Log(err)
		} else {
			log.Print(err)
		}
		refuse(w, r, &handshake.Error{Status: http.StatusInternalServerError})
		return nil, h, err
	}
	h.Value, h.Context = opts.Value, r.Context()
	return nc, h, nil
}

// fields returns header with the fields of override in place of those of the
// same name.
func fields(header, override http.Header) http.Header {
	if len(override) == 0 {
		return header
	}
	header = header.Clone()
	for name, values := range override {
		if header == nil {
			header = make(http.Header)
		}
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header
}

// addr is a client's address in http.Request.RemoteAddr, which middleware may
// have set from a header field.
type addr string

func (addr) Network() string { return "tcp" }

// String returns the address, quoted if it has characters that do not belong in
// a log.
func (a addr) String() string {
	const most = 100
	if s := string(a); len(s) > most || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s[:min(len(s), most)])
	}
	return string(a)
}

// request returns r as the client sent it. net/http removes fields from the
// header that are part of the handshake.
func request(r *http.Request) *handshake.Request {
	header := make(handshake.Header, 0, len(r.Header)+3)
	header = append(header, handshake.Field{Name: "Host", Value: r.Host})
	for _, coding := range r.TransferEncoding {
		header = append(header, handshake.Field{Name: "Transfer-Encoding", Value: coding})
	}
	if r.ContentLength > 0 && r.Header.Get("Content-Length") == "" {
		header = append(header, handshake.Field{Name: "Content-Length", Value: fmt.Sprint(r.ContentLength)})
	}
	for name, values := range r.Header {
		for _, value := range values {
			header = append(header, handshake.Field{Name: name, Value: value})
		}
	}
	return &handshake.Request{Method: r.Method, Target: r.RequestURI, Proto: r.Proto, Header: header}
}

// takeOver takes the connection from net/http, with the bytes that it has
// buffered.
func takeOver(w http.ResponseWriter) (net.Conn, []byte, error) {
	control := http.NewResponseController(w)
	// An http.Server reads ahead, and Hijack stops that by a read deadline.
	// Without one, Hijack would wait for the client's first frame.
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, nil, fmt.Errorf("websocket: net/http cannot hand over a connection without read deadlines: %w", err)
	}
	nc, buf, err := control.Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("websocket: cannot take over the connection from a %T, which may need an Unwrap method: %w", w, err)
	}
	_ = nc.SetDeadline(time.Time{})                       // if it fails, there is no deadline to remove
	buffered, _ := buf.Reader.Peek(buf.Reader.Buffered()) // without reading from nc
	return nc, append([]byte(nil), buffered...), nil
}

// refuse answers with the HTTP error err. As in package server, the client gets
// the status only, and the connection ends.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := &handshake.Error{Status: http.StatusForbidden}
	errors.As(err, &e)
	for name, values := range e.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	// HTTP/2 has no such field: there it would end all streams of the
	// connection.
	if r.ProtoMajor == 1 {
		connection := []string{"close"}
		if w.Header().Get("Upgrade") != "" {
			// RFC 9110, Section 7.8. net/http looks for "close" in the first
			// value only, and for nothing else in it.
			connection = append(connection, "Upgrade")
		}
		w.Header()["Connection"] = connection
	}
	http.Error(w, strings.TrimSuffix(e.Body(), "\n"), e.HTTPStatus())
}
