package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fibersock/fibersock/internal/conform"
)

// TableOptions are how WriteTable writes. The zero value is right for a file.
type TableOptions struct {
	Every bool // list every case, not only those that are neither OK nor INFORMATIONAL
	Color bool // with the escape sequences of terminals
}

// WriteTable writes the results of one agent for a person: a line with counts for each class of cases, then why each case that
// is not OK or INFORMATIONAL is not, with cases side by side that the peer does not implement as one, then a line with the totals. What the peer chose is quoted or escaped. The error is w's.
func WriteTable(w io.Writer, results []*conform.Result, o TableOptions) error {
	results = inOrder(results)
	t := &table{color: o.Color}
	t.classes(results)
	for rest := results; len(rest) > 0; {
		n := 1
		switch r := rest[0]; {
		case !o.Every && unimplemented(r):
			n = alike(rest)
			t.unimplemented(rest[:n])
		case o.Every || remarkable(r.Behavior) || remarkable(r.BehaviorClose):
			t.result(r)
		}
		rest = rest[n:]
	}
	t.totals(results)
	_, err := io.WriteString(w, t.b.String())
	return err
}

// A table is the text so far.
type table struct {
	b     strings.Builder
	color bool
}

// classes writes the counts of each class in columns. There is a column for each verdict that a case ended with, and for
// each verdict on a closing handshake that a reader wants to know of.
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

// result writes one case: its verdicts, and what there is to say of them.
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
	} {
		if line.wanted && line.text != "" {
			fmt.Fprintf(&t.b, "%9s%-10s%s\n", "", line.label, plain(line.text))
		}
	}
}

// unimplemented reports whether there is nothing to say of r but that the peer has not what it is about.
func unimplemented(r *conform.Result) bool {
	return r.Behavior == conform.Unimplemented && !remarkable(r.BehaviorClose)
}

// alike returns how many results in front are unimplemented for the same reason.
func alike(results []*conform.Result) int {
	n := slices.IndexFunc(results, func(r *conform.Result) bool { return !unimplemented(r) || r.Why != results[0].Why })
	if n < 0 {
		return len(results)
	}
	return n
}

// unimplemented writes results that are alike, however many they are.
func (t *table) unimplemented(results []*conform.Result) {
	first := results[0]
	if len(results) == 1 {
		t.result(first)
		return
	}
	fmt.Fprintf(&t.b, "\n%s to %s, %d cases: %s\n%9s%-10s%s\n", plain(first.Case.ID), plain(results[len(results)-1].Case.ID), len(results),
		t.verdict(first.Behavior), "", "why", plain(first.Why))
}

// totals writes the last line.
func (t *table) totals(results []*conform.Result) {
	behavior, closing := tally{}, tally{}
	who := ""
	for _, r := range results {
		behavior[r.Behavior]++
		closing[r.BehaviorClose]++
		who = fmt.Sprintf("%s, %s: ", r.Role, quoted(r.Agent))
	}
	fmt.Fprintf(&t.b, "\n%s%d cases: %s; closing handshake: %s\n", who, len(results), behavior, closing)
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
