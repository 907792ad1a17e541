// Package examples contains complete programs. Its test compares them with the
// programs in the documentation.
package examples

import (
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// TestDocumentationShowsThePrograms compares each program in the documentation
// with the example.
func TestDocumentationShowsThePrograms(t *testing.T) {
	for _, doc := range []struct {
		file     string
		programs []string // in their order in the file
	}{
		{"../README.md", []string{"chat/main.go", "echo-client/main.go", "routes/main.go", "testing/echo_test.go"}},
		{"../doc.go", []string{"chat/main.go", "echo-client/main.go"}},
		{"../docs/tutorial.md", []string{"chat/main.go", "tutorial/names/main.go", "tutorial/page/main.go", "tutorial/page/main_test.go"}},
		{"../docs/low-level.md", []string{"lowlevel/main.go"}},
	} {
		blocks := programsIn(read(t, doc.file))
		if strings.HasSuffix(doc.file, ".go") {
			blocks = programsOf(t, doc.file)
		}
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

// programsOf returns the programs in the package comment of a Go file.
func programsOf(t *testing.T, file string) (programs []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
	check.Must(t, err)
	for _, block := range new(comment.Parser).Parse(parsed.Doc.Text()).Content {
		if code, ok := block.(*comment.Code); ok && strings.HasPrefix(code.Text, "package ") {
			programs = append(programs, code.Text)
		}
	}
	return programs
}

// fromPackageClause returns a program without the comment above its package
// clause.
func fromPackageClause(source string) string {
	if strings.HasPrefix(source, "package ") {
		return source
	}
	return source[strings.Index(source, "\npackage ")+1:]
}

func TestTutorialShowsThePage(t *testing.T) {
	if !strings.Contains(read(t, "../docs/tutorial.md"), "```html\n"+read(t, "tutorial/page/page.html")+"```\n") {
		t.Error("docs/tutorial.md does not show tutorial/page/page.html")
	}
}
