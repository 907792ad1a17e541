package client

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/socket"
)

// Dial opens a WebSocket connection to a ws or wss URL (http and https stand
// for them), RFC 6455, Section 4.1. cfg may be nil. ctx bounds the dial only:
// once the connection is open it has no effect on it.
//
// The error is a *handshake.URLError for a URL that cannot be dialed, a
// *handshake.FieldError for a header field or subprotocol that cannot be sent,
// a *ProxyError or *HandshakeError for a proxy or server that refuses, or the
// error of the network or of TLS, wrapped.
//
// Redirects are not followed, and dials to the same host do not wait for each
// other.
func Dial(ctx context.Context, url string, cfg *Config) (*Conn, error) {
	u, err := handshake.ParseURL(url)
	if err != nil {
		return nil, err
	}
	config := cfg.withDefaults()
	request, offer, err := buildRequest(u, &config)
	if err != nil {
		return nil, err
	}
	proxy, connect, err := buildConnect(u, &config)
	if err != nil {
		return nil, err
	}
	if config.HandshakeTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, config.HandshakeTimeout, &handshakeTimeout{config.HandshakeTimeout})
		defer cancel()
	}
	d := &dialing{url: u, cfg: &config, request: request, offer: offer, proxy: proxy, connect: connect}
	c, err := d.open(ctx)
	if err != nil {
		if d.transport != nil {
			d.transport.Cut()
		}
		return nil, dialError(ctx, u, err)
	}
	return c, nil
}

// dialing is a dial that is under way.
type dialing struct {
	url     handshake.URL
	cfg     *Config
	request []byte // the opening handshake
	offer   *handshake.ClientOffer
	proxy   handshake.URL
	connect []byte // the request for the proxy; nil without a proxy

	transport socket.Transport // the lowest one; nil before there is a connection
}

// handshakeTimeout is why a dial that took too long was given up.
type handshakeTimeout struct{ after time.Duration }

func (e *handshakeTimeout) Error() string {
	return "no open connection after " + e.after.String() + " (HandshakeTimeout)"
}

func (e *handshakeTimeout) Timeout() bool { return true }
func (e *handshakeTimeout) Unwrap() error { return context.DeadlineExceeded }

// dialFailure is an error of the network, TLS or the context, with the server
// that was dialed.
type dialFailure struct {
	server string
	err    error
}

func (e *dialFailure) Error() string {
	return "websocket: dial " + e.server + ": " + plain(withoutPrefix(e.err))
}

func (e *dialFailure) Unwrap() error { return e.err }

// dialError says of err what caused it: if ctx is over, that is why the network
// failed. What the server has answered stands, even if ctx ended after it.
func dialError(ctx context.Context, u handshake.URL, err error) error {
	if _, ok := err.(*HandshakeError); ok {
		return err
	}
	if ctx.Err() != nil {
		return &dialFailure{u.Address(), context.Cause(ctx)}
	}
	if _, ok := err.(*ProxyError); ok {
		return err
	}
	return &dialFailure{u.Address(), err}
}

// buildRequest returns the opening handshake request, before anything is sent.
func buildRequest(u handshake.URL, cfg *Config) ([]byte, *handshake.ClientOffer, error) {
	offer := &handshake.ClientOffer{
		Host:         u.HostHeader(),
		Target:       u.Target,
		Key:          handshake.NewKey(),
		Subprotocols: cfg.Subprotocols,
		Header:       make(map[string][]string, len(cfg.Header)+1),
	}
	if auth := u.Authorization(); auth != "" && !hasField(cfg.Header, "Authorization") {
		offer.Header["Authorization"] = []string{auth}
	}
	hosts := 0
	for name, values := range cfg.Header {
		if isNamed(name, "Host") {
			hosts++
		}
		if isNamed(name, "Host") && len(values) == 1 && hosts == 1 {
			offer.Host = values[0]
		} else {
			offer.Header[name] = values
		}
	}
	request, err := handshake.AppendRequest(nil, offer)
	return request, offer, err
}

