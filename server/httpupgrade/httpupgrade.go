// Package httpupgrade serves WebSocket connections from an http.Server: it makes
// an http.Handler of a server.Server, for any mux and behind any middleware that
// lets connections be taken over (http.ResponseController).
//
//	mux.Handle("/ws", httpupgrade.Handler(&server.Server{…}))
//
// The opening handshake is held against the same rules as in package server. The
// http.Server's own timeouts end with it, and its Shutdown does not know the
// connections: call server.Server.Shutdown as well.
package httpupgrade

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/server"
)

// Handler returns an http.Handler that upgrades requests to connections of s. A
// request that is not an acceptable opening handshake is answered with the HTTP
// error that fits. Handler returns from ServeHTTP as soon as the connection is
// s's; use server.Handler.Close for what is to be done at its end.
func Handler(s *server.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up, err := s.Upgrade(request(r))
		if err != nil {
			if s.Log != nil {
				s.Log(&server.RefusedError{RemoteAddr: addr(r.RemoteAddr), Err: err})
			}
			refuse(w, r, err)
			return
		}
		nc, buffered, err := takeOver(w)
		if err != nil {
			if s.Log != nil {
				s.Log(err)
			} else {
				log.Print(err)
			}
			refuse(w, r, &handshake.Error{Status: http.StatusInternalServerError})
			return
		}
		up.Buffered = buffered
		s.Adopt(nc, up)
	})
}

// addr is a client's address as net/http knows it.
type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }

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
	nc, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("websocket: cannot take over the connection from a %T, which may need an Unwrap method: %w", w, err)
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("websocket: taking over the connection: %w", err)
	}
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
	http.Error(w, http.StatusText(e.HTTPStatus()), e.HTTPStatus())
}
