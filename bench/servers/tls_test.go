package servers_test

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
	"testing"
	"time"
)

func TestEchoOverTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	each(t, func(t *testing.T, p peer) {
		if p.noTLS {
			refuses(t, p.name, "-cert", cert, "-key", key)
			return
		}
		s := start(t, p.name, "-cert", cert, "-key", key)
		c := dial(t, s.Listening, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}, "")
		for _, size := range []int{0, 125, 65536, 1 << 20} {
			sent := frame{fin: true, opcode: opBinary, payload: make([]byte, size)}
			c.send(sent)
			c.wantReplies([]frame{sent}, false)
		}
	})
}

// certificate writes one for 127.0.0.1 to files.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	dir := t.TempDir()
	return writePEM(t, dir, "CERTIFICATE", der), writePEM(t, dir, "PRIVATE KEY", private), roots
}

func writePEM(t *testing.T, dir, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(dir, kind+".pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
