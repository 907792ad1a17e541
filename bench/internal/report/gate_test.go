package report

import (
	"math"
	"strings"
	"testing"
)

func TestChangesAreMediansOfSameRoundRatios(t *testing.T) {
	runs := func(ns ...float64) (list []Run) {
		for i, v := range ns {
			if v > 0 {
				list = append(list, Run{i + 1, Figures{CPU: v}})
			}
		}
		return list
	}
	r := &Results{Scenarios: []Scenario{
		{Name: "echo", Primary: CPU, Outcomes: []Outcome{
			{Peer: "gorilla", Runs: runs(1, 1, 1)},
			{Peer: "fibersock", Runs: runs(100, 220, 330)},
			{Peer: "fibersock-before", Runs: runs(100, 200, 300)},
		}},
		{Name: "churn", Primary: CPU, Outcomes: []Outcome{
			{Peer: "fibersock", Runs: runs(0, 90)},
			{Peer: "fibersock-before", Runs: runs(1, 100)},
		}},
		{Name: "broken", Primary: CPU, Outcomes: []Outcome{
			{Peer: "fibersock", Failed: "no echo"},
			{Peer: "fibersock-before", Runs: runs(1)},
		}},
	}}
	got := r.Changes()
	want := []Change{{"echo", "fibersock", CPU, 3, 1.1}, {"churn", "fibersock", CPU, 1, 0.9}, {"broken", "fibersock", CPU, 0, math.NaN()}}
	if len(got) != len(want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for i := range want {
		g, w := got[i], want[i]
		same := math.Abs(g.Ratio-w.Ratio) < 1e-9 || math.IsNaN(g.Ratio) && math.IsNaN(w.Ratio)
		g.Ratio, w.Ratio = 0, 0
		if g != w || !same {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}

	var out strings.Builder
	err := r.Gate(&out, 1.05)
	if err == nil || !strings.Contains(err.Error(), "echo of fibersock (1.100), broken of fibersock (NaN)") {
		t.Errorf("gate: %v", err)
	}
	if !strings.Contains(out.String(), "0.900") {
		t.Errorf("no row of churn in\n%s", out.String())
	}
	r.Scenarios = r.Scenarios[:2]
	if err := r.Gate(&out, 1.11); err != nil {
		t.Errorf("gate of 1.11: %v", err)
	}
}
