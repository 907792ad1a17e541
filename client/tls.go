//go:build !notls

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"github.com/fibersock/fibersock/internal/netloop"
)

// TLSConfig is tls.Config, unless the program is built with the tag notls,
// which leaves TLS and its megabytes out.
type TLSConfig = tls.Config

// startTLS makes the TLS handshake over below with the server called host. It returns
// when ctx ends, even if a callback of cfg does not.
func startTLS(ctx context.Context, below netloop.Transport, cfg *TLSConfig, host string) (netloop.Transport, error) {
	if cfg == nil {
		cfg = new(tls.Config)
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		// A zone is known on this machine only (RFC 6874, Section 1).
		cfg.ServerName, _, _ = strings.Cut(host, "%")
	}
	cfg.NextProtos = []string{"http/1.1"}
	tc := tls.Client(below, cfg)
	select {
	case err := <-netloop.Detach(func() error { return tc.HandshakeContext(ctx) }):
		if err != nil {
			return nil, &TLSError{Err: err, hint: plainHTTPHint(err)}
		}
		return netloop.Over(tc, below), nil
	case <-ctx.Done():
		below.Cut() // so that the handshake ends
		return nil, context.Cause(ctx)
	}
}

// plainHTTPHint returns a hint if the handshake failed with err because the server
// speaks plain HTTP.
func plainHTTPHint(err error) string {
	var notTLS tls.RecordHeaderError
	if errors.As(err, &notTLS) && string(notTLS.RecordHeader[:]) == "HTTP/" {
		return "plain HTTP came in answer to TLS: the port expects no TLS (ws)"
	}
	return ""
}
