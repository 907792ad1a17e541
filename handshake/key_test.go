package handshake_test

import (
	"encoding/base64"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

// 6455-4.2.2-k, 6455-4.2.1-i: the hash covers the key as sent, including its
// pad bits.
func TestAcceptAnswersTheKeyAsSent(t *testing.T) {
	for key, want := range map[string]string{
		sampleKey:                  sampleAccept,
		"AQIDBAUGBwgJCgsMDQ4PEA==": "C/0nmHhBztSRGR1CwL6Tf4ZjwpY=",
		"AQIDBAUGBwgJCgsMDQ4PEC==": "OfS0wDaT5NoxF2gqm7Zj2YtetzM=", // erratum 3150
		"x3JJHMbDL1EzLkh9GBhXDw==": "HSmrc0sMlYUkAGmm5OPpG2HaGWk=",
	} {
		check.Equal(t, handshake.AcceptKey(key), want, "AcceptKey(%q)", key)
	}
}

// 6455-4.1-l, T-H17: each key is new, and base64 of 16 bytes.
func TestEveryAttemptHasItsOwnKey(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		key := handshake.NewKey()
		nonce, err := base64.StdEncoding.Strict().DecodeString(key)
		if err != nil || len(nonce) != 16 || len(key) != 24 || seen[key] {
			t.Fatalf("NewKey() = %q: %d bytes, %v, seen before: %v", key, len(nonce), err, seen[key])
		}
		seen[key] = true
	}
}
