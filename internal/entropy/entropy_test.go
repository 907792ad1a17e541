package entropy_test

import (
	"sync"
	"testing"

	"github.com/fibersock/fibersock/internal/entropy"
)

// TestBytesAreRandom checks that no position has the same byte in all of many
// reads, from several goroutines, and that no two reads are equal (T-H17).
func TestBytesAreRandom(t *testing.T) {
	const readers, reads = 4, 64
	var (
		mu   sync.Mutex
		all  = map[[32]byte]bool{}
		seen [32]map[byte]bool
		wg   sync.WaitGroup
	)
	for range readers {
		wg.Go(func() {
			for range reads {
				var b [32]byte
				entropy.Read(b[:])
				mu.Lock()
				all[b] = true
				for i, c := range b {
					if seen[i] == nil {
						seen[i] = map[byte]bool{}
					}
					seen[i][c] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(all) != readers*reads {
		t.Errorf("%d of %d reads are different", len(all), readers*reads)
	}
	for i, values := range seen {
		if len(values) < 64 { // 162 are expected; fewer than 64 have a chance below 1e-60
			t.Errorf("byte %d has %d values", i, len(values))
		}
	}
	entropy.Read(nil)
}

// TestReadAllocatesNothing after the first.
func TestReadAllocatesNothing(t *testing.T) {
	var b [16]byte
	if n := testing.AllocsPerRun(100, func() { entropy.Read(b[:]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