// hasField reports whether header has a field called name, in whatever case.
func hasField(header map[string][]string, name string) bool {
	for n := range header {
		if isNamed(n, name) {
			return true
		}
	}
	return false
}

// isNamed reports whether n is name, in whatever case.
func isNamed(n, name string) bool { return (handshake.Header{{Name: n}}).Count(name) > 0 }

// open makes the connection, and the opening handshake on it (Section 4.1, steps 3 to
// 5, and the rest). The connection is cut when ctx ends.
func (d *dialing) open(ctx context.Context) (*Conn, error) {
	t, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { d.transport.Cut() })
	defer stop()
	if d.connect != nil {
		if t, err = d.tunnel(ctx, t); err != nil {
			return nil, err
		}
	}
	if d.url.Secure {
		if t, err = startTLS(ctx, t, d.cfg.TLS, d.url.Host); err != nil {
			return nil, err
		}
	}
	c, err := d.shake(t)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	return c, err
}

// dial makes the connection to the server or the proxy.
func (d *dialing) dial(ctx context.Context) (socket.Transport, error) {
	address := d.url.Address()
	if d.connect != nil {
		address = d.proxy.Address()
	}
	nc, err := d.dialContext(ctx, address)
	if err == nil {
		d.transport = socket.NewTransport(nc)
		return d.transport, nil
	}
	if d.connect != nil {
		err = &ProxyError{Err: err}
	}
	return nil, err
}

// dialContext calls Config.DialContext, and returns when it has returned or ctx ends.
func (d *dialing) dialContext(ctx context.Context, address string) (nc net.Conn, err error) {
	if d.cfg.DialContext == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	var made net.Conn
	done := socket.Detach(func() (err error) {
		made, err = d.cfg.DialContext(ctx, "tcp", address)
		if made == nil && err == nil {
			err = errNoConnection
		}
		return err
	})
	select {
	case err := <-done:
		return made, err
	case <-ctx.Done():
		socket.Detach(func() error {
			if err := <-done; err != nil {
				return err
			}
			return made.Close()
		})
		return nil, context.Cause(ctx)
	}
}

var errNoConnection = errors.New("Config.DialContext returned no connection and no error")

// shake makes the opening handshake on t.
func (d *dialing) shake(t socket.Transport) (*Conn, error) {
	cfg := d.cfg
	_, failed := t.Write(d.request)
	if failed != nil {
		// The server may have said why it hung up: by an alert of TLS, for example.
		t.SetReadDeadline(time.Now().Add(failureWait))
	}
	buf := make([]byte, socket.SmallBuffer)
	response, rest, err := readResponse(t, buf, new(handshake.ResponseParser))
	if cfg.Trace != nil {
		traced := <-socket.Detach(func() error {
			cfg.Trace(d.request, response)
			return nil
		})
		if traced != nil {
			return nil, traced
		}
	}
	if err != nil {
		var malformed *handshake.ResponseError
		switch err = tlsFailure(err); {
		case errors.As(err, &malformed):
			err = &HandshakeError{Err: err}
		case failed != nil && !isTLSError(err):
			err = failed
		}
		return nil, err
	}
	agreed, err := handshake.ValidateResponse(response, d.offer)
	if err != nil {
		body := readExcerpt(t, response, rest)
		return nil, &HandshakeError{Response: response, Body: body, Err: err}
	}
	if failed != nil {
		return nil, failed
	}
	t.SetWriteTimeout(cfg.WriteTimeout) // until here HandshakeTimeout is the limit

	c := &Conn{
		transport:   t,
		socket:      socket.New(t, 0),
		response:    response,
		subprotocol: agreed.Subprotocol,
		control:     cfg.Control,
		closeWait:   cfg.CloseTimeout,
		assembly:    assembly{limit: cfg.AssemblyTimeout},
		readLock:    newReadLock(),
		parked:      make(chan struct{}, 1),
		gone:        make(chan struct{}),
		buffer:      socket.NewBuffer(buf),
		in:          rest,
	}
	// Messages are delivered in pieces, and assembled in the caller's buffer.
	c.endpoint.Init(c.socket, endpoint.NewSharedConfig(endpoint.Config{
		Role:             endpoint.Client,
		Limits:           cfg.Limits,
		Partial:          true,
		Background:       socket.Background,
		MaxOutgoingFrame: cfg.MaxOutgoingFrame,
	}))
	return c, nil
}

