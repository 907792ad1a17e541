//go:build !notls

package server_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
)

// A function of Server.TLS that panics or ends the goroutine ends the
// connection of its handshake. A client can cause it by the name in its
// ClientHello. It used to end the process; http.Server recovers such a panic
// too.
func TestFunctionOfTLSThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	cert, cfg := certificate(t)
	for name, how := range failings {
		own := &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if h.ServerName == "evil.example" {
				how.fail()
			}
			return &cert, nil
		}}
		for form, serveForm := range map[string]func(s *server.Server, ln net.Listener) error{
			"ServeTLS":    func(s *server.Server, ln net.Listener) error { return s.ServeTLS(ln, "", "") },
			"NewListener": func(s *server.Server, ln net.Listener) error { return s.Serve(tls.NewListener(ln, own)) },
			"wrapped": func(s *server.Server, ln net.Listener) error {
				return s.Serve(wrappingListener{tls.NewListener(ln, own)})
			},
		} {
			t.Run(name+"/"+form, func(t *testing.T) {
				s := &server.Server{Handler: server.Handler{Message: echo}, TLS: own}
				r := serveBy(t, s, listenTCP(t), func(ln net.Listener) error { return serveForm(s, ln) })
				nc, err := net.Dial("tcp", r.addr)
				check.Must(t, err)
				p := newPeer(t, nc)
				if tls.Client(p.nc, &tls.Config{ServerName: "evil.example", InsecureSkipVerify: true}).Handshake() == nil {
					t.Error("the handshake succeeds")
				}
				nc, err = net.Dial("tcp", r.addr)
				check.Must(t, err)
				other := newPeer(t, tls.Client(nc, cfg))
				other.send(request("/"), text("Hello"))
				other.response()
				other.want(`text "Hello"`)
				other.nc.Close()
				check.OK(t, r.Shutdown(t.Context()))
				panics := 0
				for _, err := range r.log.take() {
					var p *server.PanicError
					if errors.As(err, &p) && p.Value == how.value {
						panics++
					}
				}
				if panics != 2 { // the PanicError, and the RefusedError that wraps it
					t.Errorf("%d panics reported", panics)
				}
			})
		}
	}
}
