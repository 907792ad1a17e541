package repotest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A sample is Go code that a reader copies: a code block of a page, or an
// example as pkg.go.dev shows it.
type sample struct {
	name string // the file and line of its first line
	text string
}

// fence matches the line before and the line after a code block.
var fence = regexp.MustCompile("^([ \t]*)```(\\S*)")

// blocks returns the code blocks of a Markdown page in a language, without the
// indentation of the list that a block belongs to.
func blocks(page, text, language string) (samples []sample) {
	inside, wanted, indent := false, false, ""
	for i, line := range strings.Split(text, "\n") {
		switch mark := fence.FindStringSubmatch(line); {
		case mark == nil && inside && wanted:
			last := &samples[len(samples)-1]
			last.text += strings.TrimPrefix(line, indent) + "\n"
		case mark == nil:
		case inside:
			inside = false
		default:
			inside, wanted, indent = true, mark[2] == language, mark[1]
			if wanted {
				samples = append(samples, sample{name: fmt.Sprintf("%s:%d", page, i+2)})
			}
		}
	}
	return samples
}

// TestSamplesCompile compiles each Go block of the pages as it stands. A block
// is a file, or declarations, or statements; only imports are added to the last
// two. A block that is a part of a program below examples is compiled there.
func TestSamplesCompile(t *testing.T) {
	programs := examplePrograms(t)
	var samples []sample
	visit(t, isPage, func(name, text string) {
		for _, s := range blocks(name, unix(text), "go") {
			if !slices.ContainsFunc(programs, func(program string) bool { return strings.Contains(program, dedented(s.text)) }) {
				samples = append(samples, s)
			}
			if formatted, err := format.Source([]byte(s.text)); err == nil && string(formatted) != s.text {
				t.Errorf("%s: gofmt would write\n%s", s.name, formatted)
			}
		}
	})
	report(t, compile(t, samples))
}

// notShown are the directories without examples of the library. Package fuzz has
// some.
var notShown = regexp.MustCompile(`^(fuzz/[a-z]+|bench|interop|examples)/`)

// callsWith matches the comment above a table whose last column has calls as
// code, and the variables that they use.
var callsWith = regexp.MustCompile(`^<!-- calls with (.*) -->$`)

// calls returns the calls of the tables of a page as functions.
func calls(page, text string) (samples []sample) {
	variables := ""
	for i, line := range strings.Split(text, "\n") {
		if mark := callsWith.FindStringSubmatch(line); mark != nil {
			variables = mark[1]
		} else if strings.HasPrefix(line, "#") {
			variables = ""
		}
		if variables == "" || !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
		for _, code := range regexp.MustCompile("`[^`]+`").FindAllString(cells[len(cells)-1], -1) {
			if code = strings.Trim(code, "`"); strings.ContainsAny(code, "(={") { // not a name
				samples = append(samples, sample{fmt.Sprintf("%s:%d", page, i), "func _(" + variables + ") {\n" + code + "\n}\n"})
			}
		}
	}
	return samples
}

// TestCallsOfTablesCompile compiles each call that a table shows in place of one
// of another library.
func TestCallsOfTablesCompile(t *testing.T) {
	var samples []sample
	visit(t, isPage, func(name, text string) { samples = append(samples, calls(name, unix(text))...) })
	report(t, compile(t, samples))
}

func TestCheckerSeesCallsOfTables(t *testing.T) {
	const page = "# Page\n\n<!-- calls with n int -->\n\n| a | b |\n|---|---|\n| `f(x)` | `n = 1`, the `Name` |\n| `g` | `missing(n)` |\n\n## Other\n\n| `a` | `b()` |\n"
	want := []sample{{"p.md:6", "func _(n int) {\nn = 1\n}\n"}, {"p.md:7", "func _(n int) {\nmissing(n)\n}\n"}}
	got := calls("p.md", page)
	if !slices.Equal(got, want) {
		t.Errorf("calls %q, want %q", got, want)
	}
	if problems := compile(t, got); len(problems) != 1 || !strings.HasPrefix(problems[0], "p.md:8: undefined: missing") {
		t.Errorf("%q", problems)
	}
}

// TestExamplesAreWholePrograms compiles each example as pkg.go.dev shows it:
// with its imports and the declarations that it uses.
func TestExamplesAreWholePrograms(t *testing.T) {
	set := token.NewFileSet()
	var samples []sample
	visit(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") && !notShown.MatchString(name) }, func(name, text string) {
		if !strings.Contains(text, "\nfunc Example") {
			return
		}
		file, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range doc.Examples(file) {
			name := fmt.Sprintf("%s: Example%s", name, example.Name)
			var program strings.Builder
			if example.Play == nil {
				t.Errorf("%s is no whole program: it uses declarations of other files", name)
			} else if err := format.Node(&program, set, example.Play); err != nil {
				t.Errorf("%s: %v", name, err)
			} else {
				samples = append(samples, sample{name + ":1", program.String()})
			}
		}
	})
	report(t, compile(t, samples))
}

