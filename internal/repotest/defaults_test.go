package repotest

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A figure is the constant of a line of docs/security.md.
type figure struct {
	dir, constant string
	unit          string
}

const (
	bytes    = "bytes"
	duration = "duration"
	number   = "number"
)

// figures are the lines of the table of defaults whose default is a constant,
// by their first cell.
var figures = map[string]figure{
	"message size":                                        {"endpoint", "DefaultMessageLimit", bytes},
	"decompressed message":                                {"endpoint", "DefaultMessageLimit", bytes},
	"charge per fragment":                                 {"endpoint", "fragmentOverhead", bytes},
	"payload and charges of a message":                    {"endpoint", "fragmentAllowance", bytes},
	"head of a request or response":                       {"handshake", "defaultHeadBytes", bytes},
	"header fields":                                       {"handshake", "defaultHeadFields", number},
	"request line":                                        {"handshake", "defaultHeadLine", bytes},
	"subprotocols, or extensions and parameters":          {"handshake", "maxListMembers", number},
	"interim responses":                                   {"client", "maxInterim", number},
	"excerpt of the body of a refusal":                    {"client", "excerptSize", bytes},
	"time for the excerpt":                                {"client", "excerptWait", duration},
	"opening handshake of a client, with connect and TLS": {"client", "DefaultHandshakeTimeout", duration},
	"opening handshake of a server, with TLS":             {"server", "DefaultHandshakeTimeout", duration},
	"write of a client without progress":                  {"client", "DefaultWriteTimeout", duration},
	"time for an unused message reader after `Close`":     {"client", "readerGrace", duration},
	"time for the server's Close after a failed write":    {"client", "failureWait", duration},
	"write of a server without progress":                  {"server", "DefaultWriteTimeout", duration},
	"closing handshake of a client":                       {"client", "DefaultCloseTimeout", duration},
	"closing handshake of a server":                       {"server", "DefaultCloseTimeout", duration},
	"silence before a Ping":                               {"server", "DefaultPingInterval", duration},
	"silence after a Ping":                                {"server", "DefaultPongTimeout", duration},
	"Pongs pending while the peer does not read":          {"endpoint", "maxQueuedPongs", number},
	"incomplete message without 64 KiB of progress":       {"server", "DefaultAssemblyTimeout", duration},
	"write backlog of one client":                         {"server", "DefaultMaxBacklog", bytes},
	"blocked handlers":                                    {"server", "DefaultMaxBlocked", number},
	"write backlog of all clients":                        {"server", "DefaultMaxTotalBacklog", bytes},
	"topics of a connection":                              {"server", "DefaultMaxTopics", number},
	"name of a topic":                                     {"server", "DefaultMaxTopicName", bytes},
	"messages buffered while `Ping` or `Close` waits":     {"client", "maxKept", bytes},
	"bytes discarded after the closing handshake":         {"internal/netloop", "maxDiscarded", bytes},
}

// words are the values of the page for lines without a number.
var words = map[string]string{
	"size of a data frame":                                "as a message",
	"size of a sent data frame":                           "none",
	"accepted origins":                                    "the server's own",
	"accepted hosts":                                      "any",
	"time without a message in either direction":          "none",
	"age of a connection":                                 "none",
	"time over which `Shutdown` closes connections":       "at once",
	"redirects":                                           "rejected",
	"messages, payload bytes, Pings and Pongs per second": "none",
	"connections, including opening handshakes":           "none",
	"connections from one address":                        "none",
	"connections in the opening handshake":                "none",
	"compression":                                         "off",
	"windows of all connections":                          "none",
}

