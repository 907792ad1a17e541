// Mutants changes one operator, condition, constant, call or return of a
// package at a time and runs the tests of the package. A change that no test
// notices is a rule that no test checks.
//
//	go run ./internal/test/mutants ./wire
//
// It prints the unnoticed changes by file, and fails if the tests notice less
// than 95 % of all. Changes in equivalents.txt, which have no observable effect
// for the listed reason, do not count. It is an error if a listed change does
// not exist or is noticed.
//
// Changes that do not compile are ignored. Of the tests, only those run that
// call the changed function, the fastest first, until one notices. A test run
// that uses several times the processor time of one without the change, or that
// is idle for longer, has noticed it.
// Assembly and files for other machines are not changed.
//
// With -resume, an interrupted run continues. -again repeats the unnoticed
// changes of an earlier run, which is the quick way to sharpen a test.
//
// All changes are compiled into one test binary, and an environment variable
// selects one. Changes of constants and types are built one by one.
package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed equivalents.txt
var equivalentsText string

func main() {
	var o options
	flag.Float64Var(&o.least, "least", 95, "fail if `percent` of the changes are not noticed")
	flag.StringVar(&o.files, "files", "*", "try only changes of files whose names match one of the `patterns`, separated by commas")
	flag.StringVar(&o.again, "again", "", "try only changes that `file`, the output of another run, says were not noticed")
	flag.StringVar(&o.resume, "resume", "", "keep the outcomes in `file`, and do not repeat those in it unless the package has changed")
	flag.DurationVar(&o.most, "most", 0, "run no test that uses more processor `time` (for a first look)")
	flag.IntVar(&o.jobs, "jobs", 1, "run the tests of this `many` changes at a time")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mutants [flags] package")
		flag.PrintDefaults()
		os.Exit(2)
	}
	o.jobs, o.slack = max(o.jobs, 1), time.Second
	o.progress = os.Stderr
	o.pattern, o.equivalents = flag.Arg(0), equivalentsText
	if err := mutate(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the arguments of the program.
type options struct {
	pattern     string // the package
	equivalents string // the list's text
	least       float64
	files       string
	again       string
	resume      string
	most        time.Duration
	jobs        int
	slack       time.Duration // of processor time and of idle time, in addition to those of the unchanged package
	progress    io.Writer     // nil: none
}

// mutate does all of the program's work.
func mutate(o options, out io.Writer) error {
	equivalents, err := parseEquivalents(o.equivalents)
	if err != nil {
		return fmt.Errorf("the list of equivalents: %w", err)
	}
	s, err := load(o.pattern)
	if err != nil {
		return err
	}
	list := s.mutants()
	gone := missing(list, equivalents)
	numbers, err := o.choose(list)
	if err != nil {
		return err
	}

	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	known, err := openRecord(o.resume, fmt.Sprint(s.hash, " ", o.most))
	if err != nil {
		return err
	}
	defer known.close()
	r, err := newRunner(s, list, dir, o.slack, known)
	if err != nil {
		return err
	}
	if r.most = o.most; r.most == 0 {
		r.most = patience
	}
	var total tally
	shown := progress{out: o.progress, all: len(numbers), start: time.Now()}
	for _, f := range s.files {
		var (
			of []int
			t  tally
		)
		for _, number := range numbers {
			if list[number-1].file == f {
				of = append(of, number)
			}
		}
		err := r.outcomes(of, o.jobs, known, func(m *mutant, o outcome) {
			shown.step()
			reason, listed := equivalents[m.key]
			t.count(o, listed)
			switch {
			case listed && o != unnoticed:
				fmt.Fprintf(out, "%v, though listed because %q: %v\n", o, reason, m)
			case !listed && o == unnoticed:
				fmt.Fprintf(out, "%v: %v\n", o, m)
			}
		})
		if err != nil {
			return err
		}
		if len(of) > 0 {
			fmt.Fprintf(out, "%s: %v\n", f.name, t)
		}
		total.add(t)
	}
	fmt.Fprintf(out, "%s: %v\n", o.pattern, total)

	for _, k := range gone {
		err = errors.Join(err, fmt.Errorf("equivalents.txt lists a change that does not exist: %s %s", k.file, k.change()))
	}
	if total.wrong > 0 {
		err = errors.Join(err, fmt.Errorf("%d that equivalents.txt lists were noticed", total.wrong))
	}
	if total.percent() < o.least {
		err = errors.Join(err, fmt.Errorf("%.1f %% are under %.1f %%", total.percent(), o.least))
	}
	return err
}

// progress shows how far the program is.
type progress struct {
	out         io.Writer
	all, done   int
	start, last time.Time
}

// step counts a mutant, and prints a line from time to time.
func (p *progress) step() {
	p.done++
	if now := time.Now(); p.out != nil && now.Sub(p.last) >= 10*time.Second {
		p.last = now
		spent := now.Sub(p.start)
		left := spent / time.Duration(p.done) * time.Duration(p.all-p.done)
		fmt.Fprintf(p.out, "%d of %d changes in %v, %v left\n", p.done, p.all, spent.Round(time.Second), left.Round(time.Second))
	}
}

// missing returns the listed mutants of the package's files that are not in
// list.
func missing(list []*mutant, equivalents map[key]string) (gone []key) {
	there := map[key]bool{}
	dirs := map[string]bool{}
	for _, m := range list {
		there[m.key] = true
		dirs[path.Dir(m.key.file)] = true
	}
	for k := range equivalents {
		if dirs[path.Dir(k.file)] && !there[k] {
			gone = append(gone, k)
		}
	}
	slices.SortFunc(gone, func(a, b key) int { return strings.Compare(a.file+a.change(), b.file+b.change()) })
	return gone
}

// choose returns the numbers of the mutants to try, in order.
func (o options) choose(list []*mutant) ([]int, error) {
	var earlier string
	if o.again != "" {
		text, err := os.ReadFile(o.again)
		if err != nil {
			return nil, err
		}
		earlier = string(text)
	}
	var numbers []int
	for i, m := range list {
		match := false
		for pattern := range strings.SplitSeq(o.files, ",") {
			ok, err := path.Match(pattern, path.Base(m.key.file))
			if err != nil {
				return nil, err
			}
			match = match || ok
		}
		if match && (o.again == "" || strings.Contains(earlier, m.String()+"\n")) {
			numbers = append(numbers, i+1)
		}
	}
	if len(numbers) == 0 {
		return nil, errors.New("there is nothing to change")
	}
	return numbers, nil
}

// A tally counts mutants.
type tally struct {
	all, noticed, timedOut, equivalent int
	wrong                              int // listed as equivalent, and noticed
}

// count counts a mutant, listed as equivalent or not.
func (t *tally) count(o outcome, listed bool) {
	t.all++
	switch {
	case listed:
		t.equivalent++
		if o != unnoticed {
			t.wrong++
		}
	case o == timedOut:
		t.timedOut++
		fallthrough
	case o == noticed:
		t.noticed++
	}
}

func (t *tally) add(more tally) {
	t.all += more.all
	t.noticed += more.noticed
	t.timedOut += more.timedOut
	t.equivalent += more.equivalent
	t.wrong += more.wrong
}

// percent returns how many of those that can be noticed were.
func (t tally) percent() float64 {
	if t.all == t.equivalent {
		return 100
	}
	return 100 * float64(t.noticed) / float64(t.all-t.equivalent)
}

func (t tally) String() string {
	return fmt.Sprintf("%d changes, %d equivalent, %d noticed (%d by a timeout), %d not: %.1f %%",
		t.all, t.equivalent, t.noticed, t.timedOut, t.all-t.equivalent-t.noticed, t.percent())
}
