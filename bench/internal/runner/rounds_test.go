package runner

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/bench/internal/report"
)

func tiny(name string) plan {
	return plan{
		scenario: scenario{name: name, title: name, conns: 2, inFlight: 1, size: 16},
		rounds:   2, warmup: 5 * time.Millisecond, duration: 30 * time.Millisecond,
	}
}

// fakeBench has these fakes for servers, asked already.
func fakeBench(t *testing.T, plans []plan, names ...string) *Bench {
	t.Helper()
	b, err := newBench(Options{Mode: Quick, Root: "../.."})
	if err != nil {
		t.Fatal(err)
	}
	b.servers, b.plans, b.progress = fakePeers(t, names...), plans, newProgress(io.Discard, time.Minute)
	if err := b.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEachRoundBeginsWithAnotherPeer(t *testing.T) {
	const n = 4
	first := make(map[int]bool)
	for round := 1; round <= n; round++ {
		o := order(n, round)
		first[o[0]] = true
		slices.Sort(o)
		if !slices.Equal(o, []int{0, 1, 2, 3}) {
			t.Errorf("round %d: %v is not every peer once", round, o)
		}
	}
	if len(first) != n {
		t.Errorf("first in a round were %v, want each peer once in %d rounds", first, n)
	}
	if got := order(3, 2); !slices.Equal(got, []int{1, 2, 0}) {
		t.Errorf("second round: %v, want b c a", got)
	}
}

func TestTwoServersInATinyScenario(t *testing.T) {
	b := fakeBench(t, []plan{tiny("tiny")}, "right", "other")
	b.rounds(t.Context())
	b.conclude(time.Now(), false)
	for _, o := range b.results.Scenarios[0].Outcomes {
		if o.Failed != "" || o.Absent != "" || len(o.Runs) != 2 {
			t.Fatalf("%s: failed %q, absent %q, %d runs; want 2 runs", o.Peer, o.Failed, o.Absent, len(o.Runs))
		}
		for _, m := range []report.Metric{report.CPU, report.Rate, report.P50, report.P999, report.RSS, report.Messages} {
			if o.Median[m] <= 0 {
				t.Errorf("%s: %s is %v", o.Peer, m, o.Median[m])
			}
		}
		f := o.Runs[0].Figures
		if want := 1e7 / f[report.CPU]; f[report.EER] < 0.999*want || f[report.EER] > 1.001*want {
			t.Errorf("%s: EER %v with %v ns a message, want %v", o.Peer, f[report.EER], f[report.CPU], want)
		}
	}
}

// A scenario over the gate has three times as many rounds, and others do not.
func TestAScenarioOverTheGateHasMoreRounds(t *testing.T) {
	for _, c := range []struct {
		gate float64
		want int
	}{{0, 2}, {1e-9, 6}, {1e9, 2}} {
		short := tiny("short")
		short.rounds = 1
		b := fakeBench(t, []plan{tiny("tiny"), short}, "right", "other")
		b.servers[0].Name, b.servers[1].Name = "fibersock", "fibersock"+report.BeforeSuffix
		b.Gate = c.gate
		b.rounds(t.Context())
		for i, s := range b.results.Scenarios {
			want := c.want
			if i == 1 {
				want /= 2
			}
			for _, o := range s.Outcomes {
				if len(o.Runs) != want || s.Rounds != want {
					t.Errorf("%s with a gate of %v: %s had %d of %d rounds, want %d", s.Name, c.gate, o.Peer, len(o.Runs), s.Rounds, want)
				}
			}
		}
		if c := b.results.Changes()[0]; c.Rounds != len(b.results.Scenarios[0].Outcomes[0].Runs) {
			t.Errorf("the ratio is of %d rounds", c.Rounds)
		}
		more := time.Duration(2*(c.want-2)+2*(c.want/2-1)) * tiny("").estimate() // both servers in both scenarios
		if got := b.progress.total - time.Minute; got != more {
			t.Errorf("the estimate grew by %v, want %v", got, more)
		}
	}
}

func TestFaultsOfServersAreShown(t *testing.T) {
	deflate := tiny("deflate")
	deflate.deflate = true
	for _, c := range []struct {
		peer           string
		plan           plan
		failed, absent string // a part of the reason
	}{
		{peer: "liar", plan: tiny("wrong bytes"), failed: "expected byte 0"},
		{peer: "shortens", plan: tiny("wrong length"), failed: "expected a binary message of 16 bytes"},
		{peer: "panics", plan: tiny("crash"), failed: "exit status 2; its last words: out of ideas"},
		{peer: "mute", plan: tiny("ends at once"), absent: "the process ended: exit status 0"},
		{peer: "babbles", plan: tiny("no JSON"), absent: `"welcome to my server"`},
		{peer: "refuses", plan: tiny("does not start"), absent: "no port is good enough"},
		{peer: "unable", plan: deflate, absent: "-deflate: it never learned to"},
	} {
		t.Run(c.peer, func(t *testing.T) {
			b := fakeBench(t, []plan{c.plan}, c.peer, "right")
			b.rounds(t.Context())
			o := b.results.Scenarios[0].Outcomes[0]
			if !strings.Contains(o.Failed, c.failed) || !strings.Contains(o.Absent, c.absent) || (o.Failed == "") == (o.Absent == "") {
				t.Errorf("failed %q, absent %q; want %q, %q", o.Failed, o.Absent, c.failed, c.absent)
			}
			if len(o.Runs) > 0 {
				t.Errorf("figures of a failed peer: %v", o.Runs)
			}
			if right := b.results.Scenarios[0].Outcomes[1]; c.plan.deflate != (len(right.Runs) == 0) {
				t.Errorf("the other peer had %d runs, failed %q", len(right.Runs), right.Failed)
			}
		})
	}
}

func TestOursIsShownOnceWhileBothBuildsAreTheSame(t *testing.T) {
	for _, c := range []struct {
		second string
		want   int
	}{{"twin", 1}, {"other", 2}} {
		b := fakeBench(t, nil, "right")
		b.servers[0].Kind = report.Ours
		second := fakePeers(t, c.second)[0]
		second.Name, second.Kind = alternate, report.Ours
		b.servers = append(b.servers, second)
		if err := b.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(b.servers) != c.want {
			t.Errorf("right and %s: %d servers, want %d", c.second, len(b.servers), c.want)
		}
	}
}

func TestInterruptKeepsResults(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	long := tiny("long")
	long.duration = time.Hour
	b := fakeBench(t, []plan{tiny("tiny"), long}, "right")
	b.progress = newProgress(writerFunc(func(line string) {
		if strings.Contains(line, "long") {
			time.AfterFunc(100*time.Millisecond, cancel)
		}
	}), time.Minute)
	b.rounds(ctx)
	b.conclude(time.Now(), ctx.Err() != nil)
	if !b.results.Interrupted {
		t.Error("the results do not say that they are not complete")
	}
	if got := b.results.Scenarios[0].Outcomes[0]; len(got.Runs) != 1 || got.Median == nil {
		t.Errorf("of the scenario before the interrupt %d runs are kept, want 1", len(got.Runs))
	}
	if got := b.results.Scenarios[1].Outcomes[0]; len(got.Runs) != 0 || got.Failed != "" {
		t.Errorf("the interrupted run counts: %v, failed %q", got.Runs, got.Failed)
	}
}

type writerFunc func(string)

func (f writerFunc) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

func TestAProcessEndsWithItsInput(t *testing.T) {
	peer := fakePeers(t, "right")[0]
	p, err := start(t.Context(), []int{0}, peer.path)
	if err != nil {
		t.Fatal(err)
	}
	p.stop()
	if p.err != nil {
		t.Errorf("the server ended with %v, want exit status 0", p.err)
	}
}

func TestIdleConnectionsAreWeighed(t *testing.T) {
	idlePlan := tiny("idle")
	idlePlan.kind, idlePlan.conns = idle, 50
	b := fakeBench(t, []plan{idlePlan}, "right")
	b.rounds(t.Context())
	o := b.results.Scenarios[0].Outcomes[0]
	if o.Failed != "" || len(o.Runs) == 0 {
		t.Fatalf("failed %q, absent %q", o.Failed, o.Absent)
	}
	if got := o.Runs[0].Figures[report.ConnBytes]; got < 100 || got > 1<<20 {
		t.Errorf("%v bytes for a connection", got)
	}
}

func TestTheNameOfACommandIsNotAmongItsLastWords(t *testing.T) {
	for words, want := range map[string]string{
		"fibersock: -deflate: not there": "-deflate: not there",
		"panic: runtime error":           "panic: runtime error",
		"fatal error: all asleep":        "fatal error: all asleep",
		"Killed":                         "Killed",
		"":                               "",
	} {
		if got := withoutName(words); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
}

func TestConnectionsOverALimitOfTheSystemAreAbsentWithItsName(t *testing.T) {
	many := tiny("many")
	many.conns = 1000
	for _, c := range []struct {
		files, ports int
		want         string
	}{
		{files: 1100, want: "1100 connections exceed the 1100 open files of a process (ulimit -n)"},
		{ports: 1099, want: "1100 connections exceed the 1099 local ports (net.ipv4.ip_local_port_range)"},
	} {
		b := fakeBench(t, []plan{many}, "right")
		b.files, b.ports = c.files, c.ports
		b.rounds(t.Context())
		if o := b.results.Scenarios[0].Outcomes[0]; o.Absent != c.want || len(o.Runs) > 0 {
			t.Errorf("%d files, %d ports: absent %q, failed %q; want %q", c.files, c.ports, o.Absent, o.Failed, c.want)
		}
	}
}

func TestARunThatDoesNotFinishFailsWithTheStateOfItsConnections(t *testing.T) {
	p := tiny("slow")
	p.kind, p.conns = idle, 20
	b := fakeBench(t, []plan{p}, "silent")
	b.limit = func(plan) time.Duration { return 300 * time.Millisecond }
	b.rounds(t.Context())
	o := b.results.Scenarios[0].Outcomes[0]
	for _, want := range []string{"not finished in ", "the processors are busy", "message 1 of 1: load: 0 of 20 connections are verified"} {
		if !strings.Contains(o.Failed, want) {
			t.Errorf("failed %q, without %q", o.Failed, want)
		}
	}
}
