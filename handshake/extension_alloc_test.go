package handshake_test

import (
	"strings"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
)

// TestOffersOfBrowsersCostOneAllocation checks that the list and up to two
// parameters share one allocation.
func TestOffersOfBrowsersCostOneAllocation(t *testing.T) {
	for _, offer := range []string{
		"permessage-deflate",
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; client_max_window_bits; server_no_context_takeover",
	} {
		check.Equal(t, testing.AllocsPerRun(100, func() { handshake.ParseExtensions(nil, offer) }), 1, "%s", offer)
	}
}

// TestMalformedListIsLeftAtItsFirstFault checks that the rest of the list costs
// nothing, at any length (T-D09).
func TestMalformedListIsLeftAtItsFirstFault(t *testing.T) {
	for _, begin := range []string{"a", "a;b=1", "a;b=", `a;b="`} {
		for _, more := range []string{";", ";=", `;"`, ",", "="} {
			in := begin + " ;" + strings.Repeat(more, 1000)
			short := testing.AllocsPerRun(10, func() { handshake.ParseExtensions(nil, in[:len(begin)+8]) })
			long := testing.AllocsPerRun(10, func() { handshake.ParseExtensions(nil, in) })
			if long > short+2 {
				t.Errorf("%.20q, of 1000: %v allocations, of few: %v", in, long, short)
			}
		}
	}
}
