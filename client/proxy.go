package client

import (
	"context"
	"errors"
	"strings"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/netloop"
)

// buildConnect returns the URL of cfg's proxy and the CONNECT request for a
// tunnel to u (RFC 6455, Section 4.1, step 3; RFC 9110, Section 9.3.6). The
// request is nil if there is no proxy.
func buildConnect(u *handshake.URL, cfg *Config) (proxy *handshake.URL, request []byte, err error) {
	if cfg.Proxy == "" {
		return nil, nil, nil
	}
	if proxy, err = handshake.ParseURL(cfg.Proxy); err != nil {
		return nil, nil, &ProxyError{Err: err}
	}
	address := u.Address()
	if strings.Contains(address, "%") {
		return nil, nil, &ProxyError{Err: errZoneThroughProxy}
	}
	request = append(request, "CONNECT "+address+" HTTP/1.1\r\nHost: "+address+"\r\n"...)
	header := withDefaultFields(cfg.ProxyHeader, "Proxy-Authorization", proxy.Authorization())
	if request, err = handshake.AppendHeader(request, header); err != nil {
		return nil, nil, err
	}
	return proxy, append(request, "\r\n"...), nil
}

// errZoneThroughProxy: the zone of an IPv6 address names an interface of this
// machine, and nothing or another interface on the proxy's.
var errZoneThroughProxy = errors.New("an address with a zone cannot be reached through a proxy")

// tunnel returns a tunnel to the server through the proxy at the other end of
// t.
func (d *dialer) tunnel(ctx context.Context, t netloop.Transport) (_ netloop.Transport, err error) {
	if d.proxy.Secure {
		if t, err = startTLS(ctx, t, nil, d.proxy.Host); err != nil {
			return nil, &ProxyError{Err: err}
		}
	}
	return t, requestTunnel(t, d.connect)
}

// requestTunnel sends the CONNECT request and reads the response. Only after a
// 2xx is the server at the other end. The proxy must send nothing behind its
// response: those bytes would be read as the server's.
func requestTunnel(t netloop.Transport, request []byte) error {
	if _, err := t.Write(request); err != nil {
		return &ProxyError{Err: err}
	}
	buf := make([]byte, 1<<10)
	response, rest, err := readResponse(t, buf, new(handshake.ResponseParser))
	switch {
	case err != nil:
		return &ProxyError{Err: tlsFailure(err)}
	case response.Status < 200 || response.Status > 299:
		return &ProxyError{Status: response.Status, Err: errors.New("CONNECT refused")}
	case len(rest) > 0:
		return &ProxyError{Err: errors.New("the proxy sent bytes before the server could")}
	}
	return nil
}
