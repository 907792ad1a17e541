package repotest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fibersock/fibersock/fuzz/corpus"
)

// numberRE matches the number of a rule or a threat. It matches a whole word,
// so that a number with a suffix is another, unknown one.
var numberRE = regexp.MustCompile(`\b(?:(?:6455|7692|7936|8307|8441|9110|9112|9220|IANA|WHATWG)-[0-9A-Za-z](?:[-.…]?[0-9A-Za-z])*|T-[A-Z][0-9]+[0-9A-Za-z]*)`)

// moreRE matches further rules of the same section behind a number.
var moreRE = regexp.MustCompile(`^(?:, -|,)([a-z]{1,2})\b`)

// threatPrefix begins the number of a threat.
const threatPrefix = "T-"

// citedNumbers returns the numbers in text, in order. They need not exist.
func citedNumbers(text string) []string {
	var ids []string
	for {
		at := numberRE.FindStringIndex(text)
		if at == nil {
			return ids
		}
		first := text[at[0]:at[1]]
		text = text[at[1]:]
		ids = append(ids, first)
		if strings.HasPrefix(first, threatPrefix) {
			continue
		}
		section := first[:strings.LastIndex(first, "-")+1]
		for {
			more := moreRE.FindStringSubmatch(text)
			if more == nil {
				break
			}
			ids = append(ids, section+more[1])
			text = text[len(more[0]):]
		}
	}
}

func TestNumbersAreCitedWhole(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"6455-5.2-a: one", []string{"6455-5.2-a"}},
		{"at the end of a sentence, 6455-5.2-a.", []string{"6455-5.2-a"}},
		{"(6455-4.1-aa, 9110-7.8-f)", []string{"6455-4.1-aa", "9110-7.8-f"}},
		{"two letters are not one: 6455-5.2-ab", []string{"6455-5.2-ab"}},
		{"IANA-close-a, WHATWG-19, 8307-a", []string{"IANA-close-a", "WHATWG-19", "8307-a"}},
		{"the same section: 6455-7.4-a,b,k, T-H05", []string{"6455-7.4-a", "6455-7.4-b", "6455-7.4-k", "T-H05"}},
		{"the same section: 6455-4.2.2-h, -ij, -k)", []string{"6455-4.2.2-h", "6455-4.2.2-ij", "6455-4.2.2-k"}},
		{"words behind a comma: 6455-5.2-a, a mask,and more", []string{"6455-5.2-a"}},
		{"a range is no citation: 6455-4.1-h…n", []string{"6455-4.1-h…n"}},
		{"nor is a section: 6455-4.2.1 item 1", []string{"6455-4.2.1"}},
		{"threats: T-A01, T-B12.", []string{"T-A01", "T-B12"}},
		{"words behind a threat: T-A01,a mask", []string{"T-A01"}},
		{"a threat's number is whole too: T-A011, T-A01x", []string{"T-A011", "T-A01x"}},
		{"something else: RFC 6455, 16455-5.2-a, AT-A01, T-shirt", nil},
	} {
		if got := citedNumbers(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q cites %q, want %q", c.text, got, c.want)
		}
	}
}

// A citing is a test that cites rules: a Test, Fuzz or Example function, or a
// script of the corpus.
type citing struct {
	file string // path from the root of the repository, with slashes
	name string
}

// citations are the tests that cite a rule or threat, by its number, sorted and
// each once.
type citations map[string][]citing

func (c citations) add(id string, by citing) {
	at, found := slices.BinarySearchFunc(c[id], by, func(a, b citing) int {
		return strings.Compare(a.file+"\x00"+a.name, b.file+"\x00"+b.name)
	})
	if !found {
		c[id] = slices.Insert(c[id], at, by)
	}
}

// noTests are the directories and files whose citations are not tests.
var noTests = map[string]string{
	"internal/repotest/citations_test.go": "about numbers",
	"internal/repotest/lists_test.go":     "about numbers",
	"wstest/conform":                      "tests of the judge's own verdicts",
	"interop/conformance":                 "verdicts on other implementations",
	"fuzz/corpus":                         "about the form of scripts; the scripts are read as such",
}

