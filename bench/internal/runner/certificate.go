package runner

import (
	"crypto/tls"

	"github.com/fibersock/fibersock/internal/test/testcert"
)

// certificate writes a certificate for 127.0.0.1 and its key into dir, and
// returns a client configuration that trusts it.
func certificate(dir string) (certFile, keyFile string, config *tls.Config, err error) {
	cert, pool, err := testcert.New("127.0.0.1")
	if err != nil {
		return "", "", nil, err
	}
	certFile, keyFile, err = testcert.Files(dir, cert)
	return certFile, keyFile, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}}, err
}
