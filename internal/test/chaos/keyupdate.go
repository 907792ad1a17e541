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
	"io"
	"net"
	"strings"
)

// rawTLS is a client's TLS 1.3 connection that sends KeyUpdates, for which
// crypto/tls has no function (RFC 8446, Section 4.6.3). crypto/tls makes the
// handshake and tells the traffic secrets by its key log; rawTLS speaks the
// record protocol from there on. One goroutine may read while another writes.
type rawTLS struct {
	net.Conn
	in, out half

	buf   bytes.Buffer // received, not yet decrypted
	plain []byte       // decrypted, not yet read
}

// Types of records and handshake messages.
const (
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23

	handshakeKeyUpdate = 24

	maxRecord = 16 << 10 // bytes of plaintext
)

// half is one direction of a rawTLS.
type half struct {
	suite  *cipherSuite
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// cipherSuite is one with AES-GCM, the only AEAD of the standard library.
type cipherSuite struct {
	hash    func() hash.Hash
	keySize int // bytes
}

var cipherSuites = map[uint16]*cipherSuite{
	tls.TLS_AES_128_GCM_SHA256: {sha256.New, 16},
	tls.TLS_AES_256_GCM_SHA384: {sha512.New384, 32},
}

// dialRawTLS makes the handshake over nc.
func dialRawTLS(ctx context.Context, nc net.Conn, cfg *tls.Config) (*rawTLS, error) {
	var log bytes.Buffer
	cfg = cfg.Clone()
	cfg.MinVersion = tls.VersionTLS13
	cfg.KeyLogWriter = &log
	records := &recordReader{Conn: nc}
	tc := tls.Client(records, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	id := tc.ConnectionState().CipherSuite
	suite := cipherSuites[id]
	if suite == nil {
		return nil, fmt.Errorf("cipher suite %s is not one with AES", tls.CipherSuiteName(id))
	}
	r := &rawTLS{Conn: nc}
	for line := range strings.Lines(log.String()) {
		var label, random, secret string
		if _, err := fmt.Sscan(line, &label, &random, &secret); err != nil {
			return nil, err
		}
		key, err := hex.DecodeString(secret)
		if err != nil {
			return nil, err
		}
		switch label {
		case "CLIENT_TRAFFIC_SECRET_0":
			err = r.out.use(suite, key)
		case "SERVER_TRAFFIC_SECRET_0":
			err = r.in.use(suite, key)
		}
		if err != nil {
			return nil, err
		}
	}
	if r.in.aead == nil || r.out.aead == nil {
		return nil, errors.New("the key log has no traffic secrets")
	}
	return r, nil
}

// recordReader gives crypto/tls one record at a time, so that nothing that
// follows the handshake is read by it.
type recordReader struct {
	net.Conn
	head []byte
	left int // bytes of the record
}

// Read returns the bytes of at most one record.
func (r *recordReader) Read(p []byte) (int, error) {
	const headerSize = 5
	if r.left == 0 {
		head := make([]byte, headerSize)
		if _, err := io.ReadFull(r.Conn, head); err != nil {
			return 0, err
		}
		r.head, r.left = head, int(binary.BigEndian.Uint16(head[3:]))
	}
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	n, err := r.Conn.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

// use begins with a new secret (RFC 8446, Section 7.3).
func (h *half) use(suite *cipherSuite, secret []byte) error {
	key, err := expand(suite, secret, "key", suite.keySize)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	iv, err := expand(suite, secret, "iv", aead.NonceSize())
	if err != nil {
		return err
	}
	*h = half{suite: suite, secret: secret, aead: aead, iv: iv}
	return nil
}

// update begins with the next secret (RFC 8446, Section 7.2).
func (h *half) update() error {
	next, err := expand(h.suite, h.secret, "traffic upd", len(h.secret))
	if err != nil {
		return err
	}
	return h.use(h.suite, next)
}

// expand is HKDF-Expand-Label without a context (RFC 8446, Section 7.1).
func expand(suite *cipherSuite, secret []byte, label string, size int) ([]byte, error) {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(info, byte(len(label)))
	info = append(info, label...)
	return hkdf.Expand(suite.hash, secret, string(append(info, 0)), size)
}

// nonce returns the next record's nonce.
func (h *half) nonce() []byte {
	nonce := binary.BigEndian.AppendUint64(make([]byte, len(h.iv)-8), h.seq)
	h.seq++
	for i := range nonce {
		nonce[i] ^= h.iv[i]
	}
	return nonce
}

// appendRecord appends an encrypted record.
func (h *half) appendRecord(dst []byte, kind byte, p []byte) []byte {
	header := []byte{recordData, 3, 3}
	header = binary.BigEndian.AppendUint16(header, uint16(len(p)+1+h.aead.Overhead()))
	inner := append(append(make([]byte, 0, len(p)+1+h.aead.Overhead()), p...), kind)
	dst = append(dst, header...)
	return h.aead.Seal(dst, h.nonce(), inner, header)
}

// appendKeyUpdate appends a KeyUpdate, which asks for one of the peer's or
// not, and begins with the next keys.
func (r *rawTLS) appendKeyUpdate(dst []byte, request bool) []byte {
	m := []byte{handshakeKeyUpdate, 0, 0, 1, 0}
	if request {
		m[4] = 1
	}
	dst = r.out.appendRecord(dst, recordHandshake, m)
	if err := r.out.update(); err != nil {
		panic(err) // the sizes are constant
	}
	return dst
}

// Write writes p as application data.
func (r *rawTLS) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), maxRecord)]
		if _, err := r.Conn.Write(r.out.appendRecord(nil, recordData, part)); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

