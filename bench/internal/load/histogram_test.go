package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(math.Exp(random.Float64() * 30))
		all = append(all, d)
		h.Record(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(int(math.Ceil(q*float64(len(all))))-1, 0)]
		got := h.Quantile(q)
		if diff := math.Abs(float64(got - want)); diff > 0.01*float64(want) {
			t.Errorf("quantile %v is %v, not %v", q, got, want)
		}
	}
	if h.Min() != all[0] || h.Max() != all[len(all)-1] || h.Count() != int64(len(all)) {
		t.Errorf("min %v, max %v, count %d", h.Min(), h.Max(), h.Count())
	}
}

func TestBucketsFollowOneAnother(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<20; v++ {
		i := bucket(v)
		if i != last && i != last+1 {
			t.Fatalf("%d is in bucket %d after %d", v, i, last)
		}
		if bucket(uint64(middle(i))) != i {
			t.Fatalf("middle of bucket %d is %d, in bucket %d", i, middle(i), bucket(uint64(middle(i))))
		}
		last = i
	}
	if i := bucket(math.MaxInt64); i != len(Histogram{}.counts)-1 {
		t.Errorf("the longest duration is in bucket %d", i)
	}
}

func TestMergedHistogramsAreOne(t *testing.T) {
	var parts [3]Histogram // the last stays empty
	var whole, merged Histogram
	for i := range 1000 {
		d := time.Duration(i * i)
		parts[i%2].Record(d)
		whole.Record(d)
	}
	for i := range parts {
		merged.Merge(&parts[i])
	}
	if merged != whole || merged.Mean() != whole.Mean() {
		t.Error("they differ")
	}
}

func TestEmptyHistogramAndNegativeDuration(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Mean() != 0 {
		t.Error("an empty one has values")
	}
	h.Record(-time.Second)
	if h.Max() != 0 || h.Quantile(1) != 0 || h.Count() != 1 {
		t.Error("a negative duration is not 0")
	}
}
