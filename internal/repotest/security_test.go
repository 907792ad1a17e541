package repotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// isExample reports whether people copy from a file.
func isExample(name string) bool {
	base := path.Base(name)
	return strings.HasSuffix(name, ".md") || strings.HasSuffix(base, "example_test.go") ||
		strings.HasSuffix(name, ".go") && (strings.HasPrefix(name, "examples/") || strings.HasPrefix(name, "cmd/") && !strings.HasSuffix(name, "_test.go"))
}

// carriesStreams is a file that assembles no message: a bridge carries streams
// of any length in frames of any length, in bounded memory.
const carriesStreams = "cmd/fibersock/bridge.go"

// dangerous are patterns that no example may contain, each with a sample.
var dangerous = []struct{ name, pattern, sample string }{
	{"accepts every origin", `Origins(:|\s*=|,)[^}\n]*"\*"`, `Origins: []string{"example.com", "*"}`},
	{"accepts pages without an origin", `Origins(:|\s*=|,)[^}\n]*"null"`, `s.Origins = []string{"null"}`},
	{"verifies no certificate", `InsecureSkipVerify:\s*true`, `InsecureSkipVerify: true`},
	{"has no limit", `(Message|Frame):\s*-1`, `Limits{Message: -1}`},
}

// T-F02: examples accept the server's own origin and named ones only, verify
// certificates and keep limits.
func TestExamplesAreNotDangerous(t *testing.T) {
	for _, d := range dangerous {
		pattern := regexp.MustCompile(d.pattern)
		if !pattern.MatchString(d.sample) {
			t.Errorf("%s does not match %s", d.pattern, d.sample)
		}
		visit(t, isExample, func(name, text string) {
			if found := pattern.FindString(text); found != "" && name != carriesStreams {
				t.Errorf("%s has an example that %s: %s", name, d.name, found)
			}
		})
	}
}

// fromMathRand are the functions of math/rand/v2 that a folder or file may use,
// with the reason.
var fromMathRand = map[string]struct {
	names []string
	why   string
}{
	"endpoint":                {[]string{"ChaCha8", "NewChaCha8"}, "a cipher seeded from internal/entropy"},
	"internal/entropy":        {[]string{"ChaCha8", "NewChaCha8", "Uint64"}, "a cipher seeded from /dev/urandom and the runtime, in builds without crypto/rand"},
	"client/reconnect.go":     {[]string{"N"}, "a random wait spreads reconnects; it is no secret"},
	"server/timeouts.go":      {[]string{"Int32N"}, "a random lifetime spreads reconnects; it is no secret"},
	"endpoint/pingtracker.go": {[]string{"Uint64"}, "the payload of a Ping is sent to the peer anyway"},
}

// T-E08, T-H17: masking keys and handshake keys are from internal/entropy, or
// from a cipher with a seed of it.
func TestRandomnessIsOfTheRightKind(t *testing.T) {
	ours := func(name string) bool {
		for _, dir := range []string{"wire", "handshake", "client", "server", "endpoint", "internal/netloop", "internal/entropy", "cmd"} {
			if strings.HasPrefix(name, dir+"/") {
				return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
			}
		}
		return false
	}
	visit(t, ours, func(name, text string) {
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		as := ""
		for _, imported := range file.Imports {
			switch imported.Path.Value {
			case `"math/rand"`:
				t.Errorf("%s imports math/rand, which is predictable", name)
			case `"math/rand/v2"`:
				as = "rand"
				if imported.Name != nil {
					as = imported.Name.Name
				}
			}
		}
		if as == "" {
			return
		}
		allowed := append(fromMathRand[path.Dir(name)].names, fromMathRand[name].names...)
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == as && !slices.Contains(allowed, s.Sel.Name) {
					t.Errorf("%s uses rand.%s: use internal/entropy, or add the reason to fromMathRand", name, s.Sel.Name)
				}
			}
			return true
		})
	})
}
