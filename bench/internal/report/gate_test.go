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
	r := &Results{
		Servers: []Peer{
			{Name: "fibersock"}, {Name: "fibersock-before"},
			{Name: "fibersock-portable"}, {Name: "fibersock-portable-before", Missing: "undefined: server"},
		},
		Scenarios: []Scenario{
			{Name: "echo", Primary: CPU, Outcomes: []Outcome{
				{Peer: "gorilla", Runs: runs(1, 1, 1)},
				{Peer: "fibersock", Runs: runs(100, 220, 330)},
				{Peer: "fibersock-before", Runs: runs(100, 200, 300)},
			}},
			{Name: "churn", Primary: CPU, Outcomes: []Outcome{
				{Peer: "fibersock", Runs: runs(0, 90)},
				{Peer: "fibersock-before", Runs: runs(1, 100)},
			}},
			{Name: "deflate", Primary: CPU, Outcomes: []Outcome{
				{Peer: "fibersock", Runs: runs(10, 10)},
				{Peer: "fibersock-before", Absent: "-deflate: not there yet"},
			}},
			{Name: "neither", Primary: CPU, Outcomes: []Outcome{
				{Peer: "fibersock", Absent: "not there yet"},
				{Peer: "fibersock-before", Absent: "not there yet"},
			}},
			{Name: "broken", Primary: CPU, Outcomes: []Outcome{
				{Peer: "fibersock", Failed: "no echo"},
				{Peer: "fibersock-before", Runs: runs(1)},
			}},
			{Name: "lost", Primary: CPU, Outcomes: []Outcome{
				{Peer: "fibersock", Absent: "-cert: no TLS any more"},
				{Peer: "fibersock-before", Runs: runs(1)},
			}},
			{Name: "unbuilt", Primary: CPU, Outcomes: []Outcome{
				{Peer: "fibersock-portable", Runs: runs(1)},
				{Peer: "fibersock-portable-before", Absent: "not built: undefined: server"},
			}},
		},
	}
	nan := math.NaN()
	got := r.Changes()
	want := []Change{
		{"echo", "fibersock", CPU, Compared, 3, 1.1},
		{"churn", "fibersock", CPU, Compared, 1, 0.9},
		{"deflate", "fibersock", CPU, NotBefore, 0, nan},
		{"neither", "fibersock", CPU, NotThere, 0, nan},
		{"broken", "fibersock", CPU, NotMeasured, 0, nan},
		{"lost", "fibersock", CPU, NotNow, 0, nan},
		{"unbuilt", "fibersock-portable", CPU, NotMeasured, 0, nan},
	}
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
	wantError := "over 1.05 of the earlier commit: echo of fibersock (1.100), broken of fibersock (not measured), " +
		"lost of fibersock (no longer there), unbuilt of fibersock-portable (not measured)"
	if err == nil || err.Error() != wantError {
		t.Errorf("gate: %v, want %s", err, wantError)
	}
	for _, row := range []string{"0.900\n", "not there before\n", "not there\n"} {
		if !strings.Contains(out.String(), row) {
			t.Errorf("no row with %q in\n%s", row, out.String())
		}
	}
	all := r.Scenarios
	r.Scenarios = all[:4]
	if err := r.Gate(&out, 1.11); err != nil {
		t.Errorf("gate of 1.11: %v", err)
	}
	r.Scenarios = all[2:4]
	if err := r.Gate(&out, 1.11); err == nil {
		t.Error("the gate passes without a scenario that was measured at both commits")
	}
}
