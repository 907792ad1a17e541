package client

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
)

// Dial opens a WebSocket connection to a ws or wss URL, or to an http or https
// URL, which means the same (RFC 6455, Section 4.1). A nil cfg has all
// defaults. ctx bounds Dial only: its end does not affect an open connection.
//
// The error is a *handshake.URLError for a URL that is not valid, a
// *handshake.FieldError for a header field or subprotocol that cannot be sent,
// a *ProxyError or *HandshakeError for a proxy or server that refuses, a
// *TLSError if TLS failed, or wraps the error of the network or of a function
// of cfg. After Config.HandshakeTimeout it wraps a *TimeoutError.
//
// Dial follows redirects only with Config.Redirects. It does not wait for other
// Dials to the same host.
//
// A program for GOOS=js uses the WebSocket of the browser, unless
// Config.DialContext is set. The error is then a *BrowserError if Config has an
// option that pages do not have, or if the connection fails. docs/howto.md
// lists the differences.
func Dial(ctx context.Context, url string, cfg *Config) (*Conn, error) {
	u, err := handshake.ParseURL(url)
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if limit := cfg.HandshakeTimeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, &TimeoutError{Missing: "open connection", After: limit, Option: "HandshakeTimeout"})
		defer cancel()
	}
	d := &dialer{url: u, cfg: cfg}
	for {
		c, err := d.connect(ctx)
		if err == nil || cfg.Redirects == nil {
			return c, err
		}
		if err = cfg.Redirects.follow(ctx, d, err); err != nil {
			return nil, err
		}
	}
}

// dialer is the state of one connection attempt of Dial.
type dialer struct {
	url       *handshake.URL
	cfg       *Config
	redirects int // followed before this attempt

	offer   *handshake.ClientOffer
	request []byte // the opening handshake
	address string // of the server or the proxy
	tunnel  tunnel // through the proxy; nil without a proxy

	transport netloop.Transport   // with TLS if that is complete; nil before there is a connection
	response  *handshake.Response // nil before there is one

	// For Config.Trace:
	step      StepKind          // the last one
	stepEnded time.Time         // when the last step ended
	tunneled  netloop.Transport // of StepProxy
	secured   net.Conn          // of StepTLS
}

// connect opens the connection, or aborts the transport.
func (d *dialer) connect(ctx context.Context) (*Conn, error) {
	if usesBrowser(d.cfg) {
		return d.connectBrowser(ctx)
	}
	err := d.buildRequest(ctx)
	if err == nil && d.cfg.Proxy != nil {
		err = d.cfg.Proxy.prepare(ctx, d)
	}
	if err != nil {
		return nil, err
	}
	c, err := d.open(ctx)
	if err != nil {
		if d.transport != nil {
			d.transport.Abort()
		}
		return nil, dialError(ctx, d.url, err)
	}
	return c, nil
}

// failedDial is an error of the network, TLS or the context, with the address
// of the server.
type failedDial struct {
	_      [0]func() // not comparable: programs are smaller
	server string
	err    error
}

func (e *failedDial) Error() string {
	return "websocket: dial " + e.server + ": " + plain(withoutPrefix(e.err))
}

func (e *failedDial) Unwrap() error { return e.err }