// TestLinksOfPagesExist checks the links of the pages to files of the repository,
// and to headings of pages.
func TestLinksOfPagesExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]*)\)`)
	code := regexp.MustCompile("`[^`\n]+`") // which may look like a link: f[T](x)
	headings := make(map[string][]string)
	visit(t, isPage, func(name, text string) {
		for _, line := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(unix(text), -1) {
			headings[name] = append(headings[name], anchor(line[1]))
		}
	})
	visit(t, isPage, func(name, text string) {
		for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(text, "code"), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			file, heading, _ := strings.Cut(found[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, found[1])
			} else if heading != "" && !slices.Contains(headings[target], heading) {
				t.Errorf("%s links to %s, and %s has no such heading", name, found[1], target)
			}
		}
	})
}

// anchor returns the name of a heading, as GitHub makes it.
func anchor(heading string) string {
	return regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(strings.ReplaceAll(strings.ToLower(heading), " ", "-"), "")
}

func isPage(name string) bool { return path.Ext(name) == ".md" }

// unix returns text with the line ends of Unix: git may have changed them.
func unix(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// examplePrograms returns the source of the programs below examples, dedented.
func examplePrograms(t *testing.T) (programs []string) {
	visit(t, func(name string) bool { return strings.HasPrefix(name, "examples/") && isGoFile(name) }, func(_, text string) {
		programs = append(programs, dedented(unix(text)))
	})
	return programs
}

// dedented returns text with its lines without the white space around them.
func dedented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

// compile returns the errors of the samples.
func compile(t *testing.T, samples []sample) (problems []string) {
	t.Helper()
	if len(samples) == 0 {
		t.Fatal("no samples")
	}
	names := packageNames(t)
	var files []*ast.File
	needed := make(map[string]bool)
	for _, s := range samples {
		file, err := parseSample(imports.set, s, names)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		files = append(files, file)
		for _, spec := range file.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			needed[name] = true
		}
	}
	imports.compile(t, slices.Sorted(maps.Keys(needed)))
	for _, file := range files {
		config := types.Config{Importer: imports.importer, Sizes: types.SizesFor("gc", runtime.GOARCH)}
		config.Error = func(err error) {
			// An unused variable or import is an error in a file only.
			if soft := new(types.Error); !errors.As(err, soft) || !soft.Soft || file.Name.Name != fragment {
				problems = append(problems, err.Error())
			}
		}
		config.Check(file.Name.Name, imports.set, []*ast.File{file}, nil)
	}
	return problems
}

// fragment is the name of the package of a sample that is no file.
const fragment = "sample"

// parseSample parses a sample. names are the import paths that are added to
// declarations and statements, by the name of the package.
func parseSample(set *token.FileSet, s sample, names map[string]string) (*ast.File, error) {
	line := "//line " + s.name + "\n"
	if strings.HasPrefix(s.text, "package ") {
		return parser.ParseFile(set, "", line+s.text, 0)
	}
	body := line + s.text
	if !regexp.MustCompile(`(?m)^(func|type|import) `).MatchString(s.text) {
		body = "func _() {\n" + line + s.text + "\n}"
	}
	// The first pass finds the names of packages.
	file, err := parser.ParseFile(token.NewFileSet(), "", "package "+fragment+"\n"+body, 0)
	if err != nil {
		return nil, err
	}
	free := make(map[*ast.Ident]bool)
	for _, ident := range file.Unresolved {
		free[ident] = true
	}
	imports := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if ident, ok := selector.X.(*ast.Ident); ok && free[ident] && names[ident.Name] != "" {
				imports[names[ident.Name]] = true
			}
		}
		return true
	})
	head := "package " + fragment + "\n"
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		head += "import " + strconv.Quote(name) + "\n"
	}
	return parser.ParseFile(set, "", head+body, 0)
}

// preferred are the packages that samples mean by a name that several have.
var preferred = []string{"crypto/rand", "html/template", "text/scanner", "runtime/pprof"}

// names has the result of packageNames.
var names map[string]string

// packageNames returns the import paths of the packages of this module and of
// the standard library by the last element of their paths.
func packageNames(t *testing.T) map[string]string {
	t.Helper()
	if names != nil {
		return names
	}
	names = make(map[string]string)
	for list := range strings.Lines(string(goTool(t, "list", "std", module+"/..."))) {
		name := strings.TrimSpace(list)
		if strings.Contains(name+"/", "internal/") || strings.HasPrefix(name, "vendor/") || strings.HasPrefix(name, module+"/examples/") {
			continue
		}
		if base := path.Base(name); names[base] == "" || slices.Contains(preferred, name) {
			names[base] = name
		}
	}
	return names
}

