package client

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/endpoint"
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
	if config.HandshakeTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, config.HandshakeTimeout, &handshakeTimeout{config.HandshakeTimeout})
		defer cancel()
	}
	nc, err := connect(ctx, u, &config)
	if err != nil {
		return nil, dialError(ctx, u, err)
	}
	c, err := open(ctx, nc, request, offer, &config)
	if err != nil {
		nc.Close()
		return nil, dialError(ctx, u, err)
	}
	return c, nil
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
func buildRequest(u handshake.URL, cfg *Config) ([]byte, *handshake.Offer, error) {
	offer := &handshake.Offer{
		Host:         u.HostHeader(),
		Target:       u.Target,
		Key:          handshake.NewKey(),
		Subprotocols: cfg.Subprotocols,
		Header:       cfg.Header,
	}
	if auth := u.Authorization(); auth != "" && !hasField(cfg.Header, "Authorization") {
		offer.Header = map[string][]string{"Authorization": {auth}}
		for name, values := range cfg.Header {
			offer.Header[name] = values
		}
	}
	request, err := handshake.AppendRequest(nil, offer)
	return request, offer, err
}

// hasField reports whether header has a field called name, in whatever case.
func hasField(header map[string][]string, name string) bool {
	for n := range header {
		if (handshake.Header{{Name: n}}).Count(name) > 0 {
			return true
		}
	}
	return false
}

// connect makes the connection that the opening handshake goes over: TCP, maybe
// through a proxy, and for wss TLS on it (Section 4.1, steps 3 to 5).
func connect(ctx context.Context, u handshake.URL, cfg *Config) (net.Conn, error) {
	var nc net.Conn
	var err error
	if cfg.Proxy != "" {
		nc, err = connectThroughProxy(ctx, u.Address(), cfg)
	} else {
		nc, err = cfg.DialContext(ctx, "tcp", u.Address())
	}
	if err != nil || !u.Secure {
		return nc, err
	}
	tc, err := startTLS(ctx, nc, cfg.TLS, u.Host)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// open makes the opening handshake on nc.
func open(ctx context.Context, nc net.Conn, request []byte, offer *handshake.Offer, cfg *Config) (*Conn, error) {
	stop := interruptOn(ctx, nc)
	if _, err := nc.Write(request); err != nil {
		stop()
		return nil, err
	}
	buf := make([]byte, readBufferSize)
	response, rest, err := readResponse(nc, buf, new(handshake.ResponseParser))
	if cfg.Trace != nil {
		cfg.Trace(request, response)
	}
	if err != nil {
		stop()
		if _, ok := err.(*handshake.ResponseError); ok {
			err = &HandshakeError{Err: err}
		}
		return nil, err
	}
	agreed, err := handshake.ValidateResponse(response, offer)
	if err != nil {
		body := readExcerpt(nc, response, rest)
		stop()
		return nil, &HandshakeError{Response: response, Body: body, Err: err}
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}

	c := &Conn{
		socket:      socket.New(nc, cfg.WriteTimeout),
		response:    response,
		subprotocol: agreed.Subprotocol,
		control:     cfg.Control,
		closeWait:   cfg.CloseTimeout,
		assembly:    assembly{limit: cfg.AssemblyTimeout},
		turn:        make(chan struct{}, 1),
		gone:        make(chan struct{}),
		small:       buf,
		in:          rest,
	}
	// Messages are delivered in pieces, and assembled in the caller's buffer.
	c.endpoint.Init(c.socket, endpoint.NewTerms(endpoint.Config{
		Role:       endpoint.Client,
		Limits:     cfg.Limits,
		Partial:    true,
		Background: socket.Background,
	}))
	return c, nil
}

// interruptOn makes what blocks on nc fail as soon as ctx is over. The function
// it returns ends that; it reports false if ctx was over before.
func interruptOn(ctx context.Context, nc net.Conn) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		nc.SetDeadline(time.Unix(1, 0))
		close(done)
	})
	return func() bool {
		if cancel() {
			return true
		}
		<-done
		return false
	}
}

// maxInterim bounds the interim responses, 100 or 103, before the final one.
const maxInterim = 8

// readResponse reads the head of a final response into buf. rest is what was
// read of the bytes that come after it.
func readResponse(nc net.Conn, buf []byte, p *handshake.ResponseParser) (r *handshake.Response, rest []byte, err error) {
	for interim := 0; ; {
		r, n, err := p.Parse(rest)
		if err != nil {
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
	}
}

const (
	excerptSize = 1 << 10     // how many bytes of an error's body are kept
	excerptWait = time.Second // how long they are waited for
)

// readExcerpt returns the beginning of the body of a response that refuses the
// handshake: what the server has to say about it. It is not decoded, and it
// is not worth waiting for.
func readExcerpt(nc net.Conn, r *handshake.Response, rest []byte) []byte {
	size := excerptSize
	if r.Status == 101 || r.Status == 204 || r.Status == 304 {
		return nil
	}
	if length, err := strconv.Atoi(r.Header.Get("Content-Length")); err == nil && length >= 0 {
		size = min(size, length)
	}
	body := make([]byte, size)
	n := copy(body, rest)
	nc.SetReadDeadline(time.Now().Add(excerptWait))
	for n < size {
		m, err := nc.Read(body[n:])
		n += m
		if err != nil {
			break
		}
	}
	return body[:n]
}
