package handshake

import (
	"crypto/sha1"
	"strings"
	"testing"
)

// TestSHA1 compares with crypto/sha1, for every length that both accept. With
// the tag notls the implementation is our own.
func TestSHA1(t *testing.T) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. \x00\x80\xff", 3)
	for n := range 120 {
		p := []byte(text[:n])
		if got, want := sha1Sum(p), sha1.Sum(p); got != want {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
}
