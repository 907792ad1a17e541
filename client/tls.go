//go:build !notls

package client

import (
	"context"
	"crypto/tls"
	"net"
)

// TLSConfig is tls.Config, unless the program is built with the tag notls,
// which leaves TLS and its megabytes out.
type TLSConfig = tls.Config

// startTLS makes the TLS handshake on nc with the server called host.
func startTLS(ctx context.Context, nc net.Conn, cfg *TLSConfig, host string) (net.Conn, error) {
	if cfg == nil {
		cfg = new(tls.Config)
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	cfg.NextProtos = []string{"http/1.1"}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return tc, nil
}
