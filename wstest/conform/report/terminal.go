package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fibersock/fibersock/wstest/conform"
)

// TableOptions are options of WriteTable. The zero value suits a file.
type TableOptions struct {
	Every bool // list every case, not only those that are neither OK nor INFORMATIONAL
	Color bool // with the escape sequences of terminals

	// Selected is the number of selected cases, by default the number of
	// results.
	Selected int
}

// WriteTable writes the results of one agent for a person: a line with counts
// for each class of cases, then the reasons for each case that is not OK or
// INFORMATIONAL or has a flag, then a line with the totals. Adjacent cases with
// the same verdicts and reasons share a line. Text of the peer is quoted or
// escaped. The error is that of w.
func WriteTable(w io.Writer, results []*conform.Result, o TableOptions) error {
	results = inOrder(results)
	t := &table{color: o.Color}
	t.classes(results)
	for rest := results; len(rest) > 0; {
		n := 1
		switch r := rest[0]; {
		case o.Every:
			t.result(r)
		case remarkable(r.Behavior) || remarkable(r.BehaviorClose) || len(r.Flags) > 0:
			if n = alike(rest); n >= together {
				t.several(rest[:n])
			} else {
				n = 1
				t.result(r)
			}
		}
		rest = rest[n:]
	}
	t.totals(results, o.Selected)
	_, err := io.WriteString(w, t.b.String())
	return err
}

// A table is the text so far.
type table struct {
	b     strings.Builder
	color bool
}

// classes writes the counts of each class in columns. There is a column for
// each verdict that a case ended with, and for each remarkable verdict on a
// closing handshake.
func (t *table) classes(results []*conform.Result) {
	var order []string
	behavior, closing := map[string]tally{}, map[string]tally{}
	allBehavior, allClosing := tally{}, tally{}
	count := map[string]int{}
	for _, r := range results {
		class := classOf(r.Case.ID)
		if count[class]++; count[class] == 1 {
			order = append(order, class)
			behavior[class], closing[class] = tally{}, tally{}
		}
		behavior[class][r.Behavior]++
		closing[class][r.BehaviorClose]++
		allBehavior[r.Behavior]++
		allClosing[r.BehaviorClose]++
	}

	rows := [][]cell{{{text: "class"}, {}, {text: "cases", right: true}}}
	columns := func(row []cell, b, c tally, text func(conform.Verdict, int, string) cell) []cell {
		for _, v := range verdicts {
			if allBehavior[v] > 0 {
				row = append(row, text(v, b[v], ""))
			}
		}
		for _, v := range verdicts {
			if allClosing[v] > 0 && remarkable(v) {
				row = append(row, text(v, c[v], "close "))
			}
		}
		return row
	}
	rows[0] = columns(rows[0], nil, nil, func(v conform.Verdict, _ int, prefix string) cell {
		return cell{text: prefix + string(v), right: true}
	})
	for _, class := range order {
		row := []cell{{text: plain(class) + ".*"}, {text: classTitle(class)}, {text: strconv.Itoa(count[class]), right: true}}
		rows = append(rows, columns(row, behavior[class], closing[class], func(v conform.Verdict, n int, _ string) cell {
			if n == 0 {
				return cell{text: "-", right: true}
			}
			return cell{text: strconv.Itoa(n), right: true, color: t.verdictColor(v)}
		}))
	}
	t.rows(rows)
}

// result writes one case: its verdicts and their reasons.
func (t *table) result(r *conform.Result) {
	fmt.Fprintf(&t.b, "\n%-8s %s, close %s\n", plain(r.Case.ID), t.verdict(r.Behavior), t.verdict(r.BehaviorClose))
	behavior, closing := remarkable(r.Behavior), remarkable(r.BehaviorClose)
	for _, line := range []struct {
		wanted      bool
		label, text string
	}{
		{behavior, "why", r.Why},
		{closing, "close", r.WhyClose},
		{behavior || closing, "expected", r.Case.Expectation},
		{behavior || closing, "section", r.Case.Section},
	} {
		if line.wanted {
			t.line(line.label, line.text)
		}
	}
	t.flags(r)
}

// line writes a line about a case, if there is a text.
func (t *table) line(label, text string) {
	if text != "" {
		fmt.Fprintf(&t.b, "%9s%-10s%s\n", "", label, plain(text))
	}
}

func (t *table) flags(r *conform.Result) {
	for _, flag := range r.Flags {
		t.line("flagged", flag)
	}
}

// together is the least number of adjacent cases that share a line.
const together = 3

// alike returns the number of results in front with the same verdicts and
// reasons.
func alike(results []*conform.Result) int {
	first := results[0]
	n := slices.IndexFunc(results, func(r *conform.Result) bool {
		return r.Behavior != first.Behavior || r.BehaviorClose != first.BehaviorClose || !slices.Equal(r.Flags, first.Flags) ||
			remarkable(r.Behavior) && r.Why != first.Why || remarkable(r.BehaviorClose) && r.WhyClose != first.WhyClose
	})
	if n < 0 {
		return len(results)
	}
	return n
}

// several writes results that are alike.
func (t *table) several(results []*conform.Result) {
	first := results[0]
	fmt.Fprintf(&t.b, "\n%s to %s, %d cases: %s, close %s\n", plain(first.Case.ID), plain(results[len(results)-1].Case.ID), len(results),
		t.verdict(first.Behavior), t.verdict(first.BehaviorClose))
	if remarkable(first.Behavior) {
		t.line("why", first.Why)
	}
	if remarkable(first.BehaviorClose) {
		t.line("close", first.WhyClose)
	}
	t.flags(first)
}

// totals writes the last line.
func (t *table) totals(results []*conform.Result, selected int) {
	behavior, closing := tally{}, tally{}
	who, flagged, missing := "", 0, ""
	if selected > len(results) {
		missing = fmt.Sprintf(" of %d", selected)
	}
	for _, r := range results {
		if len(r.Flags) > 0 {
			flagged++
		}
		behavior[r.Behavior]++
		closing[r.BehaviorClose]++
		who = fmt.Sprintf("%s, %s: ", r.Role, quoted(r.Agent))
	}
	fmt.Fprintf(&t.b, "\n%s%d%s cases: %s; closing handshake: %s", who, len(results), missing, behavior, closing)
	if flagged > 0 {
		fmt.Fprintf(&t.b, "; %d flagged", flagged)
	}
	t.b.WriteString("\n")
}

// A cell of a row in aligned columns.
type cell struct {
	text  string
	right bool
	color string
}

// rows writes rows so that each column is as wide as its widest cell.
func (t *table) rows(rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, c := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			text := t.colored(c.text, c.color)
			if c.right {
				text = space + text
			} else {
				text += space
			}
			if i > 0 {
				line.WriteString("  ")
			}
			line.WriteString(text)
		}
		t.b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// verdict returns a verdict in its color.
func (t *table) verdict(v conform.Verdict) string {
	return t.colored(plain(string(v)), t.verdictColor(v))
}

// The colors, as SGR parameters.
const (
	red    = "1;31"
	green  = "32"
	yellow = "33"
	blue   = "34"
)

func (t *table) verdictColor(v conform.Verdict) string {
	switch {
	case v == conform.OK:
		return green
	case v == conform.Informational:
		return blue
	case v.Broken():
		return red
	}
	return yellow
}

func (t *table) colored(text, color string) string {
	if !t.color || color == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}
