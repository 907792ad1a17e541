package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An outcome is how a mutant fared in the tests.
type outcome int

const (
	unnoticed outcome = iota
	noticed
	timedOut // counts as noticed
)

func (o outcome) String() string {
	return [...]string{"not noticed", "noticed", "noticed by a timeout"}[o]
}

// A runner runs the tests of a package and of its mutants.
type runner struct {
	*source
	list    []*mutant // all of the package, in the order of the numbers
	dir     string    // for builds
	own     string    // the binary of the mutants that can be exchanged
	slack   time.Duration
	tests   []*test // the fastest first
	callers map[*place]map[*test]bool
}

// A test is a test of the package. cpu and wall are its times without a change.
type test struct {
	name      string
	cpu, wall time.Duration
}

// memory is the address space of a test run, in KiB: a mutant may append
// without end.
const memory = 8 << 20

// patience is the time after which a test that is not changed fails.
const patience = 10 * time.Minute

// firstBatch is the processor time of the first tests of a mutant. Each further
// batch has four times that of the one before.
const firstBatch = 100 * time.Millisecond

// newRunner builds the package with its exchangeable mutants, and runs each
// test by itself without a change, which shows its time and the functions that
// it calls.
func newRunner(s *source, list []*mutant, dir string, slack time.Duration) (*runner, error) {
	r := &runner{source: s, list: list, dir: dir, own: filepath.Join(dir, "together.test"), slack: slack, callers: map[*place]map[*test]bool{}}
	if err := r.build(r.own, r.together(list)); err != nil {
		return nil, err
	}
	cmd := exec.Command(r.own, "-test.list=^(Test|Fuzz|Example)")
	cmd.Dir = s.dir
	names, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	for name := range strings.FieldsSeq(string(names)) {
		if err := r.measure(&test{name: name, cpu: patience}); err != nil {
			return nil, fmt.Errorf("%s fails without any change: %w", name, err)
		}
	}
	slices.SortStableFunc(r.tests, func(a, b *test) int { return cmp.Compare(a.cpu+a.wall, b.cpu+b.wall) })
	return r, nil
}

// measure adds a test to those of r.
func (r *runner) measure(t *test) error {
	trace := filepath.Join(r.dir, "trace")
	state, wall, err := r.run(r.own, tracing, []*test{t}, patience)
	if err != nil {
		return err
	}
	t.cpu, t.wall = state.UserTime()+state.SystemTime(), wall
	r.tests = append(r.tests, t)
	text, err := os.ReadFile(trace)
	if errors.Is(err, os.ErrNotExist) {
		return nil // no function is called
	}
	for line := range strings.FieldsSeq(string(text)) {
		number, err := strconv.Atoi(line)
		if err != nil {
			return err
		}
		p := r.list[number-1].place
		if r.callers[p] == nil {
			r.callers[p] = map[*test]bool{}
		}
		r.callers[p][t] = true
	}
	return errors.Join(err, os.Remove(trace))
}

// build makes a test binary of the package with texts in place of its files.
func (r *runner) build(binary string, texts map[string]string) error {
	dir, err := os.MkdirTemp(r.dir, "overlay")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(dir, texts)
	if err != nil {
		return err
	}
	_, err = goCommand("test", "-c", "-vet=off", "-overlay="+overlay, "-ldflags=-s -w", "-o="+binary, r.path)
	return err
}

// outcomes runs the tests of the mutants with the numbers, at most jobs at a
// time, and gives each with its outcome in the order of the numbers. It ends
// with the first error.
func (r *runner) outcomes(numbers []int, jobs int, known *record, give func(*mutant, outcome)) error {
	type result struct {
		outcome outcome
		err     error
	}
	results := make([]chan result, len(numbers))
	free := make(chan struct{}, jobs)
	stop := make(chan struct{})
	var running sync.WaitGroup
	defer running.Wait()
	defer close(stop)
	for i := range results {
		results[i] = make(chan result, 1)
	}
	running.Go(func() {
		for i, number := range numbers {
			select {
			case <-stop:
				return
			case free <- struct{}{}:
			}
			running.Go(func() {
				o, err := known.outcome(number, r.outcome)
				results[i] <- result{o, err}
				<-free
			})
		}
	})
	for i, number := range numbers {
		got := <-results[i]
		if got.err != nil {
			return got.err
		}
		give(r.list[number-1], got.outcome)
	}
	return nil
}

