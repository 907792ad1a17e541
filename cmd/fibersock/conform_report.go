package main

import (
	"fmt"
	"io/fs"
	"maps"
	"mime"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fibersock/fibersock/internal/texts"
	"github.com/fibersock/fibersock/wstest/conform"
	"github.com/fibersock/fibersock/wstest/conform/report"
)

// judging is the output of a run of the judge: progress, tables, files,
// differences to the expected verdicts. Any goroutine may use it.
type judging struct {
	options  *conformOptions
	std      streams
	cases    []*conform.Case
	expected *report.Expectation // nil without -expect
	info     report.Info
	dir      string // of the files, "" for none

	mu   sync.Mutex // guards the rest
	bar  *progressBar
	told map[string]bool // the agents whose last results were shown
	news bool            // results were shown that are not in the files
	lost error           // the first error of standard output or the files
}

// newJudging selects the cases and reads the expectation.
func newJudging(o *conformOptions, role conform.Role, std streams) (*judging, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	cases, err := conform.Select(o.only, o.except)
	if err != nil {
		return nil, err
	}
	if len(cases) == 0 {
		return nil, usagef("-exclude leaves no case")
	}
	j := &judging{options: o, std: std, cases: cases, dir: o.out, told: map[string]bool{}}
	j.info = report.Info{Role: role, Started: time.Now(), Cases: o.selection(), Judge: buildVersion(), Selected: len(cases)}
	if o.expect != "" {
		if j.expected, err = readExpectation(o.expect); err != nil {
			return nil, err
		}
	}
	if o.out != "" {
		err = os.MkdirAll(o.out, 0o777) // before minutes of work
	}
	return j, err
}

func readExpectation(file string) (*report.Expectation, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e, err := report.ReadExpectation(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return e, nil
}

// colorful reports whether standard output is a terminal with colors.
func colorful(std streams) bool {
	return std.outTerminal && os.Getenv("NO_COLOR") == "" && eraseLine() != "\n"
}

// note writes a line to standard error.
func (j *judging) note(format string, args ...any) {
	fmt.Fprintf(j.std.err, "fibersock: "+format+"\n", args...)
}

// again shows that cases are judged again.
func (j *judging) again(cases int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.options.verbose {
		j.note("%d cases did not pass among others, and are judged again, alone", cases)
	}
	j.bar.repeat(cases)
}

// result shows the progress after a case.
func (j *judging) result(r *conform.Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told[r.Agent] = false
	if j.options.verbose {
		j.note("%s", verdictLine(r))
		return
	}
	if j.bar == nil && !j.options.quiet && isTerminal(j.std.err) {
		j.bar = showProgress(j.std.err, len(j.cases))
	}
	j.bar.add(!r.Passed())
}

// verdictLine is a result in one line.
func verdictLine(r *conform.Result) string {
	line := fmt.Sprintf("%.100q, case %s: %s, close %s", r.Agent, r.Case.ID, r.Behavior, r.BehaviorClose)
	if r.Behavior != conform.OK {
		line += "; " + escape(r.Why)
	}
	if r.BehaviorClose != conform.OK {
		line += "; " + escape(r.WhyClose)
	}
	return line
}

// jsonVerdict is the line of -json for a case.
type jsonVerdict struct {
	Agent         string `json:"agent"`
	Case          string `json:"case"`
	Behavior      string `json:"behavior"`
	BehaviorClose string `json:"behaviorClose"`
	Why           string `json:"why,omitempty"`
	WhyClose      string `json:"whyClose,omitempty"`
	Passed        bool   `json:"passed"`
}

// tell shows an agent's results and their differences to the expected ones.
func (j *judging) tell(agent string, results []*conform.Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.bar.end()
	j.bar = nil
	j.told[agent], j.news = true, true
	switch {
	case j.options.json:
		for _, r := range results {
			j.keep(writeJSONLine(j.std.out, jsonVerdict{agent, r.Case.ID, string(r.Behavior), string(r.BehaviorClose), r.Why, r.WhyClose, r.Passed()}))
		}
	case !j.options.quiet:
		j.keep(report.WriteTable(j.std.out, results, report.TableOptions{Color: colorful(j.std), Selected: len(j.cases)}))
	}
	differences, err := j.differences(agent, results)
	if err != nil {
		j.note("%s", escape(texts.WithoutPrefix(err)))
	}
	for _, d := range differences {
		if j.options.json {
			j.keep(writeJSONLine(j.std.out, map[string]string{"agent": agent, "difference": d.String()}))
			continue
		}
		_, err := fmt.Fprintf(j.std.out, "%.100q, %s\n", agent, escape(d.String()))
		j.keep(err)
	}
}

// differences returns the differences of an agent's results to the expected
// ones, none without an expectation.
func (j *judging) differences(agent string, results []*conform.Result) ([]report.Difference, error) {
	if j.expected == nil {
		return nil, nil
	}
	differences, err := j.expected.Compare(agent, results)
	if j.options.stricter {
		differences = slices.DeleteFunc(differences, report.Difference.Stricter)
	}
	return differences, err
}

// keep stores the first error of a write.
func (j *judging) keep(err error) {
	if j.lost == nil {
		j.lost = err
	}
}

// write writes the files of the report, if there is a directory for them.
func (j *judging) write(all map[string][]*conform.Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.news = false
	if j.dir == "" {
		return
	}
	err := report.WriteDir(j.dir, all, j.info)
	if err == nil && j.options.out != "" && !j.options.quiet && !j.options.json {
		_, err = fmt.Fprintf(j.std.out, "Report: %s\n", filepath.Join(j.dir, "index.html"))
	}
	j.keep(err)
}

// tellRest shows the results of agents that were not shown.
func (j *judging) tellRest(all map[string][]*conform.Result) {
	for _, agent := range slices.Sorted(maps.Keys(all)) {
		if !j.isTold(agent) {
			j.tell(agent, all[agent])
		}
	}
}

// conclude writes the files, if they are not up to date, and returns the exit
// code.
func (j *judging) conclude(all map[string][]*conform.Result) exitCode {
	if j.news {
		j.write(all)
	}
	if j.lost != nil {
		if !isBrokenPipe(j.lost) {
			j.note("%s", escape(texts.WithoutPrefix(j.lost)))
		}
		return exitUsage
	}
	for agent, results := range all {
		if !j.passes(agent, results) {
			return exitFailed
		}
	}
	return exitOK
}

func (j *judging) isTold(agent string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.told[agent]
}

// passes reports whether an agent passes, or has the expected results.
func (j *judging) passes(agent string, results []*conform.Result) bool {
	if j.expected != nil {
		differences, err := j.differences(agent, results)
		return err == nil && len(differences) == 0
	}
	return !slices.ContainsFunc(results, func(r *conform.Result) bool { return !r.Passed() })
}

// page returns a file of the report by the path of a request, and its media
// type.
func (j *judging) page(name string) (body []byte, mediaType string) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		name = "index.html"
	}
	root, err := os.OpenRoot(j.dir)
	if err != nil {
		return nil, ""
	}
	defer root.Close()
	body, err = fs.ReadFile(root.FS(), name)
	switch {
	case err == nil:
		return body, mime.TypeByExtension(path.Ext(name))
	case name == "index.html":
		return []byte("There is no report yet: it is written when a client requests /updateReports.\n"), "text/plain; charset=utf-8"
	}
	return nil, ""
}
