// Package examples contains complete programs. Its test compares them with the
// programs in the documentation.
package examples

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentationShowsThePrograms compares each program in the documentation
// with the example.
func TestDocumentationShowsThePrograms(t *testing.T) {
	for _, doc := range []struct {
		file     string
		programs []string // in their order in the file
	}{
		{"../README.md", []string{"echo-client/main.go", "echo-server/main.go"}},
		{"../docs/low-level.md", []string{"lowlevel/main.go"}},
	} {
		blocks := programsIn(read(t, doc.file))
		if len(blocks) != len(doc.programs) {
			t.Errorf("%s shows %d programs, want %d", doc.file, len(blocks), len(doc.programs))
			continue
		}
		for i, program := range doc.programs {
			if blocks[i] != fromPackageClause(read(t, program)) {
				t.Errorf("program %d of %s is not %s", i+1, doc.file, program)
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n") // line ends of some checkouts
}

// programsIn returns the Go blocks of a Markdown text that start with a package
// clause.
func programsIn(text string) []string {
	var programs []string
	for _, part := range strings.Split(text, "```go\n")[1:] {
		block, _, _ := strings.Cut(part, "```\n")
		if strings.HasPrefix(block, "package ") {
			programs = append(programs, block)
		}
	}
	return programs
}

// fromPackageClause returns a program without the comment above its package
// clause.
func fromPackageClause(source string) string {
	return source[strings.Index(source, "\npackage ")+1:]
}