// dialError returns the error of Dial for err. If ctx has ended, that caused
// err. A response of the server or proxy stands, even if ctx ended after it.
func dialError(ctx context.Context, u *handshake.URL, err error) error {
	switch err.(type) {
	case *HandshakeError, *ProxyError: // with the cause of ctx in a step of the proxy
		return err
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &failedDial{server: u.Address(), err: err}
}

// buildRequest sets the opening handshake request and the address.
func (d *dialer) buildRequest(ctx context.Context) (err error) {
	u, cfg := d.url, d.cfg
	d.address = u.Address()
	d.offer = &handshake.ClientOffer{
		Host:         cfg.Host,
		Target:       u.Target,
		Key:          handshake.NewKey(),
		Subprotocols: cfg.Subprotocols,
		Header:       withDefaultFields(cfg.Header, "Authorization", u.Authorization()),
	}
	if cfg.Host == "" {
		d.offer.Host = u.HostHeader()
	}
	if cfg.Compression != nil {
		d.offer.Extensions = cfg.Compression.Offers()
	}
	if cfg.Cookies != nil {
		if err := cfg.Cookies.add(ctx, d); err != nil {
			return err
		}
	}
	d.request, err = handshake.AppendRequest(nil, d.offer)
	return err
}

// userAgent is the default User-Agent (RFC 9110, Section 10.1.5).
const userAgent = "fibersock"

// withDefaultFields returns a copy of header with the User-Agent and, if value
// is not empty, with the field name, unless header has these fields.
func withDefaultFields(header map[string][]string, name, value string) map[string][]string {
	fields := make(map[string][]string, len(header)+2)
	hasAgent, hasName := false, value == ""
	for n, values := range header {
		hasAgent = hasAgent || isNamed(n, "User-Agent")
		hasName = hasName || isNamed(n, name)
		fields[n] = values
	}
	if !hasAgent {
		fields["User-Agent"] = []string{userAgent}
	}
	if !hasName {
		fields[name] = []string{value}
	}
	return fields
}

// isNamed reports whether n is name, in upper or lower case.
func isNamed(n, name string) bool { return (handshake.Header{{Name: n}}).Count(name) > 0 }

// open opens the transport and performs the opening handshake (Section 4.1,
// steps 3 to 5). The end of ctx cuts the transport.
func (d *dialer) open(ctx context.Context) (*Conn, error) {
	t, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := abortAfter(ctx, t)
	defer func() { stop() }()
	if d.tunnel != nil {
		t, err = d.tunnel(ctx, t, nil)
		d.tunneled = t
		if err = d.traced(ctx, StepProxy, err); err != nil {
			return nil, err
		}
	}
	if d.url.Secure {
		if t, err = d.startTLS(ctx, t); err != nil {
			return nil, err
		}
		stop()
		stop = abortAfter(ctx, t)
	}
	c, err := d.shake(ctx, t)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	return c, err
}

// abortAfter aborts t when ctx ends before stop is called.
func abortAfter(ctx context.Context, t netloop.Transport) (stop func() bool) {
	return context.AfterFunc(ctx, func() { t.Abort() })
}

// dial connects to the server or the proxy.
func (d *dialer) dial(ctx context.Context) (netloop.Transport, error) {
	if err := d.trace(ctx, stepStart, nil); err != nil {
		return nil, err
	}
	t, err := d.connectTo(ctx)
	if err == nil {
		d.transport = t
	}
	err = d.traced(ctx, StepConnect, err)
	if err != nil && d.tunnel != nil {
		_, err = d.tunnel(ctx, nil, err)
	}
	return t, err
}

// connectTo returns a connection to d.address. It returns when ctx ends.
func (d *dialer) connectTo(ctx context.Context) (netloop.Transport, error) {
	if d.cfg.DialContext != nil {
		return d.cfg.DialContext.dial(ctx, d.address)
	}
	return dialSocket(ctx, "tcp", d.address)
}

// dialSocket connects to a TCP or Unix address.
func dialSocket(ctx context.Context, network, address string) (netloop.Transport, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return netloop.NewSocketTransport(nc), nil
}

// ContextDialer opens connections for Dial. Use a [DialFunc].
type ContextDialer interface {
	dial(ctx context.Context, address string) (netloop.Transport, error)
}

// DialFunc is a ContextDialer that calls a function:
//
//	cfg := &client.Config{DialContext: client.DialFunc(listener.DialContext)}
//
// The function may return any net.Conn, even one whose deadlines do nothing. It
// is called with the network "tcp". If it returns a TLS connection, use a ws
// URL with the port, such as ws://example.com:443. It runs on a goroutine of
// its own: Dial returns when its context ends, and closes a connection that the
// function returns later. If it is nil, Dial opens the connection itself.
//
// The conversion links the code for connections that are no sockets of package
// net. Programs without a DialFunc are smaller.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func (f DialFunc) dial(ctx context.Context, address string) (netloop.Transport, error) {
	if f == nil {
		return dialSocket(ctx, "tcp", address)
	}
	nc, err := open(ctx, func() (net.Conn, error) { return f(ctx, "tcp", address) })
	if err != nil {
		return nil, err
	}
	return netloop.NewTransport(nc, recovered), nil
}

// startTLS performs the TLS handshake with the server over t.
func (d *dialer) startTLS(ctx context.Context, t netloop.Transport) (_ netloop.Transport, err error) {
	if host := withoutZone(d.url.Host); d.cfg.StartTLS != nil {
		t, d.secured, err = d.cfg.StartTLS.startTLS(ctx, t, host)
	} else {
		t, d.secured, err = secure(ctx, t, d.cfg.TLS, host, "ws")
	}
	if err == nil {
		d.transport = t
	}
	return t, d.traced(ctx, StepTLS, err)
}

// withoutZone returns host without the zone of an IPv6 address, which has a
// meaning on this machine only (RFC 6874, Section 1).
func withoutZone(host string) string {
	host, _, _ = strings.Cut(host, "%")
	return host
}

