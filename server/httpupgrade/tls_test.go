//go:build !notls

package httpupgrade_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
)

// All bytes are sent through the TLS of the http.Server (6455-4.2.2-a).
func TestOverTLS(t *testing.T) {
	for name, listener := range map[string]func(net.Listener) net.Listener{
		"TLS":      func(ln net.Listener) net.Listener { return ln },
		"BelowTLS": server.BelowTLS,
	} {
		t.Run(name, func(t *testing.T) {
			s := echoServer()
			hs := httptest.NewUnstartedServer(httpupgrade.Handler(s))
			hs.Listener = listener(hs.Listener)
			hs.StartTLS()
			defer stop(t, hs, s)
			roots := x509.NewCertPool()
			roots.AddCert(hs.Certificate())
			checkEcho(t, wsURL(hs.URL), &client.Config{TLS: &tls.Config{RootCAs: roots}})
		})
	}
}
