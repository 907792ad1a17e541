package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const tiny = "internal/test/mutants/testdata/tiny/tiny.go"

// TestTinyPackage tries all changes of a package, and then compares their
// outcomes, which are recorded, with another list of equivalents.
func TestTinyPackage(t *testing.T) {
	record := filepath.Join(t.TempDir(), "record")
	t.Run("enough are noticed", func(t *testing.T) { testEnoughNoticed(t, record) })
	t.Run("too few are noticed", func(t *testing.T) { testTooFewNoticed(t, record) })
}

// testEnoughNoticed: the package's tests notice the changes of tested code, one
// of them because the tests do not end. Listed changes do not count.
func testEnoughNoticed(t *testing.T, record string) {
	var out strings.Builder
	err := mutate(options{
		pattern: "./testdata/tiny",
		equivalents: tiny + ` Sum
			- for n > 0 {
			+ for n >= 0 {
			+ for n > -1 {
			= to add 0 changes nothing
			`,
		least:  60,
		files:  "*",
		resume: record,
		jobs:   2,
		slack:  time.Second / 2,
	}, &out)
	if err != nil {
		t.Error(err)
	}
	var half string
	for _, changed := range []string{"return 0", "return n * 2", "return n / 3", "return n / 1"} {
		half += "not noticed: " + tiny + ":19 Half\n\t- func Half(n int) int { return n / 2 }\n\t+ func Half(n int) int { " + changed + " }\n"
	}
	const counts = ": 15 changes, 2 equivalent, 9 noticed (1 by a timeout), 4 not: 69.2 %\n"
	if want := half + tiny + counts + "./testdata/tiny" + counts; out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

// testTooFewNoticed: too few that are noticed are an error, as are listed
// equivalents that are noticed or do not exist.
func testTooFewNoticed(t *testing.T, record string) {
	var out strings.Builder
	err := mutate(options{
		pattern: "./testdata/tiny",
		equivalents: tiny + ` Over
			- func Over(n int) bool { return n > limit }
			+ func Over(n int) bool { return n >= limit }
			= no test holds it
			+ func Over(n int) bool { return n == limit }
			= this is not one of the changes
			`,
		least:  100,
		files:  "t*.go",
		resume: record,
		jobs:   1,
		slack:  time.Second / 2,
	}, &out)
	for _, want := range []string{"1 that equivalents.txt lists were noticed", "does not exist: " + tiny + " Over", "== limit", "are under 100.0 %"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to have %q", err, want)
		}
	}
	if want := `noticed, though listed because "no test holds it"`; !strings.Contains(out.String(), want) {
		t.Errorf("printed\n%s\nwant %s", out.String(), want)
	}
}

