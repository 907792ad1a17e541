package usage

import (
	"slices"
	"sync"
	"time"
)

// Times collects durations. The zero value is empty. All goroutines may call
// its methods.
type Times struct {
	mu   sync.Mutex // guards took
	took []time.Duration
}

// Since adds how long it is since began.
func (t *Times) Since(began time.Time) { t.add(time.Since(began)) }

func (t *Times) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took = append(t.took, d)
}

// Take empties t. It returns the number of durations, and their 50th and 99th
// percentiles, 0 without any.
func (t *Times) Take() (n int, p50, p99 time.Duration) {
	t.mu.Lock()
	took := t.took
	t.took = nil
	t.mu.Unlock()
	if n = len(took); n == 0 {
		return 0, 0, 0
	}
	slices.Sort(took)
	return n, took[n/2], took[n*99/100]
}
