package chaos

import (
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/test/testcert"
)

// Options are those of a run. The zero value of each is its default.
type Options struct {
	Seed uint64
	Time time.Duration // about how long, with all ends of rounds; at least three rounds are played

	Logf func(format string, args ...any)
}

// run is a run of several rounds.
type run struct {
	recorder
	logf func(format string, args ...any)
	ids  atomic.Uint32

	mu      sync.Mutex // guards covered
	covered map[string]int
}

// count notes that a connection begins, for the coverage.
func (r *run) count(k *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.covered["form "+k.target.form.name]++
	r.covered["style "+k.style]++
	r.covered["policy "+policyNames[k.target.policy]]++
	r.covered["kind "+k.kind.name]++
}

// processors are the values of GOMAXPROCS, in turn.
var processors = []int{2, 1, 8}

// Run plays rounds. It returns a text for each failed check, with the history
// of the connection.
func Run(o Options) (failures []string, err error) {
	r := &run{logf: o.Logf, covered: make(map[string]int)}
	cert, _, err := testcert.New("chaos.example")
	if err != nil {
		return nil, err
	}
	log.SetOutput(io.Discard) // the server reports panics of Server.Log there
	defer log.SetOutput(os.Stderr)
	began := time.Now()
	length := max(min(2*time.Second, o.Time/5), 500*time.Millisecond)
	for i := 0; i < 3 || time.Since(began) < o.Time-length; i++ {
		procs := processors[(i+i/6)%len(processors)]
		round := &round{
			recorder: &r.recorder, run: r, seed: o.Seed + uint64(i)*0x9e3779b97f4a7c15, time: length,
			long: i%2 == 0, ending: ending(i/2) % endings, cert: cert,
		}
		limits := "short"
		if round.long {
			limits = "long"
		}
		round.name = fmt.Sprintf("round %d of seed %d: GOMAXPROCS %d, %s time limits, Shutdown %v", i, o.Seed, procs, limits, round.ending)
		back := setProcs(procs)
		err := round.play(i)
		back()
		if err != nil {
			return nil, err
		}
		n, p50, p99, longest := round.echoes.summary()
		o.Logf("%s: %v, %d connections, %d echoes: p50 %v, p99 %v, longest %v; stalls %v", round.name, time.Since(round.began).Round(time.Millisecond), len(round.conns), n,
			p50.Round(time.Microsecond), p99.Round(time.Microsecond), longest.Round(time.Microsecond), round.stalls.since(round.began).Round(time.Millisecond))
	}
	r.checkCoverage()
	return r.failures(), nil
}

// checkCoverage checks that everything was there once.
func (r *run) checkCoverage() {
	want := []string{"kind " + probe.name}
	for _, f := range forms {
		want = append(want, "form "+f.name)
	}
	for _, s := range styles {
		want = append(want, "style "+s)
	}
	for _, p := range policies {
		want = append(want, "policy "+policyNames[p])
	}
	for _, k := range kinds {
		want = append(want, "kind "+k.name)
	}
	for _, name := range want {
		if r.covered[name] == 0 {
			r.add(violation{invariant: coverage, round: "the run", detail: "no connection of " + name}, false)
		}
	}
}

// failures returns the violations as texts.
func (r *run) failures() (texts []string) {
	for i, n := range r.counts {
		if n > mostViolations {
			texts = append(texts, fmt.Sprintf("%d violations of: %s", n, i))
		}
	}
	for _, v := range r.found {
		text := fmt.Sprintf("violated: %s\n%s\n%s", v.invariant, v.round, v.detail)
		if v.history != "" {
			text += "\n" + v.history
		}
		if v.dump != "" {
			text += "\n" + v.dump
		}
		texts = append(texts, text)
	}
	return texts
}
