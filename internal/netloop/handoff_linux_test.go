//go:build !portable

package netloop

import "testing"

// The generation of a poller's leader fits into a progress, for any number of
// leaders. After 2^24 hand-offs, a few hours of handlers that block, the next
// leader used to consider itself replaced, and the poller stopped.
func TestGenerationsOfLeadersAreReused(t *testing.T) {
	const most = 1<<(64-countBits-indexBits) - 1
	for _, generation := range []uint64{0, 1, most - 1, most} {
		next := nextGeneration(makeProgress(generation, 7, 3))
		if got := progressGeneration(makeProgress(next, 8, idleIndex)); got != next {
			t.Errorf("after generation %d: %d, in the progress %d", generation, next, got)
		}
	}
}
