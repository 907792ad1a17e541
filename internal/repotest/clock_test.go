package repotest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// timed are the packages that measure time. A time.Time that is only compared
// and shifted keeps its monotonic reading, so that a change of the wall clock
// moves no deadline.
var timed = []string{"client/", "server/", "internal/netloop/", "endpoint/"}

// readsWallClock are the methods of time.Time that use the wall clock, and the
// functions that return a time without a monotonic reading.
var readsWallClock = []string{
	"Unix", "UnixMilli", "UnixMicro", "UnixNano", "UTC", "Local", "In", "AddDate", "Date", "Clock", "Weekday", "YearDay", "Hour", "Minute",
	"Format", "AppendFormat", "MarshalText", "MarshalJSON", "MarshalBinary", "GobEncode",
}

// longAgo is the only absolute time in use: a deadline in the past.
const longAgo = "time.Unix(1, 0)"

func TestTimeIsMeasuredByTheMonotonicClock(t *testing.T) {
	root := moduleRoot(t)
	files := 0
	for _, file := range libraryFiles(t, root) {
		if !slices.ContainsFunc(timed, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
			continue
		}
		files++
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, filepath.Join(root, file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, use := range wallClockUses(parsed) {
			t.Errorf("%s: %s reads the wall clock; only %s may", set.Position(use.Pos()), callText(use), longAgo)
		}
	}
	if files == 0 {
		t.Errorf("no files in %v", timed)
	}
}

func TestCheckerSeesTheWallClock(t *testing.T) {
	for src, want := range map[string]int{
		"time.Unix(1, 0)":               0,
		"time.Now().Add(5)":             0,
		"time.Since(t)":                 0,
		"time.Unix(x, 0)":               1,
		"time.Now().UnixNano()":         1,
		"t.UTC().Format(time.RFC3339)":  2,
		"time.Date(2000, 1, 1, 0, nil)": 1,
	} {
		parsed, err := parser.ParseFile(token.NewFileSet(), "x.go", "package p\nvar _ = "+src, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := wallClockUses(parsed); len(got) != want {
			t.Errorf("%s: %d uses, want %d", src, len(got), want)
		}
	}
}

// wallClockUses returns the calls in a file that read the wall clock. It has no
// type information and relies on the names of the methods.
func wallClockUses(file *ast.File) (uses []*ast.CallExpr) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if ok && slices.Contains(readsWallClock, f.Sel.Name) && callText(call) != longAgo {
			uses = append(uses, call)
		}
		return true
	})
	return uses
}

// callText returns the source of a call, with arguments other than literals as
// "…".
func callText(call *ast.CallExpr) string {
	f := call.Fun.(*ast.SelectorExpr)
	var args []string
	for _, a := range call.Args {
		text := "…"
		if lit, ok := a.(*ast.BasicLit); ok {
			text = lit.Value
		}
		args = append(args, text)
	}
	on := "…"
	if id, ok := f.X.(*ast.Ident); ok {
		on = id.Name
	}
	return fmt.Sprintf("%s.%s(%s)", on, f.Sel.Name, strings.Join(args, ", "))
}
