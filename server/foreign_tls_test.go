//go:build !notls

package server_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
)

// A client that reads slowly stays connected over TLS as well, for every
// combination of TLS and wrappers. An expired write deadline is fatal for
// crypto/tls: the state of a connection that the server did not recognize as
// TLS was corrupt after 4 ms of back-pressure.
func TestSlowReaderOverTLSThatMakesProgressIsNotCut(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t)
	own := &tls.Config{Certificates: []tls.Certificate{cert}}
	for name, serveForm := range map[string]func(s *server.Server, ln net.Listener) error{
		"ServeTLS":            func(s *server.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") },
		"ServeTLS on wrapped": func(s *server.Server, ln net.Listener) error { return s.ServeTLS(wrappingListener{ln}, "", "") },
		"NewListener":         func(s *server.Server, ln net.Listener) error { return s.Serve(tls.NewListener(ln, own)) },
		"wrapped": func(s *server.Server, ln net.Listener) error {
			return s.Serve(wrappingListener{tls.NewListener(ln, own)})
		},
		"Adopt": func(s *server.Server, ln net.Listener) error { return adoptAll(s, tls.NewListener(ln, own)) },
	} {
		check.Bubble(t, name, func(t *testing.T) {
			slowReaderIsNotCut(t, func(s *server.Server) *running {
				s.TLS = own
				ln := newPipeListener()
				r := serveBy(t, s, ln, func(ln net.Listener) error { return serveForm(s, ln) })
				if name == "Adopt" { // the server does not know ln
					t.Cleanup(func() { ln.Close() })
				}
				r.dialer = func() (net.Conn, error) {
					nc, err := ln.dial()
					if err != nil {
						return nil, err
					}
					return tls.Client(nc, &tls.Config{InsecureSkipVerify: true}), nil
				}
				return r
			})
		})
	}
}

// adoptAll serves the connections of ln by Adopt, including the opening
// handshake, until ln is closed.
func adoptAll(s *server.Server, ln net.Listener) error {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return server.ErrServerClosed
		}
		go func() {
			if _, err := http.ReadRequest(bufio.NewReader(nc)); err != nil {
				nc.Close()
				return
			}
			s.Adopt(nc, server.Handshake{Response: []byte(switching)})
		}()
	}
}
