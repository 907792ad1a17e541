package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	list  []*mutant // all of the package, in the order of the numbers
	dir   string    // for builds
	own   string    // the binary of the mutants that can be exchanged
	limit limit
	first map[*sourceFile]string // the pattern of the tests that are likely to notice
}

// A limit is the time after which a test run counts as endless.
type limit struct {
	cpu, wall time.Duration
}

// memory is the address space of a test run, in KiB: a mutant may append
// without end.
const memory = 8 << 20

// newRunner builds the package with its exchangeable mutants, and sees that the
// tests pass when none of them is in force.
func newRunner(s *source, list []*mutant, dir string, slack time.Duration) (*runner, error) {
	r := &runner{source: s, list: list, dir: dir, own: filepath.Join(dir, "together.test"), first: map[*sourceFile]string{}}
	for _, f := range s.files {
		r.first[f] = r.testsNear(f)
	}
	if err := r.build(r.own, r.together(list)); err != nil {
		return nil, err
	}
	r.limit = limit{cpu: 10 * time.Minute, wall: 10 * time.Minute}
	start := time.Now()
	state, err := r.run(r.own, 0, "")
	if err != nil {
		return nil, fmt.Errorf("the tests fail without any change: %w", err)
	}
	r.limit = limit{
		cpu:  3*(state.UserTime()+state.SystemTime()) + slack,
		wall: 10*time.Since(start) + 30*time.Second,
	}
	return r, nil
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
func (r *runner) outcomes(numbers []int, jobs int, give func(*mutant, outcome)) error {
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
				o, err := r.outcome(number)
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

// outcome runs the tests of one mutant: those near its file first, which mostly
// are enough.
func (r *runner) outcome(number int) (outcome, error) {
	m, binary := r.list[number-1], r.own
	if m.alone {
		binary = filepath.Join(r.dir, strconv.Itoa(number)+".test")
		if err := r.build(binary, map[string]string{m.file.path: m.text()}); err != nil {
			return 0, fmt.Errorf("%v: %w", m, err)
		}
		defer os.Remove(binary)
	}
	for _, tests := range []string{r.first[m.file], ""} {
		_, err := r.run(binary, number, tests)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return timedOut, nil
		case err != nil:
			return noticed, nil
		}
	}
	return unnoticed, nil
}

// run runs the tests that match the pattern. The error has the end of their
// output. A limit of processor time ends mutants that loop, on a busy machine
// too. The other limit is for mutants that block, and long enough for a busy
// machine.
func (r *runner) run(binary string, number int, tests string) (*os.ProcessState, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.limit.wall)
	defer cancel()
	seconds := int(r.limit.cpu.Seconds()) + 1
	shell := fmt.Sprintf(`ulimit -t %d; ulimit -v %d 2>/dev/null; exec "$0" "$@"`, seconds, memory)
	cmd := exec.CommandContext(ctx, "sh", "-c", shell, binary, "-test.failfast", "-test.short", "-test.run="+tests)
	cmd.Dir = r.source.dir
	cmd.Env = append(os.Environ(), choice+"="+strconv.Itoa(number))
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	state := cmd.ProcessState
	switch {
	case ctx.Err() != nil:
		err = context.DeadlineExceeded
	case err != nil && state != nil && state.UserTime()+state.SystemTime() >= r.limit.cpu:
		err = context.DeadlineExceeded
	case err != nil:
		text := out.String()
		err = fmt.Errorf("%w\n%s", err, text[max(0, len(text)-2000):])
	}
	return state, err
}

// testsNear returns the pattern of the tests in files that begin with f's name,
// "^$" if there are none.
func (r *runner) testsNear(f *sourceFile) string {
	near, _ := strings.CutSuffix(filepath.Base(f.path), ".go")
	var names []string
	for _, test := range r.tests {
		if !strings.HasPrefix(test, near) {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(r.source.dir, test), nil, parser.SkipObjectResolution)
		if err != nil {
			continue // the build reports the error
		}
		for _, decl := range parsed.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && testName.MatchString(fn.Name.Name) && fn.Name.Name != "TestMain" {
				names = append(names, fn.Name.Name)
			}
		}
	}
	slices.Sort(names)
	return "^(" + strings.Join(names, "|") + ")$"
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Example)`)
