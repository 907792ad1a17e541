package archtest

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

// keepTime are the packages in which time is measured. A time.Time knows the
// monotonic clock as long as it is only compared and moved, so that a wall clock
// that is set, or that leaps, moves no deadline.
var keepTime = []string{"client/", "server/", "internal/netloop/", "endpoint/"}

// readsWallClock are the methods of time.Time that look at the wall clock or make
// a time that knows no other.
var readsWallClock = []string{
	"Unix", "UnixMilli", "UnixMicro", "UnixNano", "UTC", "Local", "In", "AddDate", "Date", "Clock", "Weekday", "YearDay", "Hour", "Minute",
	"Format", "AppendFormat", "MarshalText", "MarshalJSON", "MarshalBinary", "GobEncode",
}

// longAgo is the one absolute time that is used: a deadline that has passed.
const longAgo = "time.Unix(1, 0)"

func TestTimeIsMeasuredByTheMonotonicClock(t *testing.T) {
	root := moduleRoot(t)
	files := 0
	for _, file := range libraryFiles(t, root) {
		if !slices.ContainsFunc(keepTime, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
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
		t.Errorf("no files in %v", keepTime)
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

// wallClockUses returns the calls in a file that read the wall clock, by their
// names: there is no type information here, and no need for another method of such
// a name.
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

// callText returns a call as it is written, as far as it matters here.
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