// collect returns the citations of all tests below root. The problems are the
// positions of citations outside of every test.
func collect(root fs.FS) (cited citations, problems []string, err error) {
	cited = make(citations)
	packages, err := parsePackages(root)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range packages {
		problems = append(problems, p.collect(cited)...)
	}
	scripts, err := corpus.Scripts()
	if err != nil {
		return nil, nil, err
	}
	for _, s := range scripts {
		for _, id := range s.Rules {
			cited.add(id, citing{"fuzz/corpus/" + s.File, s.Name})
		}
	}
	return cited, problems, nil
}

// A testPackage is the parsed test files of one package.
type testPackage struct {
	fset  *token.FileSet
	files map[string]*ast.File // by path
}

// parsePackages parses every test file below root, of every system, build tag
// and nested module, in the order of their folders.
func parsePackages(root fs.FS) ([]*testPackage, error) {
	byName := make(map[string]*testPackage)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && skipped(name):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, "_test.go") || noTests[name] != "":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		key := path.Dir(name)
		if p := byName[key]; p != nil {
			fset = p.fset
		}
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if byName[key] == nil {
			byName[key] = &testPackage{fset: fset, files: make(map[string]*ast.File)}
		}
		byName[key].files[name] = file
		return nil
	})
	if err != nil {
		return nil, err
	}
	var packages []*testPackage
	for _, key := range slices.Sorted(maps.Keys(byName)) {
		packages = append(packages, byName[key])
	}
	return packages, nil
}

// skipped reports whether no test below a folder counts.
func skipped(dir string) bool {
	base := path.Base(dir)
	return noTests[dir] != "" || base == "testdata" || base == "node_modules" || base == "artifacts" || strings.HasPrefix(base, ".")
}

// collect adds the package's citations to cited.
func (p *testPackage) collect(cited citations) (problems []string) {
	tests, tables := p.declared()
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		file := p.files[name]
		for _, c := range citedIn(file) {
			var users []citing
			switch d := enclosing(file, c.pos).(type) {
			case *ast.FuncDecl:
				if !isTest(d) {
					continue // a comment in a helper
				}
				users = []citing{{name, d.Name.Name}}
			case *ast.ValueSpec:
				users = tests.using(tables, d.Names[0].Name)
			}
			for _, id := range c.ids {
				if len(users) == 0 {
					problems = append(problems, fmt.Sprintf("%v: %s is cited outside of every test, and of every table that one uses", p.fset.Position(c.pos), id))
				}
				for _, user := range users {
					cited.add(id, user)
				}
			}
		}
	}
	return problems
}

// A place is a comment or string that cites rules.
type place struct {
	pos token.Pos
	ids []string
}

// citedIn returns the comments and strings of a file that cite rules.
func citedIn(file *ast.File) []place {
	var places []place
	add := func(pos token.Pos, text string) {
		if ids := citedNumbers(text); ids != nil {
			places = append(places, place{pos, ids})
		}
	}
	for _, group := range file.Comments {
		add(group.Pos(), strings.ReplaceAll(group.Text(), "\n", " "))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				add(lit.Pos(), text)
			}
		}
		return true
	})
	return places
}

// enclosing returns the *ast.FuncDecl or the *ast.ValueSpec of the file's top
// level that pos lies in, the comment before it included, or nil.
func enclosing(file *ast.File, pos token.Pos) ast.Node {
	within := func(n ast.Node, doc *ast.CommentGroup) bool {
		return n.Pos() <= pos && pos < n.End() || doc != nil && doc.Pos() <= pos && pos < doc.End()
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if within(d, d.Doc) {
				return d
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if ok && (within(v, v.Doc) || within(v, v.Comment) || len(d.Specs) == 1 && within(d, d.Doc)) {
					return v
				}
			}
		}
	}
	return nil
}

// isTest reports whether go test runs the function and judges its outcome.
func isTest(d *ast.FuncDecl) bool {
	name := d.Name.Name
	return d.Recv == nil && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") || strings.HasPrefix(name, "Example"))
}

// A testUse is a test and the names that it uses.
type testUse struct {
	citing
	uses map[string]bool
}

type testUses []testUse

// declared returns the package's tests, and the names that each of its other
// functions and of its variables uses.
func (p *testPackage) declared() (tests testUses, others map[string]map[string]bool) {
	others = make(map[string]map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		for _, decl := range p.files[name].Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if isTest(d) {
					tests = append(tests, testUse{citing{name, d.Name.Name}, used(d)})
				} else if d.Recv == nil {
					others[d.Name.Name] = used(d)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						for _, ident := range v.Names {
							others[ident.Name] = used(v)
						}
					}
				}
			}
		}
	}
	return tests, others
}

