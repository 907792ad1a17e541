package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts times with a relative error of at most 1/32. Any number of
// goroutines may add. The zero value is empty.
type histogram struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Int64
	least  atomic.Int64 // plus one; 0 if there is no time
	most   atomic.Int64
}

// A bucket is a 32nd of a power of two of nanoseconds. Times below 32 ns have a
// bucket each.
const (
	subBits = 5
	buckets = (64 - subBits) << subBits
)

// bucketOf returns the bucket of a time.
func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// upperBound returns the longest time of a bucket.
func upperBound(bucket int) time.Duration {
	shift := max(bucket>>subBits-1, 0)
	v := uint64(bucket - shift<<subBits)
	return time.Duration((v+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)].Add(1)
	h.sum.Add(int64(d))
	for {
		old := h.most.Load()
		if int64(d) <= old || h.most.CompareAndSwap(old, int64(d)) {
			break
		}
	}
	for {
		old := h.least.Load()
		if old != 0 && int64(d)+1 >= old || h.least.CompareAndSwap(old, int64(d)+1) {
			break
		}
	}
}

// snapshot is the content of a histogram at one time.
type snapshot struct {
	counts           [buckets]uint64
	n                uint64
	mean, least, max time.Duration
}

func (h *histogram) snapshot() *snapshot {
	s := &snapshot{max: time.Duration(h.most.Load())}
	for i := range h.counts {
		s.counts[i] = h.counts[i].Load()
		s.n += s.counts[i]
	}
	if s.n > 0 {
		s.mean = time.Duration(h.sum.Load() / int64(s.n))
		s.least = time.Duration(h.least.Load() - 1)
	}
	return s
}

// percentile returns the time that a share of the times does not exceed; the
// share is of 1.
func (s *snapshot) percentile(share float64) time.Duration {
	rank := uint64(share*float64(s.n) + 0.999999)
	seen := uint64(0)
	for i, n := range s.counts {
		if seen += n; n > 0 && seen >= rank {
			return min(upperBound(i), s.max)
		}
	}
	return s.max
}

// bar is a row of the histogram: the times up to a bound and above the one of
// the row before.
type bar struct {
	UpTo  float64 `json:"up_to_ms"`
	Count uint64  `json:"count"`
}

// bars returns rows whose bounds double, without empty ones at both ends.
func (s *snapshot) bars() (bars []bar) {
	const first = 1 << 10 // nanoseconds
	bound, row := time.Duration(first), uint64(0)
	var left = s.n
	for i, n := range s.counts {
		for n > 0 && upperBound(i) > bound {
			if row > 0 || len(bars) > 0 {
				bars = append(bars, bar{inMilliseconds(bound), row})
			}
			bound, row = 2*bound, 0
		}
		if row, left = row+n, left-n; left == 0 {
			break
		}
	}
	if row > 0 {
		bars = append(bars, bar{inMilliseconds(bound), row})
	}
	return bars
}

// inMilliseconds returns d in milliseconds with a precision of nanoseconds.
func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