func TestPageHasTheDefaultsOfTheCode(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Defaults\n")
	section, _, _ = strings.Cut(section, "\n## ")
	seen := make(map[string]bool)
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| limit |") {
			continue
		}
		what, got := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[3])
		seen[what] = true
		want, known := words[what]
		if f, found := figures[what]; found {
			want, known = shown(t, f), true
		}
		if !known {
			t.Errorf("%q has the default %q, which no constant is compared with", what, got)
		} else if got != want {
			t.Errorf("%q has the default %q, and the code has %q", what, got, want)
		}
	}
	for what := range figures {
		if !seen[what] {
			t.Errorf("the page lacks %q", what)
		}
	}
	for what := range words {
		if !seen[what] {
			t.Errorf("the page lacks %q", what)
		}
	}
}

// configured are the types whose numbers and times are limits.
var configured = []struct{ dir, name string }{{"client", "Config"}, {"server", "Server"}, {"server", "Topics"}, {"endpoint", "Limits"}}

// TestPageHasAllOptions finds each number and time of a configuration in the
// table of defaults.
func TestPageHasAllOptions(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Defaults\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, c := range configured {
		for _, field := range numbersOf(t, c.dir, c.name) {
			if strings.HasSuffix(field, "PerSecond") {
				field = "…PerSecond" // one line for all
			}
			if !regexp.MustCompile("[`.]" + field + "`").MatchString(section) {
				t.Errorf("the table of defaults in docs/security.md lacks %s.%s.%s", c.dir, c.name, field)
			}
		}
	}
}

// numbersOf returns the exported fields of a struct that are numbers or times.
func numbersOf(t *testing.T, dir, name string) (fields []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				if !slices.Contains([]string{"int", "int64", "time.Duration"}, types.ExprString(field.Type)) {
					continue
				}
				for _, ident := range field.Names {
					if ident.IsExported() {
						fields = append(fields, ident.Name)
					}
				}
			}
			return false
		})
	}
	if len(fields) == 0 {
		t.Fatalf("%s.%s has no numbers", dir, name)
	}
	return fields
}

// shown returns the value of a constant as the page shows it.
func shown(t *testing.T, f figure) string {
	t.Helper()
	value := constantsOf(t, f.dir).value(t, f.constant)
	n, exact := constant.Int64Val(value)
	switch {
	case !exact:
		t.Fatalf("%s.%s is %v", f.dir, f.constant, value)
	case f.unit == duration && n < int64(time.Second):
		return fmt.Sprint(n/int64(time.Millisecond), " ms")
	case f.unit == duration:
		return strings.Replace(time.Duration(n).String(), "s", " s", 1)
	case f.unit == number:
		return fmt.Sprint(n)
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprint(n>>20, " MiB")
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprint(n>>10, " KiB")
	}
	return fmt.Sprint(n, " bytes")
}

// constants are the expressions of the constants of a package, by name.
type constants map[string]ast.Expr

func constantsOf(t *testing.T, dir string) constants {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(constants)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.CONST {
				for _, spec := range d.Specs {
					v := spec.(*ast.ValueSpec)
					for i := range min(len(v.Names), len(v.Values)) {
						all[v.Names[i].Name] = v.Values[i]
					}
				}
			}
		}
	}
	return all
}

func (c constants) value(t *testing.T, name string) constant.Value {
	t.Helper()
	expr := c[name]
	if expr == nil {
		t.Fatalf("there is no constant %s", name)
	}
	return c.eval(t, expr)
}

// eval evaluates numbers, operators, seconds and other constants of the
// package.
func (c constants) eval(t *testing.T, expr ast.Expr) constant.Value {
	t.Helper()
	switch e := expr.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.Ident:
		return c.value(t, e.Name)
	case *ast.SelectorExpr:
		switch e.Sel.Name {
		case "Second":
			return constant.MakeInt64(int64(time.Second))
		case "Millisecond":
			return constant.MakeInt64(int64(time.Millisecond))
		}
	case *ast.BinaryExpr:
		x, y := c.eval(t, e.X), c.eval(t, e.Y)
		if e.Op == token.SHL {
			n, _ := constant.Uint64Val(y)
			return constant.Shift(x, e.Op, uint(n))
		}
		return constant.BinaryOp(x, e.Op, y)
	}
	t.Fatalf("a constant contains a %T, which eval does not support", expr)
	return nil
}