// closeNotify is the description of the alert with which a peer ends.
const closeNotify = 0

// CloseWrite sends close_notify and ends the stream of bytes.
func (r *rawTLS) CloseWrite() error {
	_, err := r.Conn.Write(r.out.appendRecord(nil, recordAlert, []byte{1, closeNotify}))
	if half, ok := r.Conn.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	return err
}

// Read reads application data. The KeyUpdates and tickets of the server are
// dealt with.
func (r *rawTLS) Read(p []byte) (int, error) {
	for len(r.plain) == 0 {
		if err := r.record(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// record reads and decrypts a record.
func (r *rawTLS) record() error {
	const headerSize = 5
	if err := r.fill(headerSize); err != nil {
		return err
	}
	size := int(binary.BigEndian.Uint16(r.buf.Bytes()[3:]))
	if err := r.fill(headerSize + size); err != nil {
		return err
	}
	record := r.buf.Next(headerSize + size)
	inner, err := r.in.aead.Open(nil, r.in.nonce(), record[headerSize:], record[:headerSize])
	if err != nil {
		return fmt.Errorf("record %d: %w", r.in.seq-1, err)
	}
	inner = bytes.TrimRight(inner, "\x00")
	if len(inner) == 0 {
		return errors.New("record without a type")
	}
	kind, content := inner[len(inner)-1], inner[:len(inner)-1]
	switch {
	case kind == recordData:
		r.plain = content
	case kind == recordHandshake && len(content) > 0 && content[0] == handshakeKeyUpdate:
		return r.in.update()
	case kind == recordAlert && len(content) == 2 && content[1] == closeNotify:
		return io.EOF
	case kind == recordAlert:
		return fmt.Errorf("TLS alert % x", content)
	}
	return nil
}

// fill reads until n bytes have been received.
func (r *rawTLS) fill(n int) error {
	for r.buf.Len() < n {
		chunk := make([]byte, 4<<10)
		read, err := r.Conn.Read(chunk)
		r.buf.Write(chunk[:read])
		if err == io.EOF && r.buf.Len() > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && r.buf.Len() < n {
			return err
		}
	}
	return nil
}
