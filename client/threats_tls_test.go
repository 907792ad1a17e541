//go:build !notls

package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
)

// T-H06, T-G03: an attacker in place of the server also writes the certificate,
// and crypto/x509 copies its names into the error unescaped.
func TestCertificateCannotWriteIntoLogs(t *testing.T) {
	const forged = "x\nwebsocket: dial ok\x1b[2J\x7f"
	for name, tt := range map[string]struct {
		host string
		want string
	}{
		"line ends and escapes": {forged, `x\nwebsocket: dial ok\x1b[2J\x7f`},
		"a long name":           {strings.Repeat("a", 10_000), "aaaaa…"},
	} {
		t.Run(name, func(t *testing.T) {
			cert, _ := certificate(t, tt.host, time.Now().Add(time.Hour))
			s := startTLSServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, nil)
			for _, through := range []struct {
				where, proxy string
			}{
				{"server", ""},
				{"proxy", "https://proxy.example"},
			} {
				_, err := client.Dial(t.Context(), "wss://server.example/", &client.Config{Proxy: through.proxy, DialContext: to(s.Addr())})
				var names x509.HostnameError
				if !errors.As(err, &names) {
					t.Fatalf("%s: %v", through.where, err)
				}
				text := err.Error()
				if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) || !strings.Contains(text, tt.want) || len(text) > 600 {
					t.Errorf("%s: the error's text is %q", through.where, text)
				}
			}
		})
	}
}
