// Package httpupgrade serves WebSocket connections from an http.Server: it makes
// an http.Handler of a server.Server, for any mux and behind any middleware that
// lets connections be taken over (http.ResponseController).
//
//	mux.Handle("/ws", httpupgrade.Handler(&server.Server{…}))
//
// or, in a http.HandlerFunc that knows something about the client,
//
//	httpupgrade.Upgrade(s, w, r, user)
//
// The opening handshake is held against the same rules as in package server. With
// it everything of net/http ends: the http.Handler returns, whatever becomes of the
// connection, and its goroutine, its buffers, the timeouts of the http.Server and
// the request's context are gone. The connection is from then on what one that
// server.Server.Serve has accepted is; over TLS it keeps a goroutine, and what
// crypto/tls keeps.
//
// http.Server.Shutdown and Close do not know the connections: call
// server.Server.Shutdown after them. Handshakes that come after that are refused
// with 503.
package httpupgrade

import (
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

// Handler returns an http.Handler that makes a connection of s of each request, as
// Upgrade does, without a value.
func Handler(s *server.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = Upgrade(s, w, r, nil) // the client has been told, and Log
	})
}

// Upgrade makes a connection of s out of a request, and returns without waiting for
// the end of that connection: what is to be done with it do the handlers of s, of
// which server.Handler.Serve is the one for those who want a function that runs as
// long as the connection lasts. value is what server.Conn.Value returns from the
// beginning.
//
// If the request is not an acceptable opening handshake, it is answered with the
// HTTP error that fits, and that *handshake.Error is returned; if w does not let
// its connection be taken over, with 500, and the error says why. s.Log has been
// told either way, unless the request was plain HTTP, and nothing is left to be done.
//
// Fields of w.Header are sent with the 101 too, such as Set-Cookie of middleware:
// see handshake.AddFields. Those that server.Server.Authorize sets come first.
//
// Server.HTTP and Server.HandshakeLimits are not for requests that net/http has read:
// the mux serves health checks, and http.Server.MaxHeaderBytes limits requests.
func Upgrade(s *server.Server, w http.ResponseWriter, r *http.Request, value any) error {
	up, err := s.AcceptHandshake(request(r))
	if err != nil {
		var refused *handshake.Error
		if s.Log != nil && !(errors.As(err, &refused) && refused.NotWebSocket) {
			s.Log(&server.RefusedError{RemoteAddr: addr(r.RemoteAddr), Err: err})
		}
		refuse(w, r, err)
		return err
	}
	var nc net.Conn
	var buffered []byte
	if up.Response, err = handshake.AddFields(up.Response, w.Header()); err == nil {
		nc, buffered, err = takeOver(w)
	}
	if err != nil {
		if s.Log != nil {
			s.Log(err)
		} else {
			log.Print(err)
		}
		refuse(w, r, &handshake.Error{Status: http.StatusInternalServerError})
		return err
	}
	up.Buffered, up.Value = buffered, value
	s.Adopt(nc, up)
	return nil
}

// addr is a client's address as net/http knows it, or as middleware has read it from
// a header field.
type addr string

func (addr) Network() string { return "tcp" }

// String returns the address, quoted if it is none that can stand in a log.
func (a addr) String() string {
	const most = 100
	if s := string(a); len(s) > most || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s[:min(len(s), most)])
	}
	return string(a)
}

// request returns r as the client sent it. net/http has taken some fields out of
// the header that matter here.
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

// takeOver takes the connection from net/http, with what has been read of it.
func takeOver(w http.ResponseWriter) (net.Conn, []byte, error) {
	control := http.NewResponseController(w)
	// A http.Server always reads ahead, and Hijack stops that by a read deadline.
	// Without one it would wait until the client sends something.
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, nil, fmt.Errorf("websocket: net/http cannot hand over a connection without read deadlines: %w", err)
	}
	nc, buf, err := control.Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("websocket: cannot take over the connection from a %T, which may need an Unwrap method: %w", w, err)
	}
	_ = nc.SetDeadline(time.Time{})                       // where that fails there is no deadline to be removed
	buffered, _ := buf.Reader.Peek(buf.Reader.Buffered()) // reads nothing
	return nc, append([]byte(nil), buffered...), nil
}

// refuse answers with the HTTP error that err is. As with a connection of package
// server, the client is not told more than the status, and the connection ends.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := &handshake.Error{Status: http.StatusForbidden}
	errors.As(err, &e)
	for name, values := range e.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	// HTTP/2 has no such field: there it would end all that shares the connection.
	if r.ProtoMajor == 1 {
		connection := []string{"close"}
		if w.Header().Get("Upgrade") != "" {
			// RFC 9110, Section 7.8. In a line of its own, because net/http
			// looks for "close" in the first only, and as nothing else.
			connection = append(connection, "Upgrade")
		}
		w.Header()["Connection"] = connection
	}
	http.Error(w, strings.TrimSuffix(e.Body(), "\n"), e.HTTPStatus())
}