// compiledPackages are packages that the go command has compiled.
type compiledPackages struct {
	set      *token.FileSet // of the samples, too
	files    map[string]string
	importer types.Importer
}

// imports are the packages that samples import. All tests share them.
var imports = newCompiledPackages()

func newCompiledPackages() *compiledPackages {
	c := &compiledPackages{set: token.NewFileSet(), files: make(map[string]string)}
	c.importer = importer.ForCompiler(c.set, "gc", func(name string) (io.ReadCloser, error) {
		if c.files[name] == "" {
			return nil, fmt.Errorf("package %s is not compiled", name)
		}
		return os.Open(c.files[name])
	})
	return c
}

// compile has the packages compiled that are not compiled yet.
func (c *compiledPackages) compile(t *testing.T, packages []string) {
	t.Helper()
	packages = slices.DeleteFunc(packages, func(name string) bool { return c.files[name] != "" || name == "unsafe" })
	if len(packages) == 0 {
		return
	}
	args := append([]string{"list", "-export", "-deps", "-f={{.ImportPath}}={{.Export}}"}, packages...)
	for line := range strings.Lines(string(goTool(t, args...))) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		c.files[name] = file
	}
}

func TestCheckerSeesSamplesThatDoNotCompile(t *testing.T) {
	const page = "# Page\n\n```go\nvar x = 1\n```\n\n1. List\n\n   ```go\n   if true {\n   \tprintln()\n   }\n   ```\n\n```sh\nls\n```\n"
	want := []sample{{"p.md:4", "var x = 1\n"}, {"p.md:10", "if true {\n\tprintln()\n}\n"}}
	if got := blocks("p.md", page, "go"); !slices.Equal(got, want) {
		t.Errorf("blocks %q, want %q", got, want)
	}
	texts := map[string]string{ // with the beginning of the error
		"fmt.Println(1)\n": "",
		"unused := 1\n":    "",
		"x := &server.Server{}\n_ = x.Broadcast(wire.Text, nil)\n": "",
		"func f(t *testing.T) { t.Log(1) }\n":                      "",
		"package main\n\nfunc main() {}\n":                         "",
		"fmt.Println(ctx)\n":                                       "7: undefined: ctx",
		"var fmt int\nfmt.Println()\n":                             "8: fmt.Println undefined",
		"x := server.Server{…}\n":                                  "7: illegal character",
		"func f() { return 1 }\n":                                  "7: too many return values",
		"package main\n\nimport \"fmt\"\n\nfunc main() {}\n":       "9: \"fmt\" imported and not used",
		"package main\n\nfunc main() { fmt.Println() }\n":          "9: undefined: fmt",
		"_, err := client.Dial(context.Background(), \"\")\n":      "7: not enough arguments",
	}
	var samples []sample
	for i, text := range slices.Sorted(maps.Keys(texts)) {
		samples = append(samples, sample{fmt.Sprintf("%d.md:7", i), text})
	}
	problems := compile(t, samples)
	for i, s := range samples {
		got, want := "", texts[s.text]
		for _, problem := range problems {
			if line, found := strings.CutPrefix(problem, fmt.Sprintf("%d.md:", i)); found {
				got += line
			}
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q: %q, want %q", s.text, got, want)
		}
	}
}

// TestCommandsOfPagesExist checks the commands in the shell blocks of the pages:
// targets of make, and packages of go run.
func TestCommandsOfPagesExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	makeCommand := regexp.MustCompile(`\bmake ([a-z][a-z0-9-]*)`)
	goRun := regexp.MustCompile("\\bgo run (\\./[^\\s`]+)")
	seen := 0
	visit(t, isPage, func(name, text string) {
		if notCounted.MatchString(name) { // commands of another folder
			return
		}
		code := regexp.MustCompile("`[^`\n]+`").FindAllString(text, -1)
		for _, s := range blocks(name, unix(text), "sh") {
			code = append(code, s.text)
		}
		for _, command := range code {
			for _, found := range makeCommand.FindAllStringSubmatch(command, -1) {
				seen++
				if !regexp.MustCompile(`(?m)^` + found[1] + `:`).Match(makefile) {
					t.Errorf("%s: make has no target %s", name, found[1])
				}
			}
			for _, found := range goRun.FindAllStringSubmatch(command, -1) {
				seen++
				if _, err := os.Stat(filepath.Join(root, found[1])); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
	if seen == 0 {
		t.Error("no commands")
	}
}
