package load

import (
	"math/bits"
	"time"
)

// subBits gives 128 buckets to each power of two: a bucket is at most 1/128 of
// its values wide.
const subBits = 7

// Histogram counts durations in log-linear buckets: exact below 256 ns, above
// that at most 0.8 % wide. The zero value is empty and ready. It is not safe
// for concurrent use.
type Histogram struct {
	counts [(64 - subBits) << subBits]int64
	total  int64
	sum    time.Duration
	min    time.Duration
	max    time.Duration
}

// Record counts d; a negative d counts as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	if h.total == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.counts[bucket(uint64(d))]++
	h.total++
	h.sum += d
}

// Merge adds the counts of other.
func (h *Histogram) Merge(other *Histogram) {
	if other.total == 0 {
		return
	}
	if h.total == 0 || other.min < h.min {
		h.min = other.min
	}
	h.max = max(h.max, other.max)
	h.total += other.total
	h.sum += other.sum
	for i, n := range other.counts {
		h.counts[i] += n
	}
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() int64 { return h.total }

// Min returns the shortest duration, exactly; 0 when there is none.
func (h *Histogram) Min() time.Duration { return h.min }

// Max returns the longest duration, exactly; 0 when there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean returns the mean, exactly; 0 when there is none.
func (h *Histogram) Mean() time.Duration {
	if h.total == 0 {
		return 0
	}
	return h.sum / time.Duration(h.total)
}

// Quantile returns the duration that the share q of all recorded ones, 0 to 1,
// does not exceed, within 1 %; 0 when there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int64(q * float64(h.total))
	if float64(rank) < q*float64(h.total) || rank == 0 {
		rank++
	}
	for i, n := range h.counts {
		rank -= n
		if n > 0 && rank <= 0 {
			return min(max(middle(i), h.min), h.max)
		}
	}
	return h.max
}

func bucket(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// middle is the middle of the range of bucket i.
func middle(i int) time.Duration {
	if i < 2<<subBits {
		return time.Duration(i)
	}
	shift := i>>subBits - 1
	low := uint64(i-shift<<subBits) << shift
	return time.Duration(low + (1<<shift)/2)
}
