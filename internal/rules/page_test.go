package rules

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

var update = flag.Bool("update", false, "write docs/conformance.md")

const (
	page      = "docs/conformance.md"
	pageBegin = "<!-- rules:begin -->"
	pageEnd   = "<!-- rules:end -->"

	// shownTests is how many tests of a rule the page names. It counts the rest.
	shownTests = 4
)

func TestConformancePageIsCurrent(t *testing.T) {
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
	want := before + pageBegin + "\n" + tables(all(t), exceptions(t), collected(t)) + pageEnd + after
	switch {
	case had == want:
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the tests cite now; run\n\tgo generate ./internal/rules\n%s", page, firstDifference(had, want))
	}
}

// tables returns the generated part of the page: how many rules there are, and
// a table for each section.
func tables(rules []Rule, exceptions []Exception, cited citations) string {
	reasons := make(map[string]string)
	for _, e := range exceptions {
		reasons[e.ID] = e.Reason
	}
	var b strings.Builder
	b.WriteString(summary(rules, cited))
	section := ""
	for _, r := range rules {
		if r.Section != section {
			section = r.Section
			fmt.Fprintf(&b, "\n### %s\n\n| rule | level | what it says | tests |\n|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.ID, r.Level, r.Text, tests(cited[r.ID], reasons[r.ID]))
	}
	b.WriteString("\n### Rules without a test\n\n")
	for i, e := range exceptions {
		if i == 0 || e.Reason != exceptions[i-1].Reason {
			fmt.Fprintf(&b, "- %s *%d of the rules above.*\n", e.Reason, count(exceptions, e.Reason))
		}
	}
	b.WriteString("\n")
	return b.String()
}

func summary(rules []Rule, cited citations) string {
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
