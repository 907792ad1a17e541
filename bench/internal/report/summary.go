package report

import (
	"cmp"
	"math"
	"slices"
)

// Median returns the middle of values, the mean of the two middle ones if their
// number is even, and NaN if there is none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// Summarize sets the medians of all outcomes.
func (r *Results) Summarize() {
	for i := range r.Scenarios {
		for j := range r.Scenarios[i].Outcomes {
			o := &r.Scenarios[i].Outcomes[j]
			o.Median = nil
			if o.Failed == "" && o.Absent == "" {
				o.Median = medians(o.Runs)
			}
		}
	}
}

func medians(runs []Run) Figures {
	values := make(map[Metric][]float64)
	for _, run := range runs {
		for metric, v := range run.Figures {
			values[metric] = append(values[metric], v)
		}
	}
	if len(values) == 0 {
		return nil
	}
	f := make(Figures, len(values))
	for metric, vs := range values {
		f[metric] = Median(vs)
	}
	f.split(runs)
	return f.Rounded()
}

// split shares the processor time between user and system as all runs together
// do: the kernel samples which it is a hundred times a second, so that a single
// run of less than a second knows little about it.
func (f Figures) split(runs []Run) {
	total, there := f[CPU]
	if !there {
		return
	}
	var user, system float64
	for _, run := range runs {
		user += run.Figures[CPUUser] * run.Figures[Messages]
		system += run.Figures[CPUSystem] * run.Figures[Messages]
	}
	if user+system > 0 {
		f[CPUUser] = total * user / (user + system)
		f[CPUSystem] = total - f[CPUUser]
	}
}

// Spread returns the least and the greatest value of m among the runs; ok is
// false if there is none.
func (o *Outcome) Spread(m Metric) (low, high float64, ok bool) {
	for _, run := range o.Runs {
		v, there := run.Figures[m]
		if !there {
			continue
		}
		if !ok {
			low, high, ok = v, v, true
		}
		low, high = min(low, v), max(high, v)
	}
	return low, high, ok
}

// Ranked returns the outcomes with a median of s.Primary, best first, and then
// the others.
func (s *Scenario) Ranked() []Outcome {
	ranked := slices.Clone(s.Outcomes)
	slices.SortStableFunc(ranked, func(a, b Outcome) int { return cmp.Compare(s.rank(a), s.rank(b)) })
	return ranked
}

func (s *Scenario) rank(o Outcome) float64 {
	if v, ok := o.Median[s.Primary]; ok {
		return v
	}
	return math.Inf(1)
}

// Best returns the best median of s.Primary among the libraries that did not
// fail, and the library; 0 and "" if there is none.
func (r *Results) Best(s *Scenario) (value float64, name string) {
	for _, o := range s.Ranked() {
		v, ok := o.Median[s.Primary]
		if ok && r.Peer(s, o.Peer).Kind == Library {
			return v, o.Peer
		}
	}
	return 0, ""
}

// Ours returns the median of s.Primary of this repository's default build, the
// first of its kind; 0 if it has none.
func (r *Results) Ours(s *Scenario) float64 {
	for _, o := range s.Outcomes {
		if r.Peer(s, o.Peer).Kind == Ours {
			return o.Median[s.Primary]
		}
	}
	return 0
}
