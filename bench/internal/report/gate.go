package report

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// BeforeSuffix ends the name of a peer of the kind Before. The rest is the name
// of the peer that it is compared with.
const BeforeSuffix = "-before"

// Comparison says whether a Change has a ratio, and the reason if it has none.
type Comparison string

// The comparisons. The gate fails for NotNow and NotMeasured.
const (
	Compared    Comparison = ""                 // Ratio is valid
	NotBefore   Comparison = "not there before" // the earlier commit does not support the scenario
	NotThere    Comparison = "not there"        // neither commit supports it
	NotNow      Comparison = "no longer there"  // only the earlier commit supports it
	NotMeasured Comparison = "not measured"     // one of both failed, was not built, or has no round in common
)

// Change is one scenario's figure of a peer divided by that of the same peer at
// an earlier commit.
type Change struct {
	Scenario, Peer string
	Metric         Metric
	Comparison     Comparison
	Rounds         int     // in which both were measured
	Ratio          float64 // median of the ratios of the rounds; NaN without rounds
}

// Changes returns the changes of all scenarios.
func (r *Results) Changes() (list []Change) {
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		for _, before := range s.Outcomes {
			name, ok := strings.CutSuffix(before.Peer, BeforeSuffix)
			if !ok {
				continue
			}
			for _, now := range s.Outcomes {
				if now.Peer == name {
					list = append(list, r.change(s, &now, &before))
				}
			}
		}
	}
	return list
}

func (r *Results) change(s *Scenario, now, before *Outcome) Change {
	old := make(map[int]float64)
	for _, run := range before.Runs {
		old[run.Round] = run.Figures[s.Primary]
	}
	var ratios []float64
	for _, run := range now.Runs {
		if v := old[run.Round]; v > 0 {
			ratios = append(ratios, run.Figures[s.Primary]/v)
		}
	}
	c := Change{Scenario: s.Name, Peer: now.Peer, Metric: s.Primary, Rounds: len(ratios), Ratio: Median(ratios)}
	switch now, before := r.lacks(s, now), r.lacks(s, before); {
	case now && before:
		c.Comparison = NotThere
	case before:
		c.Comparison = NotBefore
	case now:
		c.Comparison = NotNow
	case c.Rounds == 0:
		c.Comparison = NotMeasured
	}
	return c
}

// lacks reports whether the peer of o has reported that it does not support the
// scenario. A peer that was not built or not started has reported nothing.
func (r *Results) lacks(s *Scenario, o *Outcome) bool {
	return o.Absent != "" && r.Peer(s, o.Peer).Missing == ""
}

var errNothingCompared = errors.New("no scenario was measured at both commits")

// Gate writes the changes. It returns an error if a ratio exceeds limit, if a
// scenario is NotNow or NotMeasured, or if none has a ratio.
func (r *Results) Gate(w io.Writer, limit float64) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "scenario\tpeer\tmetric\trounds\tnow / before")
	var over []string
	compared := false
	for _, c := range r.Changes() {
		shown := string(c.Comparison)
		if c.Comparison == Compared {
			shown, compared = fmt.Sprintf("%.3f", c.Ratio), true
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", c.Scenario, c.Peer, c.Metric, c.Rounds, shown)
		if c.fails(limit) {
			over = append(over, fmt.Sprintf("%s of %s (%s)", c.Scenario, c.Peer, shown))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	switch {
	case len(over) > 0:
		return fmt.Errorf("over %.2f of the earlier commit: %s", limit, strings.Join(over, ", "))
	case !compared:
		return errNothingCompared
	}
	return nil
}

// Over reports whether the ratio exceeds limit.
func (c *Change) Over(limit float64) bool { return c.Comparison == Compared && c.Ratio > limit }

func (c *Change) fails(limit float64) bool {
	return c.Over(limit) || c.Comparison == NotNow || c.Comparison == NotMeasured
}
