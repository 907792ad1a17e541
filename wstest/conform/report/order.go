package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/fibersock/fibersock/wstest/conform"
)

// verdicts are all verdicts, the good ones first.
var verdicts = []conform.Verdict{
	conform.OK,
	conform.NonStrict,
	conform.Informational,
	conform.Unimplemented,
	conform.WrongCode,
	conform.Unclean,
	conform.FailedByClient,
	conform.Failed,
}

// remarkable reports whether reports give the reason for a verdict: for all but
// OK and INFORMATIONAL.
func remarkable(v conform.Verdict) bool {
	return v != conform.OK && v != conform.Informational
}

// classTitles are the subjects of the classes.
var classTitles = map[string]string{
	"1":  "Framing",
	"2":  "Ping and Pong",
	"3":  "Reserved bits",
	"4":  "Opcodes",
	"5":  "Fragmentation",
	"6":  "UTF-8",
	"7":  "Closing handshake",
	"9":  "Limits and performance",
	"10": "Automatic fragmentation",
	"12": "Compression of different data",
	"13": "Compression with different parameters",
}

// classTitle returns the title of a class, "Other" for an unknown one.
func classTitle(class string) string {
	if title := classTitles[class]; title != "" {
		return title
	}
	return "Other"
}

// classOf returns the part of an id before its first dot.
func classOf(id string) string {
	class, _, _ := strings.Cut(id, ".")
	return class
}

// compareIDs orders ids by their numbers: 2.10 is after 2.9.
func compareIDs(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		n, errN := strconv.Atoi(x)
		m, errM := strconv.Atoi(y)
		order := cmp.Compare(n, m)
		if errN != nil || errM != nil {
			order = strings.Compare(x, y)
		}
		if order != 0 {
			return order
		}
	}
	return strings.Compare(a, b)
}

// inOrder returns the results by the numbers of their cases; of several results
// of one case the last.
func inOrder(results []*conform.Result) []*conform.Result {
	last := map[string]*conform.Result{}
	for _, r := range results {
		last[r.Case.ID] = r
	}
	ordered := make([]*conform.Result, 0, len(last))
	for _, r := range last {
		ordered = append(ordered, r)
	}
	slices.SortFunc(ordered, func(a, b *conform.Result) int { return compareIDs(a.Case.ID, b.Case.ID) })
	return ordered
}

// tally counts verdicts.
type tally map[conform.Verdict]int

// String lists the counts, the good ones first: "514 OK, 3 INFORMATIONAL".
func (t tally) String() string {
	var parts []string
	for _, v := range verdicts {
		if t[v] > 0 {
			parts = append(parts, strconv.Itoa(t[v])+" "+string(v))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
