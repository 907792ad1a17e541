package handshake_test

import (
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// TestNoByteIsReadBehindALoweredLimit, in the start line or in a field.
func TestNoByteIsReadBehindALoweredLimit(t *testing.T) {
	for _, start := range []string{"GET /xxxxxxxxxxx", "GET / HTTP/1.1\r\nHost: h"} {
		var p handshake.RequestParser
		if _, n, err := p.Parse([]byte(start)); n != len(start) || err != nil {
			t.Fatal(n, err)
		}
		p.Limits.Bytes = 5
		if r, n, err := p.Parse([]byte("xyz")); r != nil || n != 0 || status(t, err) != 431 {
			t.Errorf("after %q: %v, n %d, error %v; want n 0 and 431", start, r, n, err)
		}
	}
}
