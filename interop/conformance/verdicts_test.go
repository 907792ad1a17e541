package conformance

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/interop/peer"
	"github.com/fibersock/fibersock/wstest/conform"
	"github.com/fibersock/fibersock/wstest/conform/report"
)

var (
	full   = flag.Bool("full", false, "run all cases, not the quick ones only")
	update = flag.Bool("update", false, "update the files: with -full the verdicts, and always the tables")
)

// quick are the cases of at most a second or two.
var quick = []string{
	"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*",
	"9.1.1", "9.1.2", "9.2.1", "9.2.2", "9.3.6", "9.4.6", "9.5.6", "9.6.6", "9.7.1", "9.8.1",
	"12.*.1", "12.*.2", "12.*.3", "13.*.1", "13.*.2", "13.*.3",
}

const (
	parallel = 32 // cases at the same time, of those that mostly wait

	// patience multiplies the judge's timeouts, because the machine may be
	// busy.
	patience = 3

	// attempts is the number of times that a case is judged until its verdict
	// is the expected one: on a busy machine the order of the last write before
	// the end of TCP and of the peer's reads varies.
	attempts = 3
)

func TestVerdicts(t *testing.T) {
	for _, p := range peer.All() {
		for _, role := range []conform.Role{conform.Server, conform.Client} {
			t.Run(fmt.Sprintf("%s/%s", p.Name, role), func(t *testing.T) {
				if !*update {
					t.Parallel() // some peers let the judge wait for minutes
				}
				started := time.Now()
				results := judge(t, p, role, selected(t))
				t.Logf("%d cases in %v", len(results), time.Since(started).Round(time.Second))
				if *full && *update {
					verdictsOf(results).write(t, p, role)
					return
				}
				compare(t, p, role, results)
			})
		}
	}
	if *full && *update {
		writeRuntimes(t)
		TestPageShowsTheCommittedVerdictsAndVersions(t)
	}
}

func selected(t *testing.T) []*conform.Case {
	t.Helper()
	only := quick
	if *full {
		only = nil
	}
	cases, err := conform.Select(only, nil)
	check.Must(t, err)
	return cases
}

// judge runs cases against p.
func judge(t *testing.T, p peer.Peer, role conform.Role, cases []*conform.Case) []*conform.Result {
	t.Helper()
	options := conform.Options{Agent: p.Name, Patience: patience, Parallel: parallel}
	if role == conform.Server {
		return judgeServer(t, p, cases, options)
	}
	return judgeClient(t, p, cases, options)
}

func judgeServer(t *testing.T, p peer.Peer, cases []*conform.Case, options conform.Options) []*conform.Result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	urls, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- p.Serve(ctx, "127.0.0.1:0", func(url string) { urls <- url }) }()
	var url string
	select {
	case url = <-urls:
	case err := <-ended:
		t.Fatal(err)
	}
	results, err := conform.JudgeServer(ctx, url, cases, options)
	cancel()
	if ended := <-ended; err != nil || ended != nil {
		t.Fatal(err, ended)
	}
	if len(results) != len(cases) {
		t.Fatalf("verdicts on %d cases, not on %d", len(results), len(cases))
	}
	return results
}

// judgeClient runs the cases in the order of JudgeServer: first those that
// mostly wait, many at a time; then those that compress; then, alone, those
// that measure time.
func judgeClient(t *testing.T, p peer.Peer, cases []*conform.Case, options conform.Options) []*conform.Result {
	t.Helper()
	atOnce := map[string]int{"9": 1, "12": runtime.GOMAXPROCS(0), "13": runtime.GOMAXPROCS(0)}
	var phases [3][]*conform.Case
	for _, c := range cases {
		switch atOnce[c.Class()] {
		case 0:
			phases[0] = append(phases[0], c)
		case 1:
			phases[2] = append(phases[2], c)
		default:
			phases[1] = append(phases[1], c)
		}
	}
	var results []*conform.Result
	for _, cases := range phases {
		if len(cases) > 0 {
			results = append(results, judgeClientAtOnce(t, p, cases, cmp.Or(atOnce[cases[0].Class()], parallel), options)...)
		}
	}
	return results
}

func judgeClientAtOnce(t *testing.T, p peer.Peer, cases []*conform.Case, parallel int, options conform.Options) []*conform.Result {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	verdicts := make(chan string, len(cases))
	options.Result = func(r *conform.Result) { verdicts <- r.Case.ID }
	fuzzer := &conform.FuzzingServer{Cases: cases, Options: options}
	ended := make(chan error, 1)
	go func() { ended <- fuzzer.Serve(ctx, ln) }()
	err = p.Drive(ctx, "ws://"+ln.Addr().String(), p.Name, parallel)
	awaitVerdicts(t, verdicts, len(cases))
	cancel()
	<-ended
	check.Must(t, err)
	return fuzzer.Results()[p.Name]
}

// awaitVerdicts waits for the verdicts on all cases: a client may end before
// the judge does.
func awaitVerdicts(t *testing.T, verdicts <-chan string, cases int) {
	t.Helper()
	missing := time.After(30 * time.Second)
	for n := range cases {
		select {
		case <-verdicts:
		case <-missing:
			t.Fatalf("verdicts on %d cases, not on %d", n, cases)
		}
	}
}

// compare fails t for each case whose verdict differs from the committed one in
// all attempts.
func compare(t *testing.T, p peer.Peer, role conform.Role, results []*conform.Result) {
	t.Helper()
	expected := readExpectation(t, p, role)
	for attempt := 1; ; attempt++ {
		differences, err := expected.Compare(p.Name, results)
		check.Must(t, err)
		if len(differences) == 0 {
			return
		}
		if attempt == attempts {
			for _, d := range differences {
				t.Error(explain(d, results))
			}
			return
		}
		results = judge(t, p, role, casesOf(differences, results))
	}
}

func readExpectation(t *testing.T, p peer.Peer, role conform.Role) *report.Expectation {
	t.Helper()
	f, err := os.Open(fileOf(p, role))
	check.Must(t, err)
	defer f.Close()
	expected, err := report.ReadExpectation(f)
	check.Mustf(t, err, "%s", f.Name())
	return expected
}

// casesOf returns the cases of the differences.
func casesOf(differences []report.Difference, results []*conform.Result) []*conform.Case {
	var cases []*conform.Case
	for _, r := range results {
		if slices.ContainsFunc(differences, func(d report.Difference) bool { return d.ID == r.Case.ID }) {
			cases = append(cases, r.Case)
		}
	}
	return cases
}

// explain returns the difference with the judge's reasons.
func explain(d report.Difference, results []*conform.Result) string {
	i := slices.IndexFunc(results, func(r *conform.Result) bool { return r.Case.ID == d.ID })
	return strings.Join(slices.DeleteFunc([]string{d.String(), results[i].Why, results[i].WhyClose}, func(s string) bool { return s == "" }), "; ")
}
