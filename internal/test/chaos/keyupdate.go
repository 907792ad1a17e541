package chaos

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net"
	"strings"
)

// keyUpdater is a client's TLS 1.3 connection that sends KeyUpdates, for which
// crypto/tls has no function (RFC 8446, Section 4.6.3). crypto/tls makes the
// handshake, logs the traffic secrets and decrypts; keyUpdater encrypts.
// crypto/tls fails after 16 KeyUpdates of the server without data between them.
type keyUpdater struct {
	*tls.Conn
	raw net.Conn // below TLS

	suite  *cipherSuite
	secret []byte // of the current keys
	aead   cipher.AEAD
	iv     []byte
	seq    uint64 // of the next record
}

// Types of records and handshake messages.
const (
	recordHandshake = 22
	recordData      = 23

	handshakeKeyUpdate = 24

	maxRecord = 16 << 10 // bytes of plaintext
)

// cipherSuite is a suite with AES-GCM, the only AEAD of the standard library.
type cipherSuite struct {
	hash    func() hash.Hash
	keySize int // bytes
}

var cipherSuites = map[uint16]*cipherSuite{
	tls.TLS_AES_128_GCM_SHA256: {sha256.New, 16},
	tls.TLS_AES_256_GCM_SHA384: {sha512.New384, 32},
}

// dialKeyUpdater makes the handshake over nc.
func dialKeyUpdater(ctx context.Context, nc net.Conn, cfg *tls.Config) (*keyUpdater, error) {
	var log bytes.Buffer
	cfg = cfg.Clone()
	cfg.MinVersion = tls.VersionTLS13
	cfg.KeyLogWriter = &log
	u := &keyUpdater{Conn: tls.Client(nc, cfg), raw: nc}
	if err := u.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	id := u.ConnectionState().CipherSuite
	if u.suite = cipherSuites[id]; u.suite == nil {
		return nil, fmt.Errorf("cipher suite %s has no AES", tls.CipherSuiteName(id))
	}
	_, secret, found := strings.Cut(log.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	fields := strings.Fields(secret)
	if !found || len(fields) < 2 {
		return nil, errors.New("the key log has no traffic secret")
	}
	key, err := hex.DecodeString(fields[1]) // after the client's random
	if err != nil {
		return nil, err
	}
	return u, u.use(key)
}

// use starts to encrypt with a secret (RFC 8446, Section 7.3).
func (u *keyUpdater) use(secret []byte) error {
	key, err := expand(u.suite, secret, "key", u.suite.keySize)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	if u.aead, err = cipher.NewGCM(block); err != nil {
		return err
	}
	u.secret, u.seq = secret, 0
	u.iv, err = expand(u.suite, secret, "iv", u.aead.NonceSize())
	return err
}

// expand is HKDF-Expand-Label without a context (RFC 8446, Section 7.1).
func expand(suite *cipherSuite, secret []byte, label string, size int) ([]byte, error) {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(info, byte(len(label)))
	info = append(info, label...)
	return hkdf.Expand(suite.hash, secret, string(append(info, 0)), size)
}

// nonce returns the nonce of the next record.
func (u *keyUpdater) nonce() []byte {
	nonce := binary.BigEndian.AppendUint64(make([]byte, len(u.iv)-8), u.seq)
	u.seq++
	for i := range nonce {
		nonce[i] ^= u.iv[i]
	}
	return nonce
}

// appendRecord appends an encrypted record.
func (u *keyUpdater) appendRecord(dst []byte, kind byte, p []byte) []byte {
	header := []byte{recordData, 3, 3}
	header = binary.BigEndian.AppendUint16(header, uint16(len(p)+1+u.aead.Overhead()))
	inner := append(append(make([]byte, 0, len(p)+1+u.aead.Overhead()), p...), kind)
	dst = append(dst, header...)
	return u.aead.Seal(dst, u.nonce(), inner, header)
}

// appendKeyUpdate appends a KeyUpdate, which requests one of the server or not,
// and changes to the next keys (RFC 8446, Section 7.2).
func (u *keyUpdater) appendKeyUpdate(dst []byte, request bool) []byte {
	m := []byte{handshakeKeyUpdate, 0, 0, 1, 0}
	if request {
		m[4] = 1
	}
	dst = u.appendRecord(dst, recordHandshake, m)
	next, err := expand(u.suite, u.secret, "traffic upd", len(u.secret))
	if err == nil {
		err = u.use(next)
	}
	if err != nil {
		panic(err) // the sizes are constant
	}
	return dst
}

// Write writes p as application data.
func (u *keyUpdater) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), maxRecord)]
		if _, err := u.raw.Write(u.appendRecord(nil, recordData, part)); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}
