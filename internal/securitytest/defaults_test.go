package securitytest

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A figure of docs/security.md: the constant that it is.
type figure struct {
	dir, constant string
	unit          string
}

const (
	bytes    = "bytes"
	duration = "duration"
	number   = "number"
)

// figures are the lines of the table of defaults, by their first cell.
var figures = map[string]figure{
	"payload of one message":                                             {"endpoint", "DefaultMessageLimit", bytes},
	"charge for each fragment":                                           {"endpoint", "fragmentOverhead", bytes},
	"allowance for payload and charges together":                         {"endpoint", "fragmentAllowance", bytes},
	"head of a request or response":                                      {"handshake", "defaultHeadBytes", bytes},
	"header fields":                                                      {"handshake", "defaultHeadFields", number},
	"request line":                                                       {"handshake", "defaultHeadLine", bytes},
	"subprotocols, or extensions with their parameters":                  {"handshake", "maxListMembers", number},
	"interim responses before the answer":                                {"client", "maxInterim", number},
	"body of a refusal that is kept":                                     {"client", "excerptSize", bytes},
	"time for the body of a refusal":                                     {"client", "excerptWait", duration},
	"opening handshake, with connecting and TLS":                         {"client", "DefaultHandshakeTimeout", duration},
	"opening handshake, with TLS":                                        {"server", "DefaultHandshakeTimeout", duration},
	"no progress in a write of a client":                                 {"client", "DefaultWriteTimeout", duration},
	"time for a reader that no call reads from, once `Close` was called": {"client", "readerGrace", duration},
	"time for the server's Close after a write that failed":              {"client", "failureWait", duration},
	"no progress in a write of a server":                                 {"server", "DefaultWriteTimeout", duration},
	"closing handshake from a client":                                    {"client", "DefaultCloseTimeout", duration},
	"closing handshake from a server":                                    {"server", "DefaultCloseTimeout", duration},
	"silence before a Ping":                                              {"server", "DefaultPingInterval", duration},
	"silence after that Ping":                                            {"server", "DefaultPongTimeout", duration},
	"Pongs that wait for a peer that does not read":                      {"endpoint", "maxOwedPongs", number},
	"time for a message, or for 64 KiB of it, to arrive":                 {"server", "DefaultAssemblyTimeout", duration},
	"what waits for one client that does not read":                       {"server", "DefaultMaxBacklog", bytes},
	"handlers that block at the same time":                               {"server", "DefaultMaxBlocked", number},
	"what waits for all such clients":                                    {"server", "DefaultMaxTotalBacklog", bytes},
	"messages kept while `Ping` or `Close` waits":                        {"client", "maxQueued", bytes},
	"what is read and thrown away at the end":                            {"internal/netloop", "maxDrain", bytes},
}

// words are the lines whose default is no figure.
var words = map[string]string{
	"payload of one data frame":                               "as a message",
	"payload of one data frame that is sent":                  "none",
	"origins that may connect":                                "the server's own",
	"hosts that the server goes by":                           "any",
	"time without a message either way":                       "none",
	"age of a connection":                                     "none",
	"time over which `Shutdown` closes":                       "at once",
	"redirects":                                               "refused",
	"messages, bytes of payload, Pings and Pongs in a second": "none",
	"connections, those in the opening handshake included":    "none",
	"connections from one address":                            "none",
	"connections in the opening handshake":                    "none",
	"compression":                                             "not agreed",
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
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| what |") {
			continue
		}
		what, got := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[3])
		seen[what] = true
		want, known := words[what]
		if f, found := figures[what]; found {
			want, known = shown(t, f), true
		}
		if !known {
			t.Errorf("%q has the default %q, which is compared with nothing", what, got)
		} else if got != want {
			t.Errorf("%q has the default %q, and the code has %q", what, got, want)
		}
	}
	for what := range figures {
		if !seen[what] {
			t.Errorf("the page does not tell %q", what)
		}
	}
	for what := range words {
		if !seen[what] {
			t.Errorf("the page does not tell %q", what)
		}
	}
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

// eval evaluates what constants are made of here: numbers, shifts, products, seconds, and
// other constants of the package.
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
	t.Fatalf("a constant is made of a %T, which is not known here", expr)
	return nil
}
