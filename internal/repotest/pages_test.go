package repotest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the pages")

const (
	// shownTests is the number of tests of an entry that a page names. It
	// counts the others.
	shownTests = 4
)

func TestEveryCitedNumberExists(t *testing.T) {
	known := make(map[string]bool)
	for _, e := range slices.Concat(ruleList.entries(t), threatList.entries(t)) {
		known[e.id] = true
	}
	for id, by := range collected(t) {
		if !known[id] {
			t.Errorf("%s (%s) cites %s, which is neither in rules.txt nor in threats.txt; cite by whole numbers", by[0].name, by[0].file, id)
		}
	}
}

// Every entry is cited or has a reason, at every level.
func TestEveryRuleIsExercisedOrExcepted(t *testing.T)  { checkCoverage(t, ruleList) }
func TestEveryThreatIsAnsweredOrExcepted(t *testing.T) { checkCoverage(t, threatList) }

func checkCoverage(t *testing.T, l list) {
	cited := collected(t)
	for _, e := range l.entries(t) {
		switch by := cited[e.id]; {
		case len(by) > 0 && e.reason != "":
			t.Errorf("%s is in %s, and %s (%s) cites it: remove one of them", e.id, l.exceptionsFile, by[0].name, by[0].file)
		case len(by) == 0 && e.reason == "":
			t.Errorf("no test cites %s: %s %s\nwrite one, or give the reason in %s", e.id, e.level, e.text, l.exceptionsFile)
		}
	}
}

// collectOnce collects the citations of the tests of the repository.
var collectOnce = sync.OnceValues(func() (cited citations, err error) {
	cited, problems, err := collect(os.DirFS(root))
	for _, problem := range problems {
		err = errors.Join(err, errors.New(problem))
	}
	return cited, err
})

// collected returns the citations of the tests of the repository.
func collected(t *testing.T) citations {
	t.Helper()
	cited, err := collectOnce()
	if err != nil {
		t.Fatal(err)
	}
	if len(cited) == 0 {
		t.Fatalf("no test below %s cites a rule", root)
	}
	return cited
}

func TestConformancePageIsCurrent(t *testing.T) {
	entries, cited := ruleList.entries(t), collected(t)
	var exercised, binding, without int
	for _, e := range entries {
		if len(cited[e.id]) > 0 {
			exercised++
		}
		if e.binding() {
			binding++
			if len(cited[e.id]) == 0 {
				without++
			}
		}
	}
	summary := fmt.Sprintf("\nOf %d rules %d are exercised. %d are a MUST or a MUST NOT; of these %d are exercised, and %d have a reason why not.\n",
		len(entries), exercised, binding, binding-without, without)
	checkPage(t, "docs/conformance.md", "rules", summary+tables(entries, cited, []string{"rule", "level", "requirement", "tests"}, func(e entry) []string {
		return []string{e.id, e.level, e.text}
	})+withoutTest("Rules", entries))
}

func TestSecurityPageIsCurrent(t *testing.T) {
	entries, cited := threatList.entries(t), collected(t)
	answered := 0
	for _, e := range entries {
		if len(cited[e.id]) > 0 {
			answered++
		}
	}
	summary := fmt.Sprintf("\nOf %d threats %d have tests, and %d have a reason why there is none.\n", len(entries), answered, len(entries)-answered)
	checkPage(t, "docs/security-coverage.md", "rules", summary+tables(entries, cited, []string{"threat", "seen in", "role", "guarantee", "tests"}, func(e entry) []string {
		return []string{e.id, e.source, e.role, e.text}
	})+withoutTest("Threats", entries))
}

// checkPage compares the generated part of a page, between two comments with
// the name of the part, or writes it.
func checkPage(t *testing.T, page, part, generated string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+part+":begin -->", "<!-- "+part+":end -->"
	before, rest, begins := strings.Cut(unix(string(text)), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s lacks %s and then %s", page, begin, end)
	}
	checkFile(t, page, before+begin+"\n"+generated+"\n"+end+after)
}

// checkFile compares a file with its generated text, or writes it.
func checkFile(t *testing.T, page, want string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(page))
	text, err := os.ReadFile(file)
	had := unix(string(text))
	switch {
	case err == nil && had == want:
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case err != nil:
		t.Fatal(err)
	default:
		t.Errorf("%s is not as generated; run\n\tgo generate ./internal/repotest\n%s", page, firstDifference(had, want))
	}
}

// tables returns a table for each section; cells returns all cells of a row but
// the tests.
func tables(entries []entry, cited citations, head []string, cells func(entry) []string) string {
	var b strings.Builder
	section := ""
	for _, e := range entries {
		if e.section != section {
			section = e.section
			fmt.Fprintf(&b, "\n### %s\n\n| %s |\n%s|\n", section, strings.Join(head, " | "), strings.Repeat("|---", len(head)))
		}
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(cells(e), " | "), testsCell(cited[e.id], e.reason))
	}
	return b.String()
}

// withoutTest returns the reasons of exceptions.
func withoutTest(heading string, entries []entry) string {
	var reasons []string
	count := make(map[string]int)
	for _, e := range entries {
		if e.reason != "" {
			if count[e.reason]++; count[e.reason] == 1 {
				reasons = append(reasons, e.reason)
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s without a test\n\n", heading)
	for _, reason := range reasons {
		fmt.Fprintf(&b, "- %s *%d of the %s above.*\n", reason, count[reason], strings.ToLower(heading))
	}
	return b.String()
}

// testsCell returns links to the tests that cite an entry, or the first
// sentence of the reason.
func testsCell(by []citing, reason string) string {
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
		name := strings.NewReplacer("|", `\|`, "[", `\[`, "]", `\]`, "*", `\*`, "_", `\_`).Replace(c.name)
		links = append(links, fmt.Sprintf("[%s: %s](../%s)", path.Dir(c.file), name, c.file))
	}
	return strings.Join(links, ", ") + more
}

// spread returns the tests with one of each folder first.
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
		if got := testsCell(tt.by, tt.reason); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
