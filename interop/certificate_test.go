package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A certificate for 127.0.0.1 and localhost that is its own authority, and its files in PEM.
type certificate struct {
	server, client *tls.Config
	cert, key      string // PEM
}

var testCertificate = sync.OnceValue(makeCertificate)

func makeCertificate() certificate {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(err)

	c := certificate{
		cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		key:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
	}
	pair, err := tls.X509KeyPair([]byte(c.cert), []byte(c.key))
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(c.cert))
	c.server = &tls.Config{Certificates: []tls.Certificate{pair}}
	c.client = &tls.Config{RootCAs: pool}
	return c
}

// must panics: no test has been started yet that could fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// clientTLS and serverTLS return the configuration of o, nil for a plain connection.
func clientTLS(o options) *tls.Config {
	if !o.secure {
		return nil
	}
	return testCertificate().client
}

func serverTLS(o options) *tls.Config {
	if !o.secure {
		return nil
	}
	return testCertificate().server
}

// files writes the certificate and its key below a folder of the test's own.
func (c certificate) files(t *testing.T) (cert, key string) {
	dir := t.TempDir()
	return writeFile(t, dir, "cert.pem", c.cert), writeFile(t, dir, "key.pem", c.key)
}

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
