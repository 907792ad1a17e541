package client

import (
	"context"
	"errors"
	"strings"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
)

// Proxy selects the proxy of a connection; see Config.Proxy. ProxyURL,
// ProxyFromEnvironment and ProxyFunc return one. Any number of Dials may use a
// Proxy at the same time.
type Proxy interface {
	// Select returns the URL of the proxy for the server with the URL u, with
	// user and password, or "" for a direct connection. ctx bounds the function
	// of ProxyFunc. The error is a *ProxyError, or that of ctx.
	Select(ctx context.Context, u *handshake.URL) (proxy string, err error)

	// prepare sets d.address and d.tunnel if d.url is connected through a proxy.
	prepare(ctx context.Context, d *dialer) error
}

// proxyFunc is a Proxy by its Select.
type proxyFunc func(ctx context.Context, u *handshake.URL) (proxy string, err error)

func (f proxyFunc) Select(ctx context.Context, u *handshake.URL) (proxy string, err error) {
	return f(ctx, u)
}

func (f proxyFunc) prepare(ctx context.Context, d *dialer) error {
	url, err := f(ctx, d.url)
	if err != nil {
		return dialError(ctx, d.url, err)
	}
	if url == "" {
		return nil
	}
	return d.useProxy(url)
}

// tunnel opens a tunnel to the server over t, the connection to the proxy. If
// that failed with err, it returns err as the error of the proxy.
type tunnel func(ctx context.Context, t netloop.Transport, err error) (netloop.Transport, error)

// ProxyURL returns a Proxy with a URL such as
//
//	http://proxy.example:3128         HTTP CONNECT; default port 80
//	https://proxy.example             HTTP CONNECT over TLS; default port 443
//	socks5://user:secret@192.0.2.1    SOCKS5 (RFC 1928); default port 1080
//
// socks5h means the same as socks5, and a URL without a scheme is an http URL.
// The proxy resolves the name of the server. It receives the user and password
// of its URL, which must be percent-encoded. If the URL is not valid, Dial
// returns a *ProxyError with a *handshake.URLError.
func ProxyURL(url string) Proxy {
	return proxyFunc(func(context.Context, *handshake.URL) (string, error) { return url, nil })
}

// ProxyFunc returns a Proxy that selects by f: f returns the URL of the proxy
// for the server with the URL u, as in ProxyURL, or "" for a direct connection.
// Dial calls f once, and once more for each redirect that it follows, on a
// goroutine of its own. ctx is that of Dial, which returns when it ends. An
// error of f is in a *ProxyError.
func ProxyFunc(f func(ctx context.Context, u *handshake.URL) (proxy string, err error)) Proxy {
	return proxyFunc(func(ctx context.Context, u *handshake.URL) (string, error) {
		url := ""
		err := call(ctx, func() (err error) {
			url, err = f(ctx, u)
			return err
		})
		switch {
		case err != nil && ctx.Err() != nil:
			return "", err // url may still be written
		case err != nil:
			return "", &ProxyError{Err: err}
		}
		return url, nil
	})
}

// useProxy makes d connect through the proxy with a URL.
func (d *dialer) useProxy(url string) error {
	u, err := handshake.ParseProxyURL(url)
	if err != nil {
		return &ProxyError{Err: err}
	}
	p := &proxyServer{u}
	d.address = u.Address()
	if u.Scheme == "socks5" {
		d.tunnel, err = p.prepareSOCKS(d)
	} else {
		d.tunnel, err = p.prepareCONNECT(d)
	}
	return err
}

// proxyServer is the proxy with a URL.
type proxyServer struct{ url *handshake.URL }

// name returns the URL without user and password.
func (p *proxyServer) name() string { return p.url.Scheme + "://" + p.url.Address() }

// failed returns the error of the proxy for err.
func (p *proxyServer) failed(err error) *ProxyError { return &ProxyError{Proxy: p.name(), Err: err} }

