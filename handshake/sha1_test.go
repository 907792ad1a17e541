package handshake

import (
	"crypto/sha1"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// TestSHA1 compares with crypto/sha1, for every length that both accept. With
// the tag notls the implementation is our own.
func TestSHA1(t *testing.T) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. \x00\x80\xff", 3)
	for n := range 120 {
		p := []byte(text[:n])
		check.Equal(t, sha1Sum(p), sha1.Sum(p), "%d bytes", n)
	}
}
