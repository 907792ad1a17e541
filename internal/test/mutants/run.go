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
	most    time.Duration // the processor time of the longest test that runs
	tests   []*test       // the fastest first
	callers map[*place]map[*test]bool
	traced  map[string]*place // the exchangeable functions, by name
}

// A test is a test of the package, and its usage without a change.
type test struct {
	name string
	usage
}

// memory is the address space of a test run, in KiB: a mutant may append
// without end.
const memory = 8 << 20

// patience is the time after which each run ends.
const patience = 10 * time.Minute

// firstBatch is the processor time of the first tests of a mutant. Each further
// batch has four times that of the one before.
const firstBatch = 100 * time.Millisecond

// newRunner builds the package with its exchangeable mutants, and runs each
// test by itself without a change, which shows its time and the functions that
// it calls.
func newRunner(s *source, list []*mutant, dir string, slack time.Duration, known *record) (*runner, error) {
	r := &runner{source: s, list: list, dir: dir, own: filepath.Join(dir, "together.test"), slack: slack, callers: map[*place]map[*test]bool{}, traced: map[string]*place{}}
	for _, m := range list {
		if m.place.function != nil {
			r.traced[m.place.name] = m.place
		}
	}
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
		m, err := known.test(name, func() (measured, error) { return r.measure(name) })
		if err != nil {
			return nil, fmt.Errorf("%s fails without any change: %w", name, err)
		}
		t := &test{name, m.usage}
		r.tests = append(r.tests, t)
		for _, number := range m.called {
			p := list[number-1].place
			if r.callers[p] == nil {
				r.callers[p] = map[*test]bool{}
			}
			r.callers[p][t] = true
		}
	}
	slices.SortStableFunc(r.tests, func(a, b *test) int { return cmp.Compare(a.cpu+a.idle, b.cpu+b.idle) })
	return r, nil
}

// measure runs a test by itself.
func (r *runner) measure(name string) (m measured, err error) {
	trace := filepath.Join(r.dir, "trace")
	if m.usage, err = r.run(r.own, tracing, []*test{{name, usage{patience, patience}}}); err != nil {
		return m, err
	}
	text, err := os.ReadFile(trace)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil // no function is called
	}
	for line := range strings.FieldsSeq(string(text)) {
		number, err := strconv.Atoi(line)
		if err != nil {
			return m, err
		}
		m.called = append(m.called, number)
	}
	return m, errors.Join(err, os.Remove(trace))
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
		switch _, err := r.run(binary, number, tests); {
		case errors.Is(err, context.Canceled):
			return timedOut, nil
		case err != nil:
			return noticed, nil
		}
	}
	return unnoticed, nil
}

// batches returns the tests that may notice m, in the order in which to run
// them: those that call its function, or one that uses its constant, variable
// or type. If calls of one of those are not known, it returns all.
func (r *runner) batches(m *mutant) (all [][]*test) {
	var batch []*test
	var cpu time.Duration
	room := firstBatch
	users := []string{m.place.name}
	if m.place.function == nil {
		users = r.users(m.place)
	}
	mayNotice := func(t *test) bool {
		for _, name := range users {
			if p := r.traced[name]; p == nil || r.callers[p][t] {
				return true
			}
		}
		return false
	}
	for _, t := range r.tests {
		if t.cpu > r.most || !mayNotice(t) {
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

// run runs the tests. The error has the end of their output, and is
// context.Canceled if they use three times as much as without a change, and
// r.slack.
func (r *runner) run(binary string, number int, tests []*test) (used usage, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var names []string
	limit := usage{r.slack, r.slack}
	for _, t := range tests {
		names = append(names, t.name)
		limit.cpu += 3 * t.cpu
		limit.idle += 3 * t.idle
	}
	shell := fmt.Sprintf(`ulimit -v %d 2>/dev/null; exec "$0" "$@"`, memory)
	cmd := exec.CommandContext(ctx, "sh", "-c", shell, binary, "-test.failfast", "-test.short", "-test.run=^("+strings.Join(names, "|")+")$")
	cmd.Dir = r.source.dir
	cmd.Env = append(os.Environ(), choice+"="+strconv.Itoa(number), calls+"="+filepath.Join(r.dir, "trace"))
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return used, err
	}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { used = watch(cmd.Process.Pid, done, limit, cancel) })
	err = cmd.Wait()
	close(done)
	watching.Wait()
	used.cpu = max(used.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	switch {
	case ctx.Err() != nil:
		err = context.Canceled
	case err != nil:
		text := out.String()
		err = fmt.Errorf("%w\n%s", err, text[max(0, len(text)-2000):])
	}
	return used, err
}
