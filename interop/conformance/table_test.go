package conformance

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/interop/peer"
	"github.com/fibersock/fibersock/wstest/conform"
)

const (
	page       = "../../docs/conformance-peers.md"
	pageStarts = "<!-- what follows is written by `go test ./conformance -update` -->\n"
	pageEnds   = "<!-- end of what is written -->\n"
)

// order is the order of the verdicts in the table.
var order = []conform.Verdict{
	conform.OK, conform.NonStrict, conform.Informational, conform.Unimplemented,
	conform.WrongCode, conform.Unclean, conform.FailedByClient, conform.Failed,
}

// The page has the verdicts of the files, and the versions of go.mod and
// package-lock.json.
func TestPageShowsTheCommittedVerdictsAndVersions(t *testing.T) {
	before, got, after := readPage(t)
	want := tables(t)
	switch {
	case got == want:
	case *update:
		if err := os.WriteFile(page, []byte(before+want+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the committed verdicts and versions make of it: go test ./conformance -update", page)
	}
}

// readPage returns the page in three parts. The second has the tables.
func readPage(t *testing.T) (before, tables, after string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, starts := strings.Cut(string(text), pageStarts)
	tables, after, ends := strings.Cut(rest, pageEnds)
	if !starts || !ends {
		t.Fatalf("%s has not the lines between which the tables stand", page)
	}
	return before + pageStarts, tables, pageEnds + after
}

// tables returns the generated part of the page.
func tables(t *testing.T) string {
	var b strings.Builder
	b.WriteString("\n| peer | package | version |\n|---|---|---|\n")
	for _, p := range peer.All() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", p.Title, p.Package, version(t, p))
	}
	fmt.Fprintf(&b, "\nThose in Go were built with Go %s.\n", committedRuntimes(t).Go)
	for _, role := range []conform.Role{conform.Server, conform.Client} {
		fmt.Fprintf(&b, "\n### As %ss\n\n", role)
		table(&b, t, role)
	}
	b.WriteString("\n### Which cases\n\nAll that are neither OK nor INFORMATIONAL in both verdicts.\n")
	for _, p := range peer.All() {
		fmt.Fprintf(&b, "\n**%s**\n\n", p.Title)
		for _, role := range []conform.Role{conform.Server, conform.Client} {
			remarkable(&b, role, read(t, p, role))
		}
	}
	b.WriteString("\n")
	return b.String()
}

// table has a line for each class of cases and a column for each peer.
func table(b *strings.Builder, t *testing.T, role conform.Role) {
	b.WriteString("| cases |")
	found := map[string]verdicts{}
	for _, p := range peer.All() {
		fmt.Fprintf(b, " %s |", p.Title)
		found[p.Name] = read(t, p, role)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(found)) + "\n")
	for _, class := range classes() {
		fmt.Fprintf(b, "| %s.* |", class)
		for _, p := range peer.All() {
			fmt.Fprintf(b, " %s |", found[p.Name].counts(class))
		}
		b.WriteString("\n")
	}
	b.WriteString("| all |")
	for _, p := range peer.All() {
		fmt.Fprintf(b, " %s |", found[p.Name].counts(""))
	}
	b.WriteString("\n")
}

func classes() []string {
	var list []string
	for _, c := range conform.Cases() {
		if class := c.Class(); !slices.Contains(list, class) {
			list = append(list, class)
		}
	}
	return list
}

// counts returns the number of each verdict in a class, or in all for an empty
// one, and of each verdict on closing other than OK.
func (v verdicts) counts(class string) string {
	behavior, closing := map[conform.Verdict]int{}, map[conform.Verdict]int{}
	for id, verdict := range v {
		if class == "" || strings.HasPrefix(id, class+".") {
			behavior[verdict.Behavior]++
			closing[verdict.Close]++
		}
	}
	delete(closing, conform.OK)
	delete(closing, conform.Informational)
	cell := listed(behavior)
	if len(closing) > 0 {
		cell += "<br>closing: " + listed(closing)
	}
	return cell
}

func listed(counts map[conform.Verdict]int) string {
	var parts []string
	for _, verdict := range order {
		if n := counts[verdict]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, verdict))
		}
	}
	return strings.Join(parts, ", ")
}