// call calls f, a function of the application, on a goroutine. It returns with
// it, or when ctx ends.
func call(ctx context.Context, f func() error) error {
	select {
	case err := <-netloop.Detach(f, recovered):
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// open calls f, a function of the application that opens a connection. It
// returns with it, or when ctx ends; then it closes the connection that f
// returns later. It closes one that f returns with an error too, such as a TLS
// connection whose handshake has failed.
func open(ctx context.Context, f func() (net.Conn, error)) (net.Conn, error) {
	var made net.Conn
	done := netloop.Detach(func() (err error) {
		made, err = f()
		switch v := reflect.ValueOf(made); {
		case made == nil || v.Kind() == reflect.Pointer && v.IsNil(): // such as a nil *tls.Conn
			if err == nil {
				err = errNoConnection
			}
		case err != nil:
			netloop.Detach(made.Close, recovered)
		}
		return err
	}, recovered)
	select {
	case err := <-done:
		return made, err
	case <-ctx.Done():
		netloop.Detach(func() error {
			if err := <-done; err != nil {
				return err
			}
			return made.Close()
		}, recovered)
		return nil, context.Cause(ctx)
	}
}

var errNoConnection = errors.New("the function of DialFunc or TLSFunc returned no connection and no error")

// shake performs the opening handshake on t.
func (d *dialer) shake(ctx context.Context, t netloop.Transport) (*Conn, error) {
	_, failed := t.Write(d.request)
	if err := d.trace(ctx, StepRequest, failed); err != nil {
		return nil, err
	}
	if failed != nil {
		// The server may have told the reason before: by an alert of TLS, for
		// example.
		t.SetReadDeadline(time.Now().Add(failureWait))
	}
	buf := make([]byte, netloop.SmallBuffer)
	response, rest, err := readResponse(t, buf, func() error { return d.trace(ctx, StepFirstByte, nil) })
	d.response = response
	if err := d.trace(ctx, StepResponse, err); err != nil {
		return nil, err
	}
	if err == nil && d.cfg.Cookies != nil {
		if err := d.cfg.Cookies.store(ctx, d); err != nil {
			return nil, err
		}
	}
	if err != nil {
		err = tlsFailure(err)
		if _, malformed := err.(*handshake.ResponseError); malformed {
			return nil, &HandshakeError{Err: err}
		}
		if failed != nil && !isTLSError(err) {
			err = failed
		}
		return nil, err
	}
	subprotocol, err := handshake.ValidateUpgrade(response, d.offer)
	var compression endpoint.Compression
	if err == nil && len(d.offer.Extensions) > 0 {
		compression, err = d.cfg.Compression.Negotiate(response, d.offer)
	}
	if err != nil {
		return nil, &HandshakeError{Response: response, Body: readExcerpt(t, response, rest), Err: err}
	}
	if failed != nil {
		return nil, failed
	}
	c := newConn(t, d.cfg, response, compression, rest)
	c.subprotocol = subprotocol
	return c, nil
}

// recovered returns the error of a function of the application that did not
// return.
func recovered(value any) error { return endpoint.NewPanicError(value) }

// trace reports to Config.Trace, if that is set, that a step has ended with
// err. It returns the error of a Trace that did not return.
//
//go:noinline
func (d *dialer) trace(ctx context.Context, kind StepKind, err error) error {
	if d.cfg.Trace == nil {
		return nil
	}
	d.step = kind
	return d.cfg.Trace.report(ctx, d, err)
}

// traced is trace for a step whose error ends Dial. It returns err, or the
// error of trace.
func (d *dialer) traced(ctx context.Context, kind StepKind, err error) error {
	if failed := d.trace(ctx, kind, err); failed != nil {
		return failed
	}
	return err
}

// newConn returns the open connection on t. rest has the bytes behind the
// response; they are copied.
func newConn(t netloop.Transport, cfg *Config, response *handshake.Response, compression endpoint.Compression, rest []byte) *Conn {
	t.SetWriteTimeout(netloop.WriteTimeout{After: cfg.WriteTimeout, Err: endpoint.NewWriteTimeout(cfg.WriteTimeout)}) // HandshakeTimeout was the limit so far
	c := &Conn{
		transport:    t,
		socket:       &netloop.NetConn{Conn: t},
		response:     response,
		control:      cfg.Control,
		closeTimeout: cfg.CloseTimeout,
		limits:       cfg.Limits,
		assembly:     assembly{limit: cfg.AssemblyTimeout},
		heartbeat:    heartbeat{interval: cfg.PingInterval / 2, timeout: cfg.PongTimeout},
		readLock:     newReadLock(),
		readerIdle:   make(chan struct{}, 1),
		done:         make(chan struct{}),
		in:           append([]byte(nil), rest...),
	}
	// The engine delivers pieces, and receiveEvent assembles them in the
	// caller's buffer.
	c.endpoint.Init(c.socket, endpoint.NewSharedConfig(endpoint.Config{
		Role:             endpoint.Client,
		Limits:           cfg.Limits,
		Partial:          true,
		Background:       func(flush func()) { go flush() },
		MaxOutgoingFrame: cfg.MaxOutgoingFrame,
		Compression:      compression,
	}))
	return c
}
