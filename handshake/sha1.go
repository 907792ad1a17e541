//go:build !notls

package handshake

import "crypto/sha1"

// sha1Sum returns the SHA-1 of p.
func sha1Sum(p []byte) [20]byte { return sha1.Sum(p) }
