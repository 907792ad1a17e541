//go:build !notls

package server

import (
	"crypto/tls"
	"net"
)

// TLSConfig is tls.Config, unless the program is built with the tag notls,
// which leaves TLS and its megabytes out.
type TLSConfig = tls.Config

// ListenAndServeTLS is ListenAndServe over TLS, for wss URLs, with the
// certificate and key in the PEM files of these names. They may be empty if
// Server.TLS has a certificate.
func (s *Server) ListenAndServeTLS(addr, certFile, keyFile string) error {
	cfg := new(tls.Config)
	if s.TLS != nil {
		cfg = s.TLS.Clone()
	}
	cfg.NextProtos = []string{"http/1.1"}
	if certFile != "" || keyFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return err
		}
		cfg.Certificates = append(cfg.Certificates[:len(cfg.Certificates):len(cfg.Certificates)], cert)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(tls.NewListener(ln, cfg))
}
