package chaos

import (
	"slices"
	"sort"
	"sync"
	"time"
)

// latencies are the times of echoes. An echo that takes longer than echoPeriod
// counts for each echo that was not requested meanwhile.
type latencies struct {
	mu   sync.Mutex
	took []time.Duration
	most time.Duration // the longest
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = max(l.most, d)
	for ; d > 0; d -= echoPeriod {
		l.took = append(l.took, d)
	}
}

func (l *latencies) summary() (n int, p50, p99, worst time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n = len(l.took); n == 0 {
		return 0, 0, 0, 0
	}
	slices.Sort(l.took)
	return n, l.took[n/2], l.took[n*99/100], l.took[n-1]
}

// longest returns the longest time.
func (l *latencies) longest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most
}

// stallClock records the times at which a sleeping goroutine woke late, because
// the machine or the scheduler was busy.
type stallClock struct {
	mu    sync.Mutex
	times []time.Time
	total []time.Duration // up to the time
}

// stallMin is the smallest delay that counts.
const stallMin = 20 * time.Millisecond

func (s *stallClock) run(stop <-chan struct{}) {
	const period = 10 * time.Millisecond
	for before := time.Now(); ; {
		select {
		case <-stop:
			return
		default:
		}
		time.Sleep(period)
		now := time.Now()
		if late := now.Sub(before) - period; late > stallMin {
			s.add(now, late)
		}
		before = now
	}
}

func (s *stallClock) add(at time.Time, late time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.total); n > 0 {
		late += s.total[n-1]
	}
	s.times, s.total = append(s.times, at), append(s.total, late)
}

// since returns the sum of the delays after began.
func (s *stallClock) since(began time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.total)
	i := sort.Search(n, func(i int) bool { return s.times[i].After(began) })
	switch {
	case i == n:
		return 0
	case i == 0:
		return s.total[n-1]
	}
	return s.total[n-1] - s.total[i-1]
}