// parsedSource returns a package of one file.
func parsedSource(t *testing.T, text string) *source {
	t.Helper()
	s := &source{name: "p", path: "p", set: token.NewFileSet(), info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}}
	parsed, err := parser.ParseFile(s.set, "p.go", text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s.files = []*sourceFile{{name: "p.go", path: "p.go", text: text, ast: parsed}}
	if s.types, err = s.conf.Check(s.path, s.set, s.parsed(), s.info); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestChanges of a line each, with those left out that do not compile.
func TestChanges(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"func f(a, b int) int { return a + b }", []string{
			"func f(a, b int) int { return 0 }",
			"func f(a, b int) int { return a - b }"}},
		{"func f(a, b string) string { return a + b }", []string{
			`func f(a, b string) string { return "" }`}},
		{"func f(a, b int) bool { return a < b }", []string{
			"func f(a, b int) bool { return a <= b }",
			"func f(a, b int) bool { return a >= b }"}},
		{"func f(a, b bool) bool { return a || !b }", []string{
			"func f(a, b bool) bool { return !a || !b }",
			"func f(a, b bool) bool { return a || b }",
			"func f(a, b bool) bool { return a && !b }",
			"func f(a, b bool) bool { return a }",
			"func f(a, b bool) bool { return !b }"}},
		{"func f(a uint) uint { a <<= 3; return ^a }", []string{
			"func f(a uint) uint { a >>= 3; return ^a }",
			"func f(a uint) uint { a <<= 4; return ^a }",
			"func f(a uint) uint { a <<= 2; return ^a }",
			"func f(a uint) uint { a <<= 3; return 0 }",
			"func f(a uint) uint { a <<= 3; return a }"}},
		{"func f(a *int, g func() bool) { if g() { *a++ } }", []string{
			"func f(a *int, g func() bool) { if !g() { *a++ } }",
			"func f(a *int, g func() bool) { if g() { *a-- } }"}},
		{"func f(g func() int) (a int) { defer g(); g(); a = g(); return }", []string{
			"func f(g func() int) (a int) { ; g(); a = g(); return }",
			"func f(g func() int) (a int) { defer g(); ; a = g(); return }",
			"func f(g func() int) (a int) { defer g(); g(); ; return }"}},
		{"func f(a int) { for a != 0 { switch { case a == 2, a > 5: break; }; continue } }", []string{
			"func f(a int) { for a == 0 { switch { case a == 2, a > 5: break; }; continue } }",
			"func f(a int) { for a != 1 { switch { case a == 2, a > 5: break; }; continue } }",
			"func f(a int) { for a != -1 { switch { case a == 2, a > 5: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a > 5: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a == 2: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a != 2, a > 5: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a == 3, a > 5: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a == 1, a > 5: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a == 2, a >= 5: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a == 2, a <= 5: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a == 2, a > 6: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a == 2, a > 4: break; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a == 2, a > 5: continue; }; continue } }",
			"func f(a int) { for a != 0 { switch { case a == 2, a > 5: break; }; break } }"}},
		{"func f(a func()) func() { return a }", []string{"func f(a func()) func() { return nil }"}},
		{"func f(a [2]int) [2]int { return a }", []string{"func f(a [2]int) [2]int { return [2]int{} }"}},
		{"func f[T any](a T) (T, error) { return a, nil }", []string{"func f[T any](a T) (T, error) { return *new(T), nil }"}},
		{"func f(a, b int) int { return max(a, b) }", []string{
			"func f(a, b int) int { return 0 }",
			"func f(a, b int) int { return min(a, b) }"}},
		{"const c = 0x7f", []string{"const c = 0x80", "const c = 0x7e"}},
		{"const c = 'f'", []string{"const c = 'g'", "const c = 'e'"}},
		{`var v = []any{"", "text", true}`, []string{`var v = []any{"?", "text", true}`, `var v = []any{"", "", true}`, `var v = []any{"", "text", false}`}},
		{"type t struct { a [2]int; b bool `tag` }", []string{"type t struct { a [3]int; b bool `tag` }", "type t struct { a [1]int; b bool `tag` }"}},
		{"var _ = [2]int{0: 5}", []string{
			"var _ = [3]int{0: 5}",
			"var _ = [1]int{0: 5}",
			"var _ = [2]int{1: 5}",
			"var _ = [2]int{0: 6}",
			"var _ = [2]int{0: 4}"}},
	} {
		var got []string
		for _, m := range parsedSource(t, "package p\n"+tt.line+"\n").mutants() {
			got = append(got, m.key.after)
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("of %s:\n%s\nwant\n%s", tt.line, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

// TestKeyOfAChange does not depend on line numbers, and numbers equal changes.
func TestKeyOfAChange(t *testing.T) {
	list := parsedSource(t, "package p\n\ntype t struct{}\n\nfunc (*t) f(a int) {\n\ta++\n\ta++\n}\n").mutants()
	want := key{file: "p.go", place: "t.f", before: "a++", after: "a--", nth: 1}
	second := want
	second.nth = 2
	if len(list) != 2 || list[0].key != want || list[1].key != second {
		t.Fatalf("%v, want %v and the second", list, want)
	}
	if got := list[1].String(); got != "p.go:7 t.f\n\t- a++\n\t+2 a--" {
		t.Errorf("printed as %q", got)
	}
}

// TestDeclarationsThatAreExchanged keep their receivers, parameters and
// results.
func TestDeclarationsThatAreExchanged(t *testing.T) {
	s := parsedSource(t, `package p

type list[T any] []T

func (l *list[T]) first(_ int, more ...T) (x T, ok bool) {
	for _, x := range *l {
		return x, true
	}
	return x, false
}

func generic[K comparable, V any](m map[K]V, k K) bool { return len(m) > 0 }

var size, other = 3, 4

var text string = "text"

func recovers() { defer func() { recover() }(); recover(); println() }
`)
	list := s.mutants()
	alone := map[string]bool{}
	for _, m := range list {
		alone[m.key.place] = alone[m.key.place] || m.alone
	}
	for place, want := range map[string]bool{"list.first": false, "generic": false, "size": true, "text": false, "recovers": true} {
		if got, there := alone[place]; got != want || !there {
			t.Errorf("%s is built alone: %v, there is one: %v; want %v", place, got, there, want)
		}
	}
	exchanged := s.together(list)["p.go"]
	set := token.NewFileSet()
	var files []*ast.File
	for name, text := range map[string]string{"p.go": exchanged, "chooser.go": "package p\n\nvar mutantInForce int\n\nfunc mutantCalled(int) {}\n"} {
		parsed, err := parser.ParseFile(set, name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, parsed)
	}
	if _, err := new(types.Config).Check("p", set, files, nil); err != nil {
		t.Errorf("%v\n%s", err, exchanged)
	}
	for _, want := range []string{
		"func (mutantReceiver0 *list[T]) first(mutantArg0 int, mutantArg1 ...T) (x T, ok bool) {",
		"return mutantReceiver0.mutant0_first(mutantArg0, mutantArg1...)",
		"return mutant0_generic[K, V](mutantArg0, mutantArg1)",
		"var text = mutant_text()",
	} {
		if !strings.Contains(exchanged, want) {
			t.Errorf("there is no %s in\n%s", want, exchanged)
		}
	}
}

// TestChoice is by file and by the output of an earlier run.
func TestChoice(t *testing.T) {
	list := parsedSource(t, "package p\n\nfunc f(a, b, c int) int { return a + b*c - 17 + a/b - a*c }\n").mutants()
	if whole, err := (options{files: "q.go,*"}).choose(list); err != nil || len(whole) != len(list) {
		t.Errorf("chosen are %v, %v; want all %d", whole, err, len(list))
	}
	earlier := filepath.Join(t.TempDir(), "earlier")
	if err := os.WriteFile(earlier, []byte("not noticed: "+list[3].String()+"\np.go: 1 change\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := options{files: "*", again: earlier}.choose(list)
	if err != nil || !slices.Equal(again, []int{4}) {
		t.Errorf("again are %v, %v; want 4", again, err)
	}
	for _, bad := range []options{{files: "q.go"}, {files: "["}, {files: "*", again: earlier + "s"}} {
		if chosen, err := bad.choose(list); err == nil {
			t.Errorf("%+v chooses %v, want an error", bad, chosen)
		}
	}
}

// TestRecord keeps outcomes until the package changes.
func TestRecord(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	tried := 0
	try := func(int) (outcome, error) { tried++; return timedOut, nil }
	for i, tt := range []struct {
		hash         string
		number, want int // number of tries until then
	}{{"a", 7, 1}, {"a", 7, 1}, {"a", 8, 2}, {"a", 7, 2}, {"b", 7, 3}, {"a", 7, 4}} {
		r, err := openRecord(name, tt.hash)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := r.outcome(tt.number, try); o != timedOut || err != nil || tried != tt.want {
			t.Errorf("%d: %v, %v after %d tries, want %d", i, o, err, tried, tt.want)
		}
		if _, err := r.outcome(9, func(int) (outcome, error) { return noticed, os.ErrInvalid }); err != os.ErrInvalid {
			t.Errorf("%d: the error is %v", i, err)
		}
		r.close()
	}
	if _, err := openRecord(filepath.Dir(name), "a"); err == nil {
		t.Error("a directory is a record")
	}
}

func TestListOfEquivalents(t *testing.T) {
	list, err := parseEquivalents("# comment\n\np.go T.f\n\t- a++\n\t+ a--\n\t+2 a--\n\t= so\n- b\n+\n= that\n\nq.go g\n- c\n+ d\n= why\n")
	want := map[key]string{
		{"p.go", "T.f", "a++", "a--", 1}: "so",
		{"p.go", "T.f", "a++", "a--", 2}: "so",
		{"p.go", "T.f", "b", "", 1}:      "that",
		{"q.go", "g", "c", "d", 1}:       "why",
	}
	if err != nil || len(list) != len(want) {
		t.Errorf("%v, %v; want %v", list, err, want)
	}
	for k, reason := range want {
		if list[k] != reason {
			t.Errorf("the reason of %+v is %q, want %q", k, list[k], reason)
		}
	}
	for _, bad := range []string{
		"- a\n+ b\n= no place\n",
		"p.go f\n+ b\n= no line\n",
		"p.go f\n- a\n+ b\n",
		"p.go f\n- a\n+ b\nq.go g\n",
		"p.go f\n- a\n= no change\n",
		"p.go f\n- a\n+ b\n+ b\n= twice\n",
		"p.go f\n- a\n+1 b\n= a number of one\n",
		"p.go f\n- a\n+x b\n= a number of letters\n",
		"p.go f\nwhat is this\n",
	} {
		if list, err := parseEquivalents(bad); err == nil {
			t.Errorf("%q is read as %v", bad, list)
		}
	}
}

// TestOurListCanBeRead parses the list of equivalents of this repository.
func TestOurListCanBeRead(t *testing.T) {
	if _, err := parseEquivalents(equivalentsText); err != nil {
		t.Error(err)
	}
}
