//go:build !notls

package server_test

import (
	"crypto/tls"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/testcert"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// certificate returns a certificate for 127.0.0.1, and the configuration of a
// client that trusts it, at any time: in a bubble the year is 2000.
func certificate(t *testing.T) (tls.Certificate, *tls.Config) {
	t.Helper()
	cert, trusted, err := testcert.New("127.0.0.1")
	check.Must(t, err)
	valid := func() time.Time { return cert.Leaf.NotAfter.Add(-time.Hour) }
	return cert, &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1", Time: valid}
}

// serveTLS serves the connections of ln over TLS, with the results of
// certificate. Its peers use TLS.
func serveTLS(t *testing.T, s *server.Server, ln net.Listener, cert tls.Certificate, cfg *tls.Config) *running {
	t.Helper()
	r := serve(t, s, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}))
	plain := r.dialer
	if pipes, ok := ln.(*pipeListener); ok {
		plain = pipes.dial
	}
	r.dialer = func() (net.Conn, error) {
		nc, err := plain()
		if err != nil {
			return nil, err
		}
		return tls.Client(nc, cfg), nil
	}
	return r
}

// On a TLS port all bytes use TLS. The end has its order: Close frame,
// close_notify, TCP (6455-4.2.2-a, 6455-10.6-a, 6455-7.1.1-a, T-G10).
func TestTLSCarriesTheWholeConnection(t *testing.T) {
	t.Parallel()
	rec := newRecorder(t)
	h := rec.handler()
	h.Message = echo
	cert, cfg := certificate(t)
	s := serveTLS(t, &server.Server{Handler: h}, listenTCP(t), cert, cfg)
	for range 10 {
		p := s.dial(t)
		p.send(request("/"), text("with the request"))
		p.response()
		p.want(`text "with the request"`)
		long := strings.Repeat("a", 300_000)
		p.send(text(long))
		p.want("text 300000 bytes")
		p.send(closing(1000, ""), strings.Repeat(text(long[:1000]), 100))
		p.want(`close 1000 ""`)
		p.wantEnd() // io.EOF means close_notify, otherwise it is io.ErrUnexpectedEOF
		p.nc.Close()
		rec.want("open", `close 1000 ""`)
	}
	bad := s.dial(t)
	bad.send(strings.Replace(request("/"), "GET", "PUT", 1))
	checkRefused(t, bad, 405)
}

// A client that does not use TLS on a TLS port is aborted, and so is one that
// does not finish its TLS handshake (6455-4.2.2-a, T-D08).
func TestNoTLSOnATLSPort(t *testing.T) {
	cert, cfg := certificate(t)
	t.Run("plain HTTP", func(t *testing.T) {
		s := serveTLS(t, &server.Server{}, listenTCP(t), cert, cfg)
		nc, err := net.Dial("tcp", s.addr)
		check.Must(t, err)
		p := newPeer(t, nc)
		p.send(request("/"))
		if b, _ := p.rest(); strings.Contains(string(b), " 101 ") {
			t.Errorf("answered with %q", b)
		}
	})
	check.Bubble(t, "half a ClientHello", func(t *testing.T) {
		ln := newPipeListener()
		serveTLS(t, &server.Server{HandshakeTimeout: 8 * time.Second}, ln, cert, cfg)
		nc, err := ln.dial()
		check.Must(t, err)
		p := newPeer(t, nc)
		p.send("\x16\x03\x01")
		timed(t, "cut", 8*time.Second, p.wantEnd)
	})
}

// A client that does not read is aborted over TLS as well, where closing writes
// too (T-C08).
func TestTLSClientThatDoesNotReadIsCut(t *testing.T) {
	cert, cfg := certificate(t)
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder(t)
		serveTLS(t, &server.Server{Handler: rec.handler(), WriteTimeout: 8 * time.Second}, newPipeListener(), cert, cfg).open(t)
		c := rec.conn()
		timed(t, "cut", 8*time.Second, func() {
			check.OK(t, c.Send(wire.Binary, make([]byte, 100_000)))
			rec.want("open", "lost", `close 1006 ""`)
		})
		wantTimeout(t, c.Err(), "WriteTimeout")
	})
}

