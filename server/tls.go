//go:build !notls

package server

import (
	"crypto/tls"
	"net"

	"github.com/fibersock/fibersock/internal/netloop"
)

// TLSConfig is tls.Config, unless the program is built with the tag notls,
// which leaves TLS and its megabytes out.
type TLSConfig = tls.Config

// ListenAndServeTLS is ListenAndServe over TLS, for wss URLs, with the
// certificate and key in the PEM files of these names. They may be empty if
// Server.TLS has a certificate.
func (s *Server) ListenAndServeTLS(addr, certFile, keyFile string) error {
	cfg, err := s.configTLS(certFile, keyFile)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.serveTLS(ln, cfg)
}

// ServeTLS is Serve over TLS, with a certificate and key as for ListenAndServeTLS.
// ln is a listener without TLS. Serve takes one of package crypto/tls; ServeTLS
// costs one goroutine less for each write.
func (s *Server) ServeTLS(ln net.Listener, certFile, keyFile string) error {
	cfg, err := s.configTLS(certFile, keyFile)
	if err != nil {
		ln.Close()
		return err
	}
	return s.serveTLS(ln, cfg)
}

func (s *Server) serveTLS(ln net.Listener, cfg *tls.Config) error {
	async := netloop.AsyncListener(ln, orDefault(s.WriteTimeout, DefaultWriteTimeout))
	return s.Serve(tls.NewListener(async, cfg))
}

// configTLS returns Server.TLS with a certificate from files.
func (s *Server) configTLS(certFile, keyFile string) (*tls.Config, error) {
	cfg := new(tls.Config)
	if s.TLS != nil {
		cfg = s.TLS.Clone()
	}
	cfg.NextProtos = []string{"http/1.1"}
	if certFile != "" || keyFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = append(cfg.Certificates[:len(cfg.Certificates):len(cfg.Certificates)], cert)
	}
	return cfg, nil
}
