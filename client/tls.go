//go:build !notls

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/fibersock/fibersock/internal/netloop"
)

// TLSConfig is tls.Config. The build tag notls makes it an empty struct and
// removes crypto/tls, 2.5 MB, from the program.
type TLSConfig = tls.Config

// secure performs the TLS handshake over below with the server host. It returns
// when ctx ends, even if a callback of cfg does not return. plain is the scheme
// of URLs without TLS, for a hint. nc is the TLS connection.
func secure(ctx context.Context, below netloop.Transport, cfg *TLSConfig, host, plain string) (t netloop.Transport, nc net.Conn, err error) {
	if cfg == nil {
		cfg = new(tls.Config)
	}
	cfg = cfg.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	cfg.NextProtos = []string{"http/1.1"}
	tc := tls.Client(below, cfg)
	if err := call(ctx, func() error { return tc.HandshakeContext(ctx) }); err != nil {
		return nil, nil, &TLSError{Err: err, hint: plainHTTPHint(err, plain)}
	}
	return netloop.Over(tc, below, recovered), tc, nil
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

// isPermanentTLS reports whether err is the failed verification of a
// certificate, or the answer of a server that does not speak TLS.
func isPermanentTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &notTLS)
}
