//go:build !notls

package server

import (
	"crypto/tls"
	"net"

	"github.com/fibersock/fibersock/internal/netloop"
)

// TLSConfig is tls.Config. With the build tag notls, which leaves crypto/tls
// out of the binary, it is an empty struct.
type TLSConfig = tls.Config

// ListenAndServeTLS is ListenAndServe over TLS, for wss URLs. certFile and
// keyFile name the PEM files of the certificate and its key. They may be empty
// if Server.TLS has a certificate.
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

// ServeTLS is Serve over TLS, with a certificate as for ListenAndServeTLS. ln
// is a listener without TLS. A listener of crypto/tls can be passed to Serve,
// which then needs a goroutine for each write that ServeTLS does not.
func (s *Server) ServeTLS(ln net.Listener, certFile, keyFile string) error {
	cfg, err := s.configTLS(certFile, keyFile)
	if err != nil {
		ln.Close()
		return err
	}
	return s.serveTLS(ln, cfg)
}

func (s *Server) serveTLS(ln net.Listener, cfg *tls.Config) error {
	async := netloop.AsyncListener(ln, s.writeTimeout(), func(value any) error { return s.caught(value) })
	return s.Serve(tls.NewListener(async, cfg))
}

// configTLS returns a clone of Server.TLS with the certificate of the files.
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
