package runner

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/bench/internal/report"
)

// The whole way: built from source, started, measured.
func TestBuiltServersAreMeasured(t *testing.T) {
	results, err := Run(t.Context(), Options{
		Mode: Quick, Peers: []string{"fibersock", "minimal-go"}, Scenarios: []string{"echo-32"}, Rounds: 1, Root: "../..", Progress: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(results.Servers) != 2 || results.Interrupted {
		t.Fatalf("servers %v, interrupted %v", results.Servers, results.Interrupted)
	}
	for _, o := range results.Scenarios[0].Outcomes {
		if o.Median[report.CPU] <= 0 {
			t.Errorf("%s: failed %q, absent %q, CPU-ns %v", o.Peer, o.Failed, o.Absent, o.Median[report.CPU])
		}
	}
}

func TestFailedBuildIsMissingWithTheReason(t *testing.T) {
	b, err := newBench(Options{Mode: Quick, Root: "testdata"})
	if err != nil {
		t.Fatal(err)
	}
	b.dir, b.progress = t.TempDir(), newProgress(io.Discard, time.Second)
	b.servers, b.clients = []*peer{newPeer(report.Library, "nobody", "example.com/nobody")}, nil
	if err := b.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.servers[0].Missing == "" {
		t.Error("a server whose source is not there was built")
	}
}

func TestAQuickRunTakesMinutes(t *testing.T) {
	b, err := newBench(Options{Mode: Quick})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.estimate(); got > 5*time.Minute+45*time.Second {
		t.Errorf("a quick run is estimated to take %v, which is not about 6 minutes with the building", got)
	}
	full, err := newBench(Options{Mode: Full})
	if err != nil {
		t.Fatal(err)
	}
	if len(full.plans) != len(scenarios) {
		t.Errorf("a full run has %d of %d scenarios", len(full.plans), len(scenarios))
	}
	if got := full.estimate(); got > 90*time.Minute {
		t.Errorf("a full run is estimated to take %v, which is far from 85 minutes", got)
	}
}

func TestNamesThatAreNot(t *testing.T) {
	for _, o := range []Options{{Mode: Quick, Peers: []string{"gorila"}}, {Mode: Quick, Scenarios: []string{"echo-7"}}} {
		_, err := newBench(o)
		if err == nil || !strings.Contains(err.Error(), "there are") {
			t.Errorf("%v, %v: %v; want an error with the names that there are", o.Peers, o.Scenarios, err)
		}
	}
}

func TestAllPeersTakePartUnlessSomeAreNamed(t *testing.T) {
	all, _, err := choosePeers(nil)
	if err != nil || len(all) != len(servers()) {
		t.Errorf("without names: %d of %d servers, %v", len(all), len(servers()), err)
	}
	named, _, err := choosePeers([]string{"nbio"})
	if err != nil || len(named) != 1 {
		t.Errorf("by name: %v, %v", named, err)
	}
}

func TestServersAndLoadShareNoProcessorIfThereAreTwo(t *testing.T) {
	for _, c := range []struct{ all, server, load []int }{
		{[]int{0}, []int{0}, []int{0}},
		{[]int{0, 1}, []int{0}, []int{1}},
		{[]int{2, 5, 7}, []int{2}, []int{5, 7}},
	} {
		if d := divide(c.all); !slices.Equal(d.server, c.server) || !slices.Equal(d.load, c.load) {
			t.Errorf("%v: %v", c.all, d)
		}
	}
	if got := list([]int{0, 2, 13}); got != "0,2,13" {
		t.Errorf("written as %q", got)
	}
}

func TestProgressShowsTheRemainingTime(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgress(&out, 100*time.Second)
	p.now, p.begun, p.terminal = func() time.Time { return now }, now, true
	p.add(25 * time.Second)
	now = now.Add(50 * time.Second) // twice as slow as estimated
	p.at("round 1 of 3: echo-125", "gorilla")
	for _, want := range []string{"██████░", " 25 %", "2:30 left", "echo-125, gorilla"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q has no %q", out.String(), want)
		}
	}
	out.Reset()
	p.terminal = false
	p.at("round 1 of 3: echo-125", "gorilla")
	p.at("round 1 of 3: echo-125", "coder")
	if got := out.String(); got != " 25 %  round 1 of 3: echo-125\n" {
		t.Errorf("not on a terminal: %q", got)
	}
}

func TestPayloadsHaveTheirSize(t *testing.T) {
	for _, s := range scenarios {
		p, _ := planned(s, Full, 0)
		if got := p.payload(); len(got) != s.size {
			t.Errorf("%s: %d bytes, want %d", s.name, len(got), s.size)
		}
	}
}

func TestAScriptIsRunWhereItIs(t *testing.T) {
	b, err := newBench(Options{Mode: Quick, Root: "../..", Peers: []string{"npm-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	b.progress = newProgress(io.Discard, time.Second)
	p := b.servers[0]
	if err := b.buildOne(t.Context(), p, "servers"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(p.path)
	if err != nil || !filepath.IsAbs(p.path) || info.Mode()&0o111 == 0 {
		t.Errorf("%s: %v, %v; want the absolute path of an executable file", p.path, info, err)
	}
}