// using returns the tests that use the name, directly or through other
// functions and variables.
func (tests testUses) using(others map[string]map[string]bool, name string) []citing {
	var users []citing
	for _, t := range tests {
		if reaches(t.uses, others, name, make(map[string]bool)) {
			users = append(users, t.citing)
		}
	}
	return users
}

func reaches(uses map[string]bool, others map[string]map[string]bool, name string, seen map[string]bool) bool {
	if uses[name] {
		return true
	}
	for use := range uses {
		if others[use] != nil && !seen[use] {
			seen[use] = true
			if reaches(others[use], others, name, seen) {
				return true
			}
		}
	}
	return false
}

// used returns the names in the declaration n that may be declared at the top
// level: not those that n declares itself.
func used(n ast.Node) map[string]bool {
	names := named(n)
	for name := range locals(n) {
		delete(names, name)
	}
	return names
}

// locals returns the names that are declared inside a function.
func locals(n ast.Node) map[string]bool {
	names := make(map[string]bool)
	add := func(exprs ...ast.Expr) {
		for _, e := range exprs {
			if ident, ok := e.(*ast.Ident); ok {
				names[ident.Name] = true
			}
		}
	}
	fn, ok := n.(*ast.FuncDecl)
	if !ok {
		return nil
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				add(n.Lhs...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				add(n.Key, n.Value)
			}
		case *ast.ValueSpec:
			for _, ident := range n.Names {
				add(ident)
			}
		case *ast.Field: // parameters, and fields, which are no names of their own
			for _, ident := range n.Names {
				add(ident)
			}
		}
		return true
	})
	return names
}

// named returns the names in n that stand for themselves: neither fields and
// methods nor the keys of literals.
func named(n ast.Node) map[string]bool {
	names := make(map[string]bool)
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			maps.Copy(names, named(n.X))
			return false
		case *ast.KeyValueExpr:
			if _, isName := n.Key.(*ast.Ident); isName {
				maps.Copy(names, named(n.Value))
				return false
			}
		case *ast.Ident:
			names[n.Name] = true
		}
		return true
	})
	return names
}

func TestCitationsCountWhereATestUsesThem(t *testing.T) {
	const source = `package p_test

import "testing"

// A helper's remark counts for nobody: 6455-1-a.
func helper() { use(table) }

// viaHelper is cited by what calls helper: 6455-1-b.
var table = []string{"6455-1-c: a case"}

var unused = "6455-1-d"

// A comment of nothing: 6455-1-e.

// TestOne cites 6455-1-f,
// -g.
func TestOne(t *testing.T) {
	helper() // 6455-1-h
}

// 6455-1-i
func TestTwo(t *testing.T) {
	table := "6455-1-j" // another one
	_ = x.table
	_ = y{table: table}
}

func FuzzThree(f *testing.F) { for range table {} }

func BenchmarkFour(b *testing.B) { _ = "6455-1-k" }
`
	p, err := parsePackages(fstest.MapFS{
		"p/p_test.go":          {Data: []byte(source)},
		"p/p.go":               {Data: []byte("not parsed")},
		"p/testdata/p_test.go": {Data: []byte("not parsed")},
		".hidden/p_test.go":    {Data: []byte("not parsed")},
	})
	if err != nil || len(p) != 1 {
		t.Fatalf("%d packages, %v", len(p), err)
	}
	cited := make(citations)
	problems := p[0].collect(cited)
	got := make(map[string]string)
	for id, by := range cited {
		for _, c := range by {
			got[id] += c.name + " "
		}
	}
	want := map[string]string{
		"6455-1-b": "FuzzThree TestOne ", "6455-1-c": "FuzzThree TestOne ",
		"6455-1-f": "TestOne ", "6455-1-g": "TestOne ", "6455-1-h": "TestOne ",
		"6455-1-i": "TestTwo ", "6455-1-j": "TestTwo ",
	}
	if !maps.Equal(got, want) {
		t.Errorf("cited %q, want %q", got, want)
	}
	if len(problems) != 2 || !strings.Contains(problems[0]+problems[1], "6455-1-d") || !strings.Contains(problems[0]+problems[1], "p/p_test.go:13:1: 6455-1-e") {
		t.Errorf("problems %q, want one for 6455-1-d and one for 6455-1-e", problems)
	}
}
