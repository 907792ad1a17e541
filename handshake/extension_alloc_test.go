package handshake_test

import (
	"testing"

	"github.com/fibersock/fibersock/handshake"
)

// TestOffersOfBrowsersCostOneAllocation, the list and up to two parameters in
// one.
func TestOffersOfBrowsersCostOneAllocation(t *testing.T) {
	for _, offer := range []string{
		"permessage-deflate",
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; client_max_window_bits; server_no_context_takeover",
	} {
		if got := testing.AllocsPerRun(100, func() { handshake.ParseExtensions(nil, offer) }); got != 1 {
			t.Errorf("%s: %v allocations, want 1", offer, got)
		}
	}
}
