//go:build !notls

package permessage_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
)

func init() {
	ways["over TLS"] = func(t *testing.T, s *server.Server) (string, *client.TLSConfig) {
		ts := httptest.NewTLSServer(nil)
		defer ts.Close()
		ln := tls.NewListener(listen(t), &tls.Config{Certificates: ts.TLS.Certificates})
		return "wss://" + serveOn(t, ln, s.Serve), ts.Client().Transport.(*http.Transport).TLSClientConfig
	}
}
