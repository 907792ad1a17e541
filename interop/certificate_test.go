package interop

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/testcert"
)

// A certificate is for 127.0.0.1 and localhost.
type certificate struct {
	pair tls.Certificate
	pool *x509.CertPool // trusts it
}

var testCertificate = sync.OnceValue(func() certificate {
	pair, pool, err := testcert.New("127.0.0.1", "localhost")
	if err != nil {
		panic(err) // no test has started that could fail
	}
	return certificate{pair, pool}
})

// clientTLS and serverTLS return the configuration of o, nil for a plain connection.
func clientTLS(o options) *tls.Config {
	if !o.secure {
		return nil
	}
	return &tls.Config{RootCAs: testCertificate().pool}
}

func serverTLS(o options) *tls.Config {
	if !o.secure {
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{testCertificate().pair}}
}

// files writes the certificate and its key into a folder of the test.
func (c certificate) files(t *testing.T) (cert, key string) {
	t.Helper()
	cert, key, err := testcert.Files(t.TempDir(), c.pair)
	check.Must(t, err)
	return cert, key
}

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	check.Must(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}
