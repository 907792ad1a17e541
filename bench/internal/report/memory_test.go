package report

import (
	"strings"
	"testing"
	"time"
)

// weighed returns results of one idle scenario.
func weighed(name string, outcomes ...Outcome) *Results {
	r := &Results{
		Schema: SchemaVersion, Revision: "0123456789ab", Date: time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC),
		Machine:   Machine{CPU: "Some Processor", Processors: 2, System: "linux/amd64", Kernel: "Linux 6", Go: "go1.26", MemoryBytes: 16 << 30},
		Scenarios: []Scenario{{Name: name, Title: "Title of " + name, Detail: "Detail.", Unit: "connection", Primary: ConnBytes, Outcomes: outcomes}},
	}
	for _, o := range outcomes {
		r.Servers = append(r.Servers, Peer{Name: o.Peer, Version: "v1"})
	}
	r.Summarize()
	return r
}

func weight(peer string, bytes, conns float64) Outcome {
	return Outcome{Peer: peer, Runs: []Run{{1, Figures{ConnBytes: bytes, Messages: conns}}}}
}

func TestMergeKeepsEarlierOutcomesOfTheSameMachine(t *testing.T) {
	names, servers := []string{"idle", "idle-9", "idle-15"}, []string{"theirs", "ours", "interrupted"}
	scenariosOf := func(r *Results) (list []string) {
		for _, s := range r.Scenarios {
			list = append(list, s.Name)
		}
		return list
	}
	old := weighed("idle-15", weight("ours", 70_000, 10), weight("theirs", 1, 10))
	old.Scenarios = append(old.Scenarios, weighed("idle-9", weight("ours", 1, 10)).Scenarios...)
	old.Scenarios[1].Outcomes = append(old.Scenarios[1].Outcomes, weight("theirs", 3, 10), weight("interrupted", 4, 10))
	now := weighed("idle-9", weight("ours", 2_000, 10), Outcome{Peer: "interrupted"})
	now.Merge(old, names, servers)
	if got := strings.Join(scenariosOf(now), " "); got != "idle-9 idle-15" || now.Scenarios[0].Outcomes[0].Median[ConnBytes] != 2000 {
		t.Errorf("%s, %+v", got, now.Scenarios)
	}
	if len(now.Servers) != 3 || now.Servers[0].Name != "theirs" {
		t.Errorf("servers %+v", now.Servers)
	}
	for i, want := range []float64{2000, 4, 3} {
		if o := now.Scenarios[0].Outcomes[i]; len(o.Runs) != 1 || o.Runs[0].Figures[ConnBytes] != want {
			t.Errorf("%+v, want %v bytes", o, want)
		}
	}
	other := weighed("idle", weight("ours", 500, 10))
	other.Machine.Go = "go1.27"
	other.Merge(now, names, servers)
	if got := strings.Join(scenariosOf(other), " "); got != "idle" || len(other.Servers) != 1 {
		t.Errorf("figures of another Go are kept: %s", got)
	}
}

func TestMemoryPage(t *testing.T) {
	r := weighed("idle-9",
		weight("ours", 2200, 10_000), weight("large", 1.3e6, 2000),
		Outcome{Peer: "unable", Absent: "-window-bits: 15 always"}, Outcome{Peer: "broken", Failed: "no <echo>"})
	r.Merge(weighed("idle-15", weight("ours", 66_000, 10_000), Outcome{Peer: "unable", Absent: "-window-bits: 15 always"}), []string{"idle-9", "idle-15"}, nil)
	r.Scenarios = append(r.Scenarios, Scenario{Name: "echo", Title: "Echo", Primary: CPU})
	page := string(r.MemoryPage("make page"))
	for _, want := range []string{
		"Written by `make page`.",
		"Some Processor, 2 of them, 16.0 GiB; linux/amd64, Linux 6, go1.26; fibersock at 0123456789ab, 30 November 2026.",
		"| server | version | Title of idle-9 | Title of idle-15 |\n| --- | --- | --: | --: |\n",
		"| ours | v1 | 2,200 B | 64.5 KiB |",
		"| large | v1 | 1.24 MiB (2,000 connections) | not run |",
		"| unable | v1 | – | – |",
		"| broken | v1 | failed | not run |",
		"- **Title of idle-9**: Detail.",
		"- unable: -window-bits: 15 always (Title of idle-9; Title of idle-15)\n",
		"- broken: no &lt;echo> (Title of idle-9)\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, "Echo") {
		t.Error("a scenario without idle connections has a column")
	}
}
