package client

import (
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/texts"
)

// The reasons why a connection ends, and their causes. The first three are
// net.ErrClosed under errors.Is; see Conn.
type (
	// CloseError: the server closed the connection, with Code and Reason.
	CloseError = endpoint.CloseError

	// FailError: this side failed the connection with Code, because the server
	// broke a rule or a limit, which is Err.
	FailError = endpoint.FailError

	// LostError: the transport ended without a closing handshake, by Err.
	LostError = endpoint.LostError

	// LimitError: the cause of a FailError if the server exceeded a limit.
	LimitError = endpoint.LimitError

	// CloseFrameError: the cause of a FailError if the server's Close frame was
	// invalid. It has the code and reason of the frame.
	CloseFrameError = endpoint.CloseFrameError

	// TimeoutError: a time limit expired; Option names it. It is the cause of a
	// FailError (AssemblyTimeout), of a LostError (WriteTimeout, CloseTimeout,
	// PongTimeout) and of the error of Dial (HandshakeTimeout).
	TimeoutError = endpoint.TimeoutError

	// PanicError: a function of the application panicked or called
	// runtime.Goexit: a callback of Config or Config.TLS, or a method of a
	// net.Conn that Config.DialContext returned.
	PanicError = endpoint.PanicError
)

// UsageError reports a call that is never valid in this state of the Conn.
// Nothing was sent, and the connection has not changed.
type UsageError = endpoint.UsageError

// ErrClosed is the error of calls after this side has closed the connection.
// It is net.ErrClosed under errors.Is.
var ErrClosed = endpoint.ErrClosed

// ErrGoexit is the Value of a PanicError if the function called
// runtime.Goexit.
var ErrGoexit = endpoint.ErrGoexit

// Errors of wrong calls.
var (
	ErrNotData           = endpoint.ErrNotData
	ErrMessageFinished   = endpoint.ErrMessageFinished
	ErrMessageAbandoned  = endpoint.ErrMessageAbandoned
	ErrConcurrentReceive = endpoint.ErrConcurrentReceive
	ErrReaderAbandoned   = endpoint.ErrReaderAbandoned
)

// HandshakeError reports that the server refused the connection: with a status
// other than 101, or a 101 that is not valid (RFC 6455, Section 4.1).
type HandshakeError struct {
	Response *handshake.Response // status and header fields; nil if there was no HTTP response
	Body     []byte              // the first bytes of the body, at most 1 KiB, without chunk framing
	Err      error               // the broken rule
}

// Error returns a text with the server's status, or with the broken rule.
func (e *HandshakeError) Error() string {
	r := e.Response
	if r == nil || r.Status == 101 {
		return "websocket: handshake failed: " + withoutPrefix(e.Err)
	}
	s := "websocket: handshake refused with " + statusText(r)
	for _, name := range [...]string{"Location", "Retry-After"} {
		if value := r.Header.Get(name); value != "" {
			s += ", " + name + " " + quote(value)
		}
	}
	if len(e.Body) > 0 {
		s += ": " + quote(string(e.Body))
	}
	return s
}

// Unwrap returns Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// TLSError reports that TLS failed: during its handshake, or later by an alert
// of the server. In TLS 1.3 a server that demands a certificate of the client
// sends its alert after the client's handshake has finished.
type TLSError struct {
	_ [0]func() // not comparable: programs are smaller

	Err  error // an error of crypto/tls, crypto/x509 or the transport
	hint string
}

// Error returns a text with the cause.
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

// tlsFailure returns err as a *TLSError if it is a TLS alert of the server.
func tlsFailure(err error) error {
	for e := err; e != nil && !isTLSError(e); e = errors.Unwrap(e) {
		if alert, ok := e.(*net.OpError); ok && alert.Op == "remote error" {
			return &TLSError{Err: err}
		}
	}
	return err
}

func isTLSError(err error) bool {
	_, ok := err.(*TLSError)
	return ok
}

// statusText returns the status and the reason phrase of r.
func statusText(r *handshake.Response) string {
	s := "status " + strconv.Itoa(r.Status)
	if r.Reason != "" {
		s += " " + quote(r.Reason)
	}
	return s
}

// ProxyError reports that there is no tunnel to the server: the proxy cannot be
// connected to, refuses, or is configured wrong.
type ProxyError struct {
	Proxy    string              // scheme, host and port; "" if the URL is invalid
	Step     string              // the step without a reply of the proxy, see ProxyError.Error; "" for another cause
	Response *handshake.Response // the refusal of an HTTP proxy; nil otherwise
	Err      error               // the cause; a *SOCKSError for the refusal of a SOCKS5 proxy
}

// Error returns a text with the proxy, the step and the cause. The steps are
// "connect", "TLS handshake", "CONNECT request", "SOCKS greeting", "SOCKS
// authentication" and "SOCKS request".
func (e *ProxyError) Error() string {
	text := "websocket: proxy "
	if e.Proxy != "" {
		text += e.Proxy + ": "
	}
	if e.Step != "" {
		text += e.Step + ": "
	}
	return text + plain(withoutPrefix(e.Err))
}

// Unwrap returns the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// withoutPrefix returns the text of err without the library's prefix.
func withoutPrefix(err error) string { return texts.WithoutPrefix(err) }

// plain returns a text of another package for an error. A peer may have chosen
// a part of the text: crypto/x509 copies the names of a certificate. plain
// escapes the characters that do not print, and cuts the text after 500 bytes.
func plain(s string) string { return texts.Plain(s, 500) }

// quote returns the peer's text for an error: quoted, and cut after 200 bytes.
func quote(s string) string { return texts.Quote(s, 200) }
