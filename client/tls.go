//go:build !notls

package client

import (
	"context"
	"crypto/tls"
	"net"
	"strings"

	"github.com/fibersock/fibersock/internal/netloop"
)

// TLSConfig is tls.Config. The build tag notls makes it an empty struct and
// removes crypto/tls, 2.4 MB, from the program.
type TLSConfig = tls.Config

// startTLS performs the TLS handshake with the server over t, by
// Config.StartTLS if that is set.
func (d *dialer) startTLS(ctx context.Context, t netloop.Transport) (netloop.Transport, error) {
	start := d.cfg.StartTLS
	if start == nil {
		start = tlsClient(d.cfg.TLS)
	}
	t, nc, err := secure(ctx, t, d.url.Host, "ws", start)
	return t, d.traced(ctx, StepTLS, nc, err)
}

// startProxyTLS performs the TLS handshake with the proxy host over t.
func (d *dialer) startProxyTLS(ctx context.Context, t netloop.Transport, host string) (netloop.Transport, error) {
	t, _, err := secure(ctx, t, host, "http", tlsClient(d.cfg.ProxyTLS))
	return t, err
}

// secure calls start with t. It returns when ctx ends, even if start does not
// return: the end of ctx aborts t. plain is the scheme of URLs without TLS, for
// a hint.
func secure(ctx context.Context, t netloop.Transport, host, plain string, start func(context.Context, net.Conn, string) (net.Conn, error)) (netloop.Transport, net.Conn, error) {
	host, _, _ = strings.Cut(host, "%") // a zone has a meaning on this machine only (RFC 6874, Section 1)
	nc, err := open(ctx, func() (net.Conn, error) { return start(ctx, t, host) })
	if err != nil {
		return nil, nil, &TLSError{Err: err, hint: plainHTTPHint(err, plain)}
	}
	return netloop.Over(nc, t, recovered), nc, nil
}

// tlsClient returns a function that performs the TLS handshake with cfg, which
// may be nil.
func tlsClient(cfg *TLSConfig) func(ctx context.Context, nc net.Conn, host string) (net.Conn, error) {
	return func(ctx context.Context, nc net.Conn, host string) (net.Conn, error) {
		own := cfg.Clone() // nil of nil
		if own == nil {
			own = new(tls.Config)
		}
		if own.ServerName == "" {
			own.ServerName = host
		}
		own.NextProtos = []string{"http/1.1"}
		tc := tls.Client(nc, own)
		return tc, tc.HandshakeContext(ctx)
	}
}

// plainHTTPHint returns a hint if err of the TLS handshake shows that the
// server speaks plain HTTP. scheme is that of URLs without TLS.
func plainHTTPHint(err error, scheme string) string {
	if notTLS, ok := err.(tls.RecordHeaderError); ok && string(notTLS.RecordHeader[:]) == "HTTP/" {
		return "plain HTTP came in answer to TLS: the port expects no TLS (" + scheme + ")"
	}
	return ""
}

// withoutIdentity returns a copy of cfg without the certificates of the client
// and without ServerName, for another server.
func withoutIdentity(cfg *TLSConfig) *TLSConfig {
	if cfg == nil {
		return nil
	}
	cfg = cfg.Clone()
	cfg.Certificates, cfg.GetClientCertificate, cfg.ServerName = nil, nil, ""
	return cfg
}
