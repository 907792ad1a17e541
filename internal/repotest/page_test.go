package repotest

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the pages")

const (
	pageBegin = "<!-- rules:begin -->"
	pageEnd   = "<!-- rules:end -->"

	// shownTests is how many tests of a rule a page names. It counts the rest.
	shownTests = 4
)

func TestConformancePageIsCurrent(t *testing.T) {
	rules, cited := all(t), collected(t)
	checkPage(t, "docs/conformance.md", ruleSummary(rules, cited)+ruleTables(rules, exceptions(t), cited)+withoutTest("Rules", "rules", exceptions(t)))
}

func TestSecurityPageIsCurrent(t *testing.T) {
	list, cited := threats(t), collected(t)
	checkPage(t, "docs/security-coverage.md", threatSummary(list, threatExceptions(t), cited)+threatTables(list, threatExceptions(t), cited)+withoutTest("Threats", "threats", threatExceptions(t)))
}

// checkPage holds the generated part of a page against what it should be, or
// writes it.
func checkPage(t *testing.T, page, generated string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(page))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	had := strings.ReplaceAll(string(text), "\r\n", "\n") // as git may check it out
	before, rest, begins := strings.Cut(had, pageBegin)
	_, after, ends := strings.Cut(rest, pageEnd)
	if !begins || !ends {
		t.Fatalf("%s has not %s and then %s", page, pageBegin, pageEnd)
	}
	want := before + pageBegin + "\n" + generated + "\n" + pageEnd + after
	switch {
	case had == want:
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the tests cite now; run\n\tgo generate ./internal/repotest\n%s", page, firstDifference(had, want))
	}
}

// ruleTables returns a table for each section.
func ruleTables(rules []Rule, exceptions []Exception, cited citations) string {
	reasons := reasonsOf(exceptions)
	var b strings.Builder
	section := ""
	for _, r := range rules {
		if r.Section != section {
			section = r.Section
			fmt.Fprintf(&b, "\n### %s\n\n| rule | level | what it says | tests |\n|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.ID, r.Level, r.Text, tests(cited[r.ID], reasons[r.ID]))
	}
	return b.String()
}

// threatTables returns a table for each section.
func threatTables(threats []Threat, exceptions []Exception, cited citations) string {
	reasons := reasonsOf(exceptions)
	var b strings.Builder
	section := ""
	for _, threat := range threats {
		if threat.Section != section {
			section = threat.Section
			fmt.Fprintf(&b, "\n### %s\n\n| threat | seen in | role | what holds here | tests |\n|---|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", threat.ID, threat.Origin, threat.Role, threat.Text, tests(cited[threat.ID], reasons[threat.ID]))
	}
	return b.String()
}

func reasonsOf(exceptions []Exception) map[string]string {
	reasons := make(map[string]string)
	for _, e := range exceptions {
		reasons[e.ID] = e.Reason
	}
	return reasons
}

// withoutTest returns the list of exceptions, each reason once.
func withoutTest(heading, what string, exceptions []Exception) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s without a test\n\n", heading)
	for i, e := range exceptions {
		if i == 0 || e.Reason != exceptions[i-1].Reason {
			fmt.Fprintf(&b, "- %s *%d of the %s above.*\n", e.Reason, count(exceptions, e.Reason), what)
		}
	}
	return b.String()
}

func ruleSummary(rules []Rule, cited citations) string {
	var exercised, binding, without int
	for _, r := range rules {
		if len(cited[r.ID]) > 0 {
			exercised++
		}
		if r.Binding() {
			binding++
			if len(cited[r.ID]) == 0 {
				without++
			}
		}
	}
	return fmt.Sprintf("\nOf %d rules %d are exercised. %d are a MUST or a MUST NOT; of these %d are exercised, and %d have a reason why not.\n",
		len(rules), exercised, binding, binding-without, without)
}

func threatSummary(threats []Threat, exceptions []Exception, cited citations) string {
	var answered, open int
	for _, threat := range threats {
		if len(cited[threat.ID]) > 0 {
			answered++
		}
	}
	for _, e := range exceptions {
		if e.Open() {
			open++
		}
	}
	return fmt.Sprintf("\nOf %d threats %d have tests, %d have a reason why there is none, and %d are open.\n",
		len(threats), answered, len(exceptions)-open, open)
}

// count returns how many exceptions have the reason.
func count(exceptions []Exception, reason string) (n int) {
	for _, e := range exceptions {
		if e.Reason == reason {
			n++
		}
	}
	return n
}

// tests returns the last cell of a rule's line: the tests that cite it, or
// the first sentence of why there is none.
func tests(by []citing, reason string) string {
	switch {
	case reason != "":
		first, _, _ := strings.Cut(reason, ". ")
		return "none: " + strings.TrimSuffix(first, ".")
	case len(by) == 0:
		return "none"
	}
	shown := spread(by)
	more := ""
	if n := len(shown); n > shownTests {
		shown, more = shown[:shownTests], fmt.Sprintf(", and %d more", n-shownTests)
	}
	var links []string
	for _, c := range shown {
		links = append(links, link(c))
	}
	return strings.Join(links, ", ") + more
}

// spread returns the tests with one of each folder first, so that few of them
// show who keeps the rule.
func spread(by []citing) []citing {
	seen := make(map[string]bool)
	var first, rest []citing
	for _, c := range by {
		if dir := path.Dir(c.file); !seen[dir] {
			seen[dir] = true
			first = append(first, c)
		} else {
			rest = append(rest, c)
		}
	}
	return slices.Concat(first, rest)
}

// link returns a link from the page to a test, which names the folder too.
func link(c citing) string {
	name := strings.NewReplacer("|", `\|`, "[", `\[`, "]", `\]`, "*", `\*`, "_", `\_`).Replace(c.name)
	return fmt.Sprintf("[%s: %s](../%s)", path.Dir(c.file), name, c.file)
}

// firstDifference shows the first lines in which two texts differ.
func firstDifference(had, want string) string {
	hadLines, wantLines := strings.Split(had, "\n"), strings.Split(want, "\n")
	for i := range min(len(hadLines), len(wantLines)) {
		if hadLines[i] != wantLines[i] {
			return fmt.Sprintf("line %d is\n\t%s\nand should be\n\t%s", i+1, hadLines[i], wantLines[i])
		}
	}
	return fmt.Sprintf("it has %d lines and should have %d", len(hadLines), len(wantLines))
}

func TestLongListsOfTestsAreShortened(t *testing.T) {
	by := []citing{{"a/x_test.go", "Test1"}, {"a/x_test.go", "Test2"}, {"b/y_test.go", "Test3"}, {"b/y_test.go", "Test4"}, {"c/z.txt", "a [b] | c"}}
	for _, tt := range []struct {
		by           []citing
		reason, want string
	}{
		{by[:1], "", "[a: Test1](../a/x_test.go)"},
		{by, "", `[a: Test1](../a/x_test.go), [b: Test3](../b/y_test.go), [c: a \[b\] \| c](../c/z.txt), [a: Test2](../a/x_test.go), and 1 more`},
		{nil, "Not built yet. And this is why.", "none: Not built yet"},
	} {
		if got := tests(tt.by, tt.reason); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
