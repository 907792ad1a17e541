// Command bench compares WebSocket servers and clients of several libraries
// with those of this repository.
//
//	go run . -quick                           about 6 minutes on 2 processors
//	go run . -full                            every scenario, about 85 minutes
//	go run . -peers gorilla,fibersock -scenarios echo-125 -rounds 5
//
// It builds the commands, prints tables, and with -out writes results.json, a
// page and charts. README.md has the details.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/fibersock/fibersock/bench/internal/report"
	"github.com/fibersock/fibersock/bench/internal/runner"
	"github.com/fibersock/fibersock/bench/internal/serve"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

type options struct {
	runner.Options
	out    string // folder for the files; none if empty
	memory string // folder for the page of the memory of idle connections; none if empty
	from   string // results to show again, in place of a run
	list   bool
}

func run(args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	if o.list {
		fmt.Fprintln(out, strings.Join(runner.ScenarioNames(), "\n"))
		return nil
	}
	results, err := o.results()
	if err != nil {
		return err
	}
	if err := results.Text(out); err != nil {
		return err
	}
	if o.out != "" {
		if err := write(o.out, results, o.from == ""); err != nil {
			return err
		}
	}
	if o.memory != "" {
		if err := writeMemory(o.memory, results); err != nil {
			return err
		}
	}
	if o.Gate > 0 {
		return results.Gate(out, o.Gate)
	}
	return nil
}

// results measures, or reads earlier results.
func (o *options) results() (*report.Results, error) {
	if o.from != "" {
		f, err := os.Open(o.from)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return report.Read(f)
	}
	var err error
	if o.Processors, err = settle(); err != nil {
		return nil, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The second Ctrl-C is the system's again.
	context.AfterFunc(ctx, stop)
	return runner.Run(ctx, o.Options)
}

// processorsVariable passes the original processors to the benchmark when it
// executes itself on the load's processors.
const processorsVariable = "FIBERSOCK_BENCH_PROCESSORS"

// settle moves this process to the processors of the load, by starting it anew,
// and returns those that there are for server and load. On a system that cannot
// do that it does nothing.
func settle() ([]int, error) {
	if list := os.Getenv(processorsVariable); list != "" {
		return parseProcessors(list)
	}
	all, on, err := runner.LoadProcessors()
	if err != nil || on == "" {
		return all, err
	}
	if err := os.Setenv(processorsVariable, formatProcessors(all)); err != nil {
		return nil, err
	}
	return all, serve.Pin(on)
}

func formatProcessors(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

func parseProcessors(list string) ([]int, error) {
	var all []int
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("%s=%q: %w", processorsVariable, list, err)
		}
		all = append(all, n)
	}
	return all, nil
}

func parse(args []string, progress io.Writer) (*options, error) {
	o := &options{Options: runner.Options{Mode: runner.Quick, Root: ".", Progress: progress}}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(progress)
	quick := set.Bool("quick", false, "a selection in about 6 minutes; the default")
	full := set.Bool("full", false, "every scenario, longer and in more rounds")
	peers := set.String("peers", "", "`names` of servers and clients, separated by commas; all by default")
	scenarios := set.String("scenarios", "", "`names` of scenarios, separated by commas")
	set.IntVar(&o.Rounds, "rounds", 0, "`number` of rounds of each scenario")
	set.IntVar(&o.Conns, "conns", 0, "`number` of connections of each scenario, in place of its own")
	set.StringVar(&o.out, "out", "", "`folder` to write results.json, README.md and charts into")
	set.StringVar(&o.memory, "memory", "", "`folder` with memory.json: add the scenarios to it, and write memory.md")
	set.StringVar(&o.from, "from", "", "`file` of results to show again, in place of a run")
	set.StringVar(&o.Before, "before", "", "a `commit` whose server and client of ours take part as well")
	set.Float64Var(&o.Gate, "gate", 0, "fail if ours exceeds this `ratio` to -before in a scenario (median of the rounds' ratios); a scenario that does has three times as many rounds before it fails")
	set.BoolVar(&o.list, "list", false, "print the names of the scenarios")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case set.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	case *quick && *full:
		return nil, errors.New("-quick and -full: one of them")
	case *full:
		o.Mode = runner.Full
	}
	if o.Gate > 0 && o.Before == "" && o.from == "" {
		return nil, errors.New("-gate compares with -before COMMIT")
	}
	o.Peers, o.Scenarios = names(*peers), names(*scenarios)
	return o, o.Check()
}

func names(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(name string) bool { return name == "" })
}

// write writes the page, the charts and new results into folder.
func write(folder string, r *report.Results, isNew bool) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if isNew {
		if err := writeResults(filepath.Join(folder, "results.json"), r); err != nil {
			return err
		}
	}
	page := filepath.Join(folder, "README.md")
	old, err := os.ReadFile(page)
	if errors.Is(err, os.ErrNotExist) {
		old, err = []byte(report.NewPage), nil
	}
	if err != nil {
		return err
	}
	replaced, err := r.Replace(old)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if err := os.WriteFile(page, replaced, 0o644); err != nil {
		return err
	}
	return writeCharts(folder, r.Charts())
}

// memoryCommand is the make target whose page writeMemory writes.
const memoryCommand = "make bench-memory"

// writeMemory adds new results to those of memory.json in folder, and writes
// the page of all.
func writeMemory(folder string, r *report.Results) error {
	path := filepath.Join(folder, "memory.json")
	f, err := os.Open(path)
	if err == nil {
		old, err := report.Read(f)
		f.Close()
		if err != nil {
			return err
		}
		r.Merge(old, runner.ScenarioNames(), runner.PeerNames())
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeResults(path, r); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "memory.md"), r.MemoryPage(memoryCommand), 0o644)
}

func writeResults(path string, r *report.Results) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(r.Write(f), f.Close())
}

// writeCharts writes the charts, and removes those of earlier results.
func writeCharts(folder string, charts map[string][]byte) error {
	old, err := filepath.Glob(filepath.Join(folder, "*.svg"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for name, chart := range charts {
		if err := os.WriteFile(filepath.Join(folder, name), chart, 0o644); err != nil {
			return err
		}
	}
	return nil
}
