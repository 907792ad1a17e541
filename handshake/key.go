package handshake

import (
	"encoding/base64"

	"github.com/fibersock/fibersock/internal/entropy"
)

// GUID is the constant that a server appends to the key before it computes the
// hash (RFC 6455, Section 1.3).
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	keySize    = 24 // base64 of 16 bytes
	acceptSize = 28 // base64 of a SHA-1 sum
)

// NewKey returns a new Sec-WebSocket-Key: 16 random bytes in base64.
// Each request needs a new key (RFC 6455, Section 4.1).
func NewKey() string {
	var nonce [16]byte
	entropy.Read(nonce[:])
	return string(base64.StdEncoding.AppendEncode(nil, nonce[:]))
}

// AcceptKey returns the Sec-WebSocket-Accept for a Sec-WebSocket-Key. The hash
// covers the key as sent, without decoding (RFC 6455, Section 4.2.2, step 5.4).
func AcceptKey(key string) string {
	return string(appendAccept(make([]byte, 0, acceptSize), key))
}

func appendAccept(dst []byte, key string) []byte {
	var input [keySize + len(GUID)]byte
	sum := sha1Sum(appendStrings(input[:0], key, GUID))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// validKey reports whether key is base64 of 16 bytes: 22 characters and the
// padding. The 22 characters hold 132 bits. The last 4 bits are ignored,
// because they are set in the sample key of the RFC (erratum 3150).
func validKey(key string) bool {
	if len(key) != keySize || key[keySize-2:] != "==" {
		return false
	}
	for i := range keySize - 2 {
		if c := key[i]; !isAlpha(c) && !isDigit(c) && c != '+' && c != '/' {
			return false
		}
	}
	return true
}
