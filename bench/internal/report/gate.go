package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// BeforeSuffix ends the name of a peer of the kind Before. The rest is the name
// of the peer that it is compared with.
const BeforeSuffix = "-before"

// Change is one scenario's figure of a peer divided by that of the same peer at
// an earlier commit.
type Change struct {
	Scenario, Peer string
	Metric         Metric
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
					list = append(list, change(s, &now, &before))
				}
			}
		}
	}
	return list
}

func change(s *Scenario, now, before *Outcome) Change {
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
	return Change{Scenario: s.Name, Peer: now.Peer, Metric: s.Primary, Rounds: len(ratios), Ratio: Median(ratios)}
}

// Gate writes the changes and returns an error if one exceeds limit, or was not
// measured.
func (r *Results) Gate(w io.Writer, limit float64) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "scenario\tpeer\tmetric\trounds\tnow / before")
	var over []string
	for _, c := range r.Changes() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%.3f\n", c.Scenario, c.Peer, c.Metric, c.Rounds, c.Ratio)
		if !(c.Ratio <= limit) {
			over = append(over, fmt.Sprintf("%s of %s (%.3f)", c.Scenario, c.Peer, c.Ratio))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(over) > 0 {
		return fmt.Errorf("over %.2f of the earlier commit: %s", limit, strings.Join(over, ", "))
	}
	return nil
}