// ListenAndServeTLS reads its certificate from the files or from the
// configuration, which it does not change, and negotiates only HTTP/1.1.
func TestListenAndServeTLS(t *testing.T) {
	cert, cfg := certificate(t)
	certFile, keyFile, err := testcert.Files(t.TempDir(), cert)
	check.Must(t, err)
	own := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	for name, tt := range map[string]struct {
		tls           *tls.Config
		certFile, key string
	}{
		"files":         {nil, certFile, keyFile},
		"configuration": {own, "", ""},
		"both":          {own, certFile, keyFile},
	} {
		t.Run(name, func(t *testing.T) {
			ln := listenTCP(t)
			addr := ln.Addr().String()
			ln.Close() // the port stays free for a while
			s := &server.Server{Handler: server.Handler{Message: echo}, TLS: tt.tls}
			served := make(chan error, 1)
			go func() { served <- s.ListenAndServeTLS(addr, tt.certFile, tt.key) }()
			var nc net.Conn
			for nc == nil {
				select {
				case err := <-served:
					t.Fatalf("ListenAndServeTLS returned %v", err)
				default:
					nc, _ = net.Dial("tcp", addr)
				}
			}
			offer := cfg.Clone()
			offer.NextProtos = []string{"h2", "http/1.1"}
			tc := tls.Client(nc, offer)
			p := newPeer(t, tc)
			p.send(request("/"), text("Hello"))
			p.response()
			p.want(`text "Hello"`)
			if got := tc.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("agreed on %q", got)
			}
			tc.Close()
			check.OK(t, s.Shutdown(t.Context()))
			if err := result(t, served); err != server.ErrServerClosed {
				t.Errorf("ListenAndServeTLS returned %v", err)
			}
		})
	}
	if len(own.NextProtos) != 2 || len(own.Certificates) != 1 {
		t.Errorf("the program's configuration was changed: %v", own.NextProtos)
	}
	t.Run("no such file", func(t *testing.T) {
		if err := new(server.Server).ListenAndServeTLS("127.0.0.1:0", certFile, keyFile+"x"); !os.IsNotExist(err) {
			t.Errorf("ListenAndServeTLS returned %v", err)
		}
	})
	t.Run("the address is taken", func(t *testing.T) {
		ln := listenTCP(t)
		defer ln.Close()
		if err := new(server.Server).ListenAndServeTLS(ln.Addr().String(), certFile, keyFile); err == nil {
			t.Errorf("ListenAndServeTLS returned %v", err)
		}
	})
}

// addTLS adds a starter for each form of TLS: by the server or by another
// listener, with connections wrapped above TLS or below it.
func addTLS(starters map[string]starter) {
	for name, form := range map[string]tlsForm{
		"TLS":            serveTLSItself,
		"TLS on wrapped": func(s *server.Server, ln net.Listener) error { return s.ServeTLS(wrappingListener{ln}, "", "") },
		"TLS of others":  func(s *server.Server, ln net.Listener) error { return s.Serve(tls.NewListener(ln, s.TLS)) },
		"wrapped TLS": func(s *server.Server, ln net.Listener) error {
			return s.Serve(wrappingListener{tls.NewListener(ln, s.TLS)})
		},
	} {
		starters[name] = func(t *testing.T, s *server.Server) *running { return form.start(t, s, listenTCP(t)) }
	}
}

// addListenTLS adds a starter for a given listener, with Server.TLS.
func addListenTLS(starters map[string]func(t *testing.T, s *server.Server, ln net.Listener) *running) {
	starters["TLS"] = tlsForm(serveTLSItself).start
}

// tlsForm serves the connections of ln over TLS, with Server.TLS.
type tlsForm func(s *server.Server, ln net.Listener) error

func serveTLSItself(s *server.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") }

func (form tlsForm) start(t *testing.T, s *server.Server, ln net.Listener) *running {
	cert, cfg := certificate(t)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	r := serveBy(t, s, ln, func(ln net.Listener) error { return form(s, ln) })
	plain := r.dialer
	r.dialer = func() (net.Conn, error) {
		nc, err := plain()
		if err != nil {
			return nil, err
		}
		return tls.Client(nc, cfg), nil
	}
	return r
}
