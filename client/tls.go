//go:build !notls

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"github.com/fibersock/fibersock/internal/netloop"
)

// TLSConfig is tls.Config. The build tag notls makes it an empty struct and
// removes crypto/tls, 2.5 MB, from the program.
type TLSConfig = tls.Config

// startTLS performs the TLS handshake over below with the server host. It
// returns when ctx ends, even if a callback of cfg does not return.
func startTLS(ctx context.Context, below netloop.Transport, cfg *TLSConfig, host string) (netloop.Transport, error) {
	if cfg == nil {
		cfg = new(tls.Config)
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		// A zone has a meaning on this machine only (RFC 6874, Section 1).
		cfg.ServerName, _, _ = strings.Cut(host, "%")
	}
	cfg.NextProtos = []string{"http/1.1"}
	tc := tls.Client(below, cfg)
	select {
	case err := <-netloop.Detach(func() error { return tc.HandshakeContext(ctx) }, recovered):
		if err != nil {
			return nil, &TLSError{Err: err, hint: plainHTTPHint(err)}
		}
		return netloop.Over(tc, below, recovered), nil
	case <-ctx.Done():
		below.Abort() // so that the handshake ends
		return nil, context.Cause(ctx)
	}
}

// plainHTTPHint returns a hint if err of the TLS handshake shows that the
// server speaks plain HTTP.
func plainHTTPHint(err error) string {
	if notTLS, ok := err.(tls.RecordHeaderError); ok && string(notTLS.RecordHeader[:]) == "HTTP/" {
		return "plain HTTP came in answer to TLS: the port expects no TLS (ws)"
	}
	return ""
}

// isPermanentTLS reports whether err is the failed verification of a
// certificate, or the answer of a server that does not speak TLS.
func isPermanentTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &notTLS)
}
