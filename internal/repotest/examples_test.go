// Package securitytest holds what docs/security.md says against the code, and the code
// against what nobody should copy from it.
package repotest

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// visit calls do for the files of the repository whose paths are wanted.
func visit(t *testing.T, wanted func(name string) bool, do func(name, text string)) {
	t.Helper()
	files := os.DirFS(root)
	seen := 0
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata" || base == "artifacts"):
			return fs.SkipDir
		case entry.IsDir() || !wanted(name):
			return nil
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		seen++
		do(name, string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("no files: the tree is not where it is looked for")
	}
}

// toCopy reports whether a file is one that people copy from.
func toCopy(name string) bool {
	base := path.Base(name)
	return strings.HasSuffix(name, ".md") || strings.HasSuffix(base, "example_test.go") ||
		strings.HasSuffix(name, ".go") && (strings.HasPrefix(name, "examples/") || strings.HasPrefix(name, "cmd/") && !strings.HasSuffix(name, "_test.go"))
}

var dangerous = map[string]*regexp.Regexp{
	"accepts every origin":    regexp.MustCompile(`Origins(:|\s*=|,)[^}\n]*"\*"`),
	"lets pages without one":  regexp.MustCompile(`Origins(:|\s*=|,)[^}\n]*"null"`),
	"verifies no certificate": regexp.MustCompile(`InsecureSkipVerify:\s*true`),
	"has no limit":            regexp.MustCompile(`(Message|Frame):\s*-1`),
}

// T-F02: what people copy accepts no origin but the server's own and those that it names,
// verifies certificates and keeps its limits.
func TestNothingDangerousStandsInExamples(t *testing.T) {
	for what, sample := range map[string]string{
		"accepts every origin":    `Origins: []string{"example.com", "*"}`,
		"lets pages without one":  `s.Origins = []string{"null"}`,
		"verifies no certificate": `InsecureSkipVerify: true`,
		"has no limit":            `Limits{Message: -1}`,
	} {
		if !dangerous[what].MatchString(sample) {
			t.Errorf("%q is not seen as what %s", sample, what)
		}
	}
	visit(t, toCopy, func(name, text string) {
		for what, pattern := range dangerous {
			if at := pattern.FindString(text); at != "" {
				t.Errorf("%s has an example that %s: %s", name, what, at)
			}
		}
	})
}
