package handshake_test

import (
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// TestBytesBeforeAFaultAreCounted checks the number of bytes that Parse returns
// with an error.
func TestBytesBeforeAFaultAreCounted(t *testing.T) {
	var p handshake.ResponseParser
	if r, n, err := p.Parse([]byte("HTTP/1.1 1x1")); r != nil || n != 10 || err == nil {
		t.Errorf("response: %v, n %d, error %v; want n 10 and an error", r, n, err)
	}
	var q handshake.RequestParser
	if r, n, err := q.Parse([]byte("GET / HTTP/1.1\r\nA b")); r != nil || n != 17 || err == nil {
		t.Errorf("request: %v, n %d, error %v; want n 17 and an error", r, n, err)
	}
}

// TestMalformedOriginMatchesNoPattern also checks the pattern for any origin.
func TestMalformedOriginMatchesNoPattern(t *testing.T) {
	for _, origin := range []string{"ht_tp://h", "1://h", "://h", "h", "http:h", "http://h:", "http://", "http://a b", "http://[::1", "é://h"} {
		if err := checkOrigin(t, "h", []string{origin}, "*"); status(t, err) != 403 {
			t.Errorf("Origin %q: %v, want 403", origin, err)
		}
	}
}

// TestAcceptKeyCostsOneAllocation, the string.
func TestAcceptKeyCostsOneAllocation(t *testing.T) {
	var accept string
	got := testing.AllocsPerRun(100, func() { accept = handshake.AcceptKey(sampleKey) })
	if got != 1 || accept != sampleAccept {
		t.Errorf("%v allocations for %q, want 1 for %q", got, accept, sampleAccept)
	}
}
