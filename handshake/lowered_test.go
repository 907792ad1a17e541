package handshake_test

import (
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// TestNoByteIsReadBehindALoweredLimit lowers the limit in the start line and in
// a field.
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

// TestSmallestLimits checks that 1 is the smallest limit.
func TestSmallestLimits(t *testing.T) {
	p := handshake.RequestParser{Limits: handshake.Limits{Bytes: 1}}
	if r, n, err := p.Parse([]byte("GET / HTTP/1.1")); r != nil || n != 1 || status(t, err) != 431 {
		t.Errorf("Limits.Bytes = 1: %v, n %d, error %v; want n 1 and 431", r, n, err)
	}
	p = handshake.RequestParser{Limits: handshake.Limits{Fields: 1}}
	if _, n, err := p.Parse([]byte(head(requestLine, "A: 1", "B: 2"))); n != len(requestLine)+8 || status(t, err) != 431 {
		t.Errorf("Limits.Fields = 1: n %d, error %v; want 431 at the second field", n, err)
	}
}
