package client

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
)

// How a connection can end. Each is net.ErrClosed under errors.Is; see the
// documentation of Conn.
type (
	// CloseError: the server closed the connection, with this code and reason.
	CloseError = endpoint.CloseError

	// FailError: this side failed the connection, because the server broke a
	// rule or a limit.
	FailError = endpoint.FailError

	// LostError: the transport ended without a closing handshake.
	LostError = endpoint.LostError

	// LimitError: the cause of a FailError, if the server went over a limit.
	LimitError = endpoint.LimitError

	// LateError: the cause of a FailError, if a message did not come to its end
	// within Config.AssemblyTimeout.
	LateError = endpoint.LateError

	// CloseFrameError: the cause of a FailError, if the server's Close frame was
	// invalid. It holds the code and reason.
	CloseFrameError = endpoint.CloseFrameError

	// PanicError: a function of the program panicked or called runtime.Goexit:
	// a callback of Config or of Config.TLS, a method of a net.Conn that
	// Config.DialContext returned, or a handler of Sockets.
	PanicError = netloop.PanicError

	// TimeoutError: the cause of a LostError, if the server read nothing for
	// Config.WriteTimeout.
	TimeoutError = netloop.TimeoutError
)

// UsageError is a call that makes no sense, whatever the server does. Nothing
// has been sent and the connection is as it was.
type UsageError = endpoint.UsageError

// ErrClosed is what a call returns that comes after this side closed the
// connection. It is net.ErrClosed under errors.Is.
var ErrClosed = endpoint.ErrClosed

// What a caller can do wrong.
var (
	ErrNotData           = endpoint.ErrNotData
	ErrMessageFinished   = endpoint.ErrMessageFinished
	ErrConcurrentReceive = &UsageError{Reason: "another call is receiving on this connection; receive from one goroutine at a time"}
	ErrReaderAbandoned   = &UsageError{Reason: "the message was abandoned by a later receive or by Close; read it to its end first"}
)

// HandshakeError says that the server did not accept the connection: it
// answered with another status than 101, or with a 101 that breaks the rules of
// RFC 6455, Section 4.1.
type HandshakeError struct {
	Response *handshake.Response // status and header fields; nil if there was no HTTP response
	Body     []byte              // the first bytes of the response's body, at most 1 KiB, without the framing of chunks
	Err      error               // what was wrong
}

// Error returns a text with the server's status or what is wrong with its answer.
func (e *HandshakeError) Error() string {
	s := "websocket: handshake refused"
	if e.Response != nil && e.Response.Status != 101 {
		s += " with status " + strconv.Itoa(e.Response.Status)
		if e.Response.Reason != "" {
			s += " " + quote(e.Response.Reason)
		}
		for _, name := range [...]string{"Location", "Retry-After"} {
			if value := e.Response.Header.Get(name); value != "" {
				s += ", " + name + " " + quote(value)
			}
		}
		if len(e.Body) > 0 {
			s += ": " + quote(string(e.Body))
		}
		return s
	}
	return "websocket: handshake failed: " + withoutPrefix(e.Err)
}

// Unwrap returns what was wrong.
func (e *HandshakeError) Unwrap() error { return e.Err }

// TLSError says that TLS failed: its handshake did not come to its end, or the server
// reported a failure by an alert. The alert may arrive after the client's part of the
// handshake, if the server demands a certificate of the client.
type TLSError struct {
	Err  error // an error of crypto/tls, crypto/x509 or the transport
	hint string
}

// Error returns the text of the cause.
func (e *TLSError) Error() string {
	text := withoutPrefix(e.Err)
	if !strings.Contains(text, "tls:") {
		text = "tls: handshake: " + text
	}
	if e.hint != "" {
		text += " (" + e.hint + ")"
	}
	return "websocket: " + text
}

// Unwrap returns the cause.
func (e *TLSError) Unwrap() error { return e.Err }

// tlsFailure returns err as a *TLSError if it is an alert of TLS that the server sent.
func tlsFailure(err error) error {
	var alert *net.OpError
	if !isTLSError(err) && errors.As(err, &alert) && alert.Op == "remote error" {
		return &TLSError{Err: err}
	}
	return err
}

func isTLSError(err error) bool {
	var failed *TLSError
	return errors.As(err, &failed)
}

// ProxyError says that the proxy did not open a way to the server.
type ProxyError struct {
	Status int   // the proxy's HTTP status; 0 if there was none
	Err    error // what was wrong
}

// Error returns a text with the proxy's status or what was wrong.
func (e *ProxyError) Error() string {
	if e.Status != 0 {
		return "websocket: the proxy refused CONNECT with status " + strconv.Itoa(e.Status)
	}
	return "websocket: proxy: " + plain(withoutPrefix(e.Err))
}

// Unwrap returns what was wrong.
func (e *ProxyError) Unwrap() error { return e.Err }

// withoutPrefix returns err's text without the library's prefix, for a text that
// has it already.
func withoutPrefix(err error) string { return strings.TrimPrefix(err.Error(), "websocket: ") }

// plain makes a text that others wrote, and in which a peer may have had its say, fit
// for an error: crypto/x509 repeats the names in a certificate as they are. What
// does not print is escaped, and the text is not of any length.
func plain(s string) string {
	const most = 500
	end := ""
	if len(s) > most {
		s, end = s[:most], "…"
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if strconv.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteString(s[:size])
		} else {
			quoted := strconv.Quote(s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
	return b.String() + end
}

// quote returns the peer's text for an error: quoted, and not at any length.
func quote(s string) string {
	const most = 200
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
