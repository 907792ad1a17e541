package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// A table is one scenario's figures as text: a row for each peer, best first.
type table struct {
	columns []string
	rows    [][]string
	notes   []string // failures and absences, in sentences
}

// A column is how one figure is shown. It is left out if no peer has the
// metric, unless that is the primary one.
type column struct {
	title  string
	metric Metric
	cell   func(*Outcome) string
	wide   bool // for pages, not for terminals
}

func (r *Results) table(s *Scenario, columns []column) table {
	var t table
	for _, c := range columns {
		t.columns = append(t.columns, c.title)
	}
	for _, o := range s.Ranked() {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = cell(c, &o)
		}
		switch {
		case o.Failed != "":
			row[2] = "failed"
			t.notes = append(t.notes, fmt.Sprintf("%s failed: %s", o.Peer, o.Failed))
		case o.Absent != "":
			row[2] = "not there"
			t.notes = append(t.notes, fmt.Sprintf("%s is not there: %s", o.Peer, o.Absent))
		case o.Median == nil:
			row[2] = "not run"
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func cell(c column, o *Outcome) string {
	if c.metric == "" {
		return c.cell(o)
	}
	v, ok := o.Median[c.metric]
	switch {
	case !ok:
		return ""
	case c.cell != nil:
		return c.cell(o)
	}
	return value(c.metric, v)
}

func (r *Results) columns(s *Scenario) []column {
	all := []column{
		{title: "server", cell: func(o *Outcome) string { return o.Peer }},
		{title: "UTF-8", cell: func(o *Outcome) string { return yes(r.Peer(s, o.Peer).UTF8) }},
		{title: heading(s, s.Primary), metric: s.Primary},
	}
	if s.Clients {
		all[0].title = "client"
	}
	if s.Primary == CPU {
		all = append(all, split)
	}
	all = append(all, r.comparisons(s)...)
	for _, m := range []Metric{Rate, EER, CPU, P50, P99, P999, Allocs, AllocBytes, ConnHeapBytes, RSS, Busy} {
		if m != s.Primary {
			all = append(all, column{title: heading(s, m), metric: m, wide: m == EER || m == AllocBytes || m == ConnHeapBytes || m == Busy})
		}
	}
	if s.Primary == ConnBytes && s.differs(Messages) {
		all = append(all, column{title: "connections", metric: Messages})
	}
	return slices.DeleteFunc(all, func(c column) bool {
		return c.metric != "" && c.metric != s.Primary && !s.has(c.metric)
	})
}

func (s *Scenario) has(m Metric) bool {
	return slices.ContainsFunc(s.Outcomes, func(o Outcome) bool { _, ok := o.Median[m]; return ok })
}

// differs reports whether the peers have different values of m.
func (s *Scenario) differs(m Metric) bool {
	seen := make(map[float64]bool)
	for _, o := range s.Outcomes {
		if v, ok := o.Median[m]; ok {
			seen[v] = true
		}
	}
	return len(seen) > 1
}

// split shows the two parts of the processor time.
var split = column{title: "user + system", metric: CPUSystem, cell: func(o *Outcome) string {
	return number(o.Median[CPUUser]) + " + " + number(o.Median[CPUSystem])
}}

// comparisons are the columns that compare the primary figure.
func (r *Results) comparisons(s *Scenario) []column {
	ratioTo := func(of float64) func(o *Outcome) string {
		return func(o *Outcome) string { return ratio(o.Median[s.Primary], of) }
	}
	best, _ := r.Best(s)
	spread := func(o *Outcome) string {
		low, high, _ := o.Spread(s.Primary)
		return value(s.Primary, low) + " – " + value(s.Primary, high)
	}
	return []column{
		{title: "least – most", metric: s.Primary, cell: spread, wide: true},
		{title: "÷ best peer", metric: s.Primary, cell: ratioTo(best)},
		{title: "÷ fibersock", metric: s.Primary, cell: ratioTo(r.Ours(s))},
	}
}

func heading(s *Scenario, m Metric) string {
	switch m {
	case CPU:
		return "CPU-ns/" + s.Unit
	case Rate:
		return plural(s.Unit) + "/s"
	case EER:
		return "EER"
	case P50:
		return "p50"
	case P99:
		return "p99"
	case P999:
		return "p99.9"
	case Allocs:
		return "allocs/" + s.Unit
	case AllocBytes:
		return "allocated/" + s.Unit
	case ConnBytes:
		return "memory/" + s.Unit
	case ConnHeapBytes:
		return "of it Go heap"
	case RSS:
		return "process memory"
	case Busy:
		return "busy"
	}
	return string(m)
}

func plural(unit string) string {
	if stem, ok := strings.CutSuffix(unit, "y"); ok {
		return stem + "ies"
	}
	return unit + "s"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Text writes all tables for a terminal.
func (r *Results) Text(w io.Writer) error {
	for i := range r.Scenarios {
		if err := r.text(w, &r.Scenarios[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Results) text(w io.Writer, s *Scenario) error {
	t := r.table(s, slices.DeleteFunc(r.columns(s), func(c column) bool { return c.wide }))
	fmt.Fprintf(w, "\n%s (%s): %s\n", s.Title, s.Name, s.Detail)
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(aligned, strings.Join(t.columns, "\t")+"\t")
	for _, row := range t.rows {
		fmt.Fprintln(aligned, strings.Join(row, "\t")+"\t")
	}
	err := aligned.Flush()
	for _, note := range t.notes {
		fmt.Fprintf(w, "  %s\n", note)
	}
	return err
}