// remarkable lists the cases by their verdicts.
func remarkable(b *strings.Builder, role conform.Role, v verdicts) {
	ids := map[verdict][]string{}
	for id, verdict := range v {
		if !good(verdict.Behavior) || !good(verdict.Close) {
			ids[verdict] = append(ids[verdict], id)
		}
	}
	if len(ids) == 0 {
		fmt.Fprintf(b, "- %s: none\n", role)
	}
	for _, verdict := range slices.SortedFunc(maps.Keys(ids), compareVerdicts) {
		closing := ""
		if !good(verdict.Close) {
			closing = ", closing " + string(verdict.Close)
		}
		fmt.Fprintf(b, "- %s: %s%s: %s\n", role, verdict.Behavior, closing, ranges(ids[verdict]))
	}
}

func good(v conform.Verdict) bool { return v == conform.OK || v == conform.Informational }

func compareVerdicts(a, b verdict) int {
	return cmp.Or(
		cmp.Compare(slices.Index(order, a.Behavior), slices.Index(order, b.Behavior)),
		cmp.Compare(slices.Index(order, a.Close), slices.Index(order, b.Close)))
}

// ranges lists ids in their order: whole classes and groups as 12.* and 6.4.*,
// adjacent cases as 6.6.1–4.
func ranges(ids []string) string {
	in := map[string]bool{}
	for _, id := range ids {
		in[id] = true
	}
	var parts []string
	for left := conform.Cases(); len(left) > 0; {
		first := left[0].ID
		part, n := first, 1
		if whole, all := wholeAt(left, in); all > 1 {
			part, n = whole, all
		} else if in[first] {
			for n < len(left) && in[left[n].ID] && group(left[n].ID) == group(first) {
				n++
			}
			if n > 1 {
				part += "–" + strings.TrimPrefix(left[n-1].ID, group(first))
			}
		}
		if in[first] {
			parts = append(parts, part)
		}
		left = left[n:]
	}
	return strings.Join(parts, ", ")
}

// wholeAt returns the largest class or group that begins with the first of the
// cases and has all its cases among them, and the number of its cases; "" if
// there is none.
func wholeAt(left []*conform.Case, in map[string]bool) (string, int) {
	id := left[0].ID
	for end := strings.Index(id, ".") + 1; end <= len(group(id)); end += strings.Index(id[end:], ".") + 1 {
		n := count(left, id[:end])
		all := n == count(conform.Cases(), id[:end])
		for _, c := range left[:n] {
			all = all && in[c.ID]
		}
		if all {
			return id[:end] + "*", n
		}
		if end == len(group(id)) {
			break
		}
	}
	return "", 0
}

// count returns the number of cases with this prefix.
func count(cases []*conform.Case, prefix string) int {
	n := 0
	for _, c := range cases {
		if strings.HasPrefix(c.ID, prefix) {
			n++
		}
	}
	return n
}

// group returns an id without its last number.
func group(id string) string { return id[:strings.LastIndex(id, ".")+1] }

func TestRangesOfCases(t *testing.T) {
	var all, utf8 []string
	for _, c := range conform.Cases() {
		all = append(all, c.ID)
		if c.Class() == "6" && c.ID != "6.1.2" {
			utf8 = append(utf8, c.ID)
		}
	}
	for _, test := range []struct {
		ids  []string
		want string
	}{
		{nil, ""},
		{[]string{"1.1.1"}, "1.1.1"},
		{[]string{"7.5.1"}, "7.5.1"},
		{[]string{"10.1.1", "2.3", "2.4", "6.4.1", "6.4.2", "6.4.3", "6.4.4"}, "2.3–4, 6.4.*, 10.1.1"},
		{utf8[:6], "6.1.1, 6.1.3, 6.2.*"},
		{all, "1.*, 2.*, 3.*, 4.*, 5.*, 6.*, 7.*, 9.*, 10.1.1, 12.*, 13.*"},
	} {
		if got := ranges(test.ids); got != test.want {
			t.Errorf("%v: %q, want %q", test.ids, got, test.want)
		}
	}
}