// failedStep returns the error of the proxy for err of a step of the tunnel. If
// ctx has ended, that caused a *noReply.
func (p *proxyServer) failedStep(ctx context.Context, err error) *ProxyError {
	e := p.failed(err)
	if step, ok := err.(*noReply); ok {
		e.Step, e.Err = step.name, step.err
		if ctx.Err() != nil {
			e.Err = context.Cause(ctx)
		}
	}
	return e
}

// noReply reports that the transport or the context ended in a step that the
// proxy did not answer.
type noReply struct {
	name string // the step
	err  error
}

func (e *noReply) Error() string { return e.name + ": " + withoutPrefix(e.err) }

func (e *noReply) Unwrap() error { return e.err }

// unanswered returns err of a step: as a *noReply if ctx has ended.
func unanswered(ctx context.Context, step string, err error) error {
	if ctx.Err() != nil {
		err = &noReply{step, err}
	}
	return err
}

// errZoneThroughProxy: the zone of an IPv6 address names an interface of this
// machine, and nothing or another interface on the proxy's.
var errZoneThroughProxy = errors.New("an address with a zone cannot be reached through a proxy")

// prepareCONNECT returns the tunnel through an HTTP proxy (RFC 6455, Section
// 4.1, step 3; RFC 9110, Section 9.3.6).
func (p *proxyServer) prepareCONNECT(d *dialer) (tunnel, error) {
	address := d.url.Address()
	if strings.Contains(address, "%") {
		return nil, p.failed(errZoneThroughProxy)
	}
	request := []byte("CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n")
	header := withDefaultFields(d.cfg.ProxyHeader, "Proxy-Authorization", p.url.Authorization())
	request, err := handshake.AppendHeader(request, header)
	if err != nil {
		return nil, err
	}
	request = append(request, "\r\n"...)
	return func(ctx context.Context, t netloop.Transport, err error) (netloop.Transport, error) {
		if err != nil {
			return nil, p.failedStep(ctx, unanswered(ctx, "connect", err))
		}
		if p.url.Secure {
			if t, _, err = secure(ctx, t, d.cfg.ProxyTLS, withoutZone(p.url.Host), "http"); err != nil {
				return nil, p.failedStep(ctx, unanswered(ctx, "TLS handshake", err))
			}
		}
		return t, p.requestTunnel(ctx, t, request, d.url.Port)
	}, nil
}

// requestTunnel sends the CONNECT request and reads the response. Only after a
// 2xx is the server at the other end. The proxy must send nothing behind its
// response: those bytes would be read as the server's.
func (p *proxyServer) requestTunnel(ctx context.Context, t netloop.Transport, request []byte, port uint16) error {
	const step = "CONNECT request"
	if _, err := t.Write(request); err != nil {
		return p.failedStep(ctx, &noReply{step, err})
	}
	buf := make([]byte, 1<<10)
	response, rest, err := readResponse(t, buf, nil)
	switch {
	case err != nil:
		if _, malformed := err.(*handshake.ResponseError); !malformed {
			if err = tlsFailure(err); !isTLSError(err) {
				err = &noReply{step, err}
			}
		}
		return p.failedStep(ctx, err)
	case response.Status < 200 || response.Status > 299:
		return &ProxyError{Proxy: p.name(), Response: response, Err: p.refusal(response, port)}
	case len(rest) > 0:
		return p.failed(errors.New("the proxy sent bytes before the server could"))
	}
	return nil
}

// refusal returns the error for a response to CONNECT that is not a 2xx.
func (p *proxyServer) refusal(r *handshake.Response, port uint16) error {
	text := "CONNECT refused with " + statusText(r)
	switch {
	case r.Status == 407 && p.url.User == nil:
		text += " (set user and password in the URL of the proxy)"
	case r.Status == 407:
		text += " (the proxy does not accept the user and password of its URL)"
	case (r.Status == 403 || r.Status == 405) && port != 443:
		text += " (many proxies allow port 443 only: use wss)"
	case 502 <= r.Status && r.Status <= 504:
		text += " (the proxy cannot reach the server)"
	}
	return errors.New(text)
}
