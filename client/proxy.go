package client

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/fibersock/fibersock/handshake"
)

// connectThroughProxy asks the proxy of cfg for a way to addr by CONNECT (RFC
// 6455, Section 4.1, step 3; RFC 9110, Section 9.3.6).
func connectThroughProxy(ctx context.Context, addr string, cfg *Config) (net.Conn, error) {
	proxy, err := handshake.ParseURL(cfg.Proxy)
	if err != nil {
		return nil, &ProxyError{Err: err}
	}
	if strings.Contains(addr, "%") {
		return nil, &ProxyError{Err: errZoneThroughProxy}
	}
	nc, err := cfg.DialContext(ctx, "tcp", proxy.Address())
	if err != nil {
		return nil, &ProxyError{Err: err}
	}
	way := nc
	if proxy.Secure {
		if way, err = startTLS(ctx, nc, nil, proxy.Host); err != nil {
			err = &ProxyError{Err: err}
		}
	}
	if err == nil {
		err = tunnel(ctx, way, addr, proxy.Authorization())
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return way, nil
}

// errZoneThroughProxy: the zone of an IPv6 address names an interface of this
// machine. It means nothing to a proxy, or worse, something else.
var errZoneThroughProxy = errors.New("an address with a zone cannot be reached through a proxy")

// tunnel makes the CONNECT request on nc, until ctx ends.
func tunnel(ctx context.Context, nc net.Conn, addr, authorization string) error {
	stop := interruptOn(ctx, nc)
	err := requestTunnel(nc, addr, authorization)
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

// requestTunnel sends the CONNECT request and reads the answer. Only a 2xx means
// that what follows comes from addr. The proxy has nothing more to say then:
// bytes behind its answer could only be taken for the server's.
func requestTunnel(nc net.Conn, addr, authorization string) error {
	request := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if authorization != "" {
		request += "Proxy-Authorization: " + authorization + "\r\n"
	}
	if _, err := nc.Write([]byte(request + "\r\n")); err != nil {
		return &ProxyError{Err: err}
	}
	buf := make([]byte, 1<<10)
	response, rest, err := readResponse(nc, buf, new(handshake.ResponseParser))
	switch {
	case err != nil:
		return &ProxyError{Err: err}
	case response.Status < 200 || response.Status > 299:
		return &ProxyError{Status: response.Status, Err: errors.New("CONNECT refused")}
	case len(rest) > 0:
		return &ProxyError{Err: errors.New("the proxy sent bytes before the server could")}
	}
	return nil
}