// maxInterim bounds the interim responses, 100 or 103, before the final one.
const maxInterim = 8

// The first byte of a TLS record that answers plain HTTP (RFC 8446, Section 5.1).
const (
	tlsAlert     = 0x15
	tlsHandshake = 0x16
)

// readResponse reads the head of a final response into buf. rest holds the bytes behind
// it that were read with it.
func readResponse(nc net.Conn, buf []byte, p *handshake.ResponseParser) (r *handshake.Response, rest []byte, err error) {
	first := byte(0)
	for interim := 0; ; {
		r, n, err := p.Parse(rest)
		if err != nil {
			if first == tlsAlert || first == tlsHandshake {
				err = &handshake.ResponseError{Reason: "a TLS record came in answer to plain HTTP: the port expects TLS (wss)"}
			}
			return nil, nil, err
		}
		rest = rest[n:]
		if r != nil {
			if r.Status == 101 || r.Status >= 200 {
				return r, rest, nil
			}
			if interim++; interim > maxInterim {
				return nil, nil, &handshake.ResponseError{Reason: "more than " + strconv.Itoa(maxInterim) + " interim responses"}
			}
			p.Reset()
			continue
		}
		n, err = nc.Read(buf)
		if n == 0 && err != nil {
			return nil, nil, err
		}
		rest = buf[:n]
		if first == 0 && n > 0 {
			first = rest[0]
		}
	}
}

const (
	excerptSize = 1 << 10     // how many bytes of an error's body are kept
	excerptWait = time.Second // how long they are waited for
)

// readExcerpt returns the beginning of the body of a response that refuses the
// handshake: the server's explanation. Chunks are decoded, other codings are not.
func readExcerpt(nc net.Conn, r *handshake.Response, rest []byte) []byte {
	if r.Status == 101 || r.Status == 204 || r.Status == 304 {
		return nil
	}
	size, chunked := excerptSize, r.Header.HasToken("Transfer-Encoding", "chunked")
	if chunked {
		size = 2 * excerptSize // the chunks' sizes need room too
	} else if length, err := strconv.Atoi(r.Header.Get("Content-Length")); err == nil && length >= 0 {
		size = min(size, length)
	}
	raw := make([]byte, size)
	n := copy(raw, rest)
	nc.SetReadDeadline(time.Now().Add(excerptWait))
	for ended := false; ; {
		body, complete := raw[:n], false
		if chunked {
			body, complete = dechunk(body)
		}
		if complete || n == size || ended {
			return body[:min(len(body), excerptSize)]
		}
		m, err := nc.Read(raw[n:])
		n += m
		ended = err != nil
	}
}

// dechunk returns the payload in the chunks that raw begins with, and reports whether
// no more will follow: the last chunk is there, or a chunk is malformed (RFC 9112,
// Section 7.1). Bytes between a chunk and its CRLF are those of a server that counts
// wrong; they are kept.
func dechunk(raw []byte) (body []byte, complete bool) {
	for text := string(raw); ; { // package strings is in every client anyway
		line, after, found := strings.Cut(text, "\r\n")
		if !found {
			return body, false
		}
		digits, _, _ := strings.Cut(line, ";")
		for digits != "" && (digits[len(digits)-1] == ' ' || digits[len(digits)-1] == '\t') { // RFC 9112, 7.1.1: bad white space
			digits = digits[:len(digits)-1]
		}
		size, err := strconv.ParseUint(digits, 16, 31)
		switch {
		case err != nil || size == 0:
			return body, true
		case int(size) >= len(after):
			return append(body, after...), false
		}
		beyond, next, found := strings.Cut(after[size:], "\r\n")
		body = append(body, after[:int(size)+len(beyond)]...)
		if !found {
			return body, false
		}
		text = next
	}
}
