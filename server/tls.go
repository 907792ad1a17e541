//go:build !notls

package server

import (
	"crypto/tls"
	"net"
	"reflect"

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
// is a listener without TLS. TLS records have their full size from the first
// message on: Server.TLS cannot enable dynamic record sizing.
//
// Serve with a listener of crypto/tls over a *net.TCPListener is the same, but
// for its configuration. In both cases the server reads and writes below TLS:
// tls.ClientHelloInfo.Conn is a net.Conn that has the addresses of the
// connection, and whose Read and Write must not be called.
func (s *Server) ServeTLS(ln net.Listener, certFile, keyFile string) error {
	cfg, err := s.configTLS(certFile, keyFile)
	if err != nil {
		ln.Close()
		return err
	}
	return s.serveTLS(ln, cfg)
}

func (s *Server) serveTLS(ln net.Listener, cfg *tls.Config) error {
	secure := func(nc net.Conn) netloop.TLS { return tls.Server(nc, cfg) }
	return s.serve(ln, func() error { return s.loop().ServeTLS(ln, secure, s.openAccepted, s.recovered) })
}

// serveListener serves the connections of ln. If ln is a listener of crypto/tls
// over TCP, the server makes the TLS connections itself, over connections that
// do not block, with the configuration of ln.
func (s *Server) serveListener(ln net.Listener) error {
	if tcp, secure := listenerOfTLS(ln); secure != nil {
		return s.loop().ServeTLS(tcp, secure, s.openAccepted, s.recovered)
	}
	return s.loop().Serve(ln, s.openAccepted)
}

// listenerOfTLS returns the listener below ln and a function that makes TLS
// connections as ln does, nil if ln is not a listener of crypto/tls over TCP.
// Its type is not exported: it is
//
//	type listener struct {
//		net.Listener
//		config *Config
//	}
//
// A copy of it, over a listener of one connection, makes a TLS connection. Its
// type is found by name, because a program that uses no TLS should not link
// the functions of a tls.NewListener here.
func listenerOfTLS(ln net.Listener) (tcp *net.TCPListener, secure netloop.Secure) {
	v := reflect.ValueOf(ln)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, nil
	}
	v = v.Elem()
	if t := v.Type(); t.PkgPath() != "crypto/tls" || t.Name() != "listener" || t.NumField() == 0 || t.Field(0).Name != "Listener" {
		return nil, nil
	}
	inner, _ := v.Field(0).Interface().(net.Listener)
	if tcp = netloop.TCPListener(inner); tcp == nil {
		return nil, nil
	}
	return tcp, func(nc net.Conn) netloop.TLS {
		one := reflect.New(v.Type())
		one.Elem().Set(v)
		one.Elem().Field(0).Set(reflect.ValueOf(oneConn{tcp, nc}))
		secured, _ := one.Interface().(net.Listener).Accept()
		return secured.(netloop.TLS)
	}
}

// oneConn is a listener that returns one connection.
type oneConn struct {
	net.Listener
	nc net.Conn
}

func (l oneConn) Accept() (net.Conn, error) { return l.nc, nil }

// configTLS returns a clone of Server.TLS with the certificate of the files.
func (s *Server) configTLS(certFile, keyFile string) (*tls.Config, error) {
	cfg := new(tls.Config)
	if s.TLS != nil {
		cfg = s.TLS.Clone()
	}
	cfg.NextProtos = []string{"http/1.1"}
	cfg.DynamicRecordSizingDisabled = true // small records cost time, and the first byte of a message is no use without the last
	if certFile != "" || keyFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = append(cfg.Certificates[:len(cfg.Certificates):len(cfg.Certificates)], cert)
	}
	return cfg, nil
}