// outcome runs the tests of one mutant that call its function, the fastest
// first, which mostly are enough.
func (r *runner) outcome(number int) (outcome, error) {
	m, binary := r.list[number-1], r.own
	if m.alone {
		binary = filepath.Join(r.dir, strconv.Itoa(number)+".test")
		if err := r.build(binary, map[string]string{m.file.path: m.text()}); err != nil {
			return 0, fmt.Errorf("%v: %w", m, err)
		}
		defer os.Remove(binary)
	}
	for _, tests := range r.batches(m) {
		if o, err := r.runMutant(binary, number, tests); o != unnoticed || err != nil {
			return o, err
		}
	}
	return unnoticed, nil
}

// batches returns the tests that may notice m, in the order in which to run
// them: all, unless m is in a function whose calls are known.
func (r *runner) batches(m *mutant) (all [][]*test) {
	var batch []*test
	var cpu time.Duration
	room := firstBatch
	for _, t := range r.tests {
		if !m.alone && m.place.function != nil && !r.callers[m.place][t] {
			continue
		}
		if len(batch) > 0 && cpu+t.cpu > room {
			all = append(all, batch)
			batch, cpu = nil, 0
			room *= 4
		}
		batch = append(batch, t)
		cpu += t.cpu
	}
	if len(batch) > 0 {
		all = append(all, batch)
	}
	return all
}

// runMutant runs tests of a mutant. A run is too long if it takes more than
// three times as long as one of the unchanged package, and r.slack. The latter is
// measured again then, as the machine may have become busy.
func (r *runner) runMutant(binary string, number int, tests []*test) (outcome, error) {
	limit := r.slack
	for _, t := range tests {
		limit += 3 * t.wall
	}
	for {
		_, _, err := r.run(binary, number, tests, limit)
		switch {
		case err == nil:
			return unnoticed, nil
		case !errors.Is(err, context.DeadlineExceeded):
			return noticed, nil
		}
		_, wall, err := r.run(r.own, 0, tests, patience)
		if err != nil {
			return 0, fmt.Errorf("the tests fail without any change: %w", err)
		}
		if 3*wall+r.slack <= limit {
			return timedOut, nil
		}
		limit = 6*wall + r.slack
	}
}

// run runs the tests within the limit of time, and within three times their
// processor time, which ends mutants that loop, on a busy machine too. The
// error has the end of their output.
func (r *runner) run(binary string, number int, tests []*test, limit time.Duration) (*os.ProcessState, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var names []string
	var cpu time.Duration
	for _, t := range tests {
		names = append(names, t.name)
		cpu += t.cpu
	}
	cpu = 3*cpu + r.slack
	shell := fmt.Sprintf(`ulimit -t %d; ulimit -v %d 2>/dev/null; exec "$0" "$@"`, int(cpu.Seconds())+1, memory)
	cmd := exec.CommandContext(ctx, "sh", "-c", shell, binary, "-test.failfast", "-test.short", "-test.run=^("+strings.Join(names, "|")+")$")
	cmd.Dir = r.source.dir
	cmd.Env = append(os.Environ(), choice+"="+strconv.Itoa(number), calls+"="+filepath.Join(r.dir, "trace"))
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	state := cmd.ProcessState
	switch {
	case ctx.Err() != nil:
		err = context.DeadlineExceeded
	case err != nil && state != nil && state.UserTime()+state.SystemTime() >= cpu:
		err = context.DeadlineExceeded
	case err != nil:
		text := out.String()
		err = fmt.Errorf("%w\n%s", err, text[max(0, len(text)-2000):])
	}
	return state, wall, err
}
