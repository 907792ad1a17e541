package securitytest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// What may be taken from math/rand/v2 where, and why that can be.
var fromMathRand = map[string]struct {
	names []string
	why   string
}{
	"endpoint":                {[]string{"ChaCha8", "NewChaCha8"}, "a cipher, and its seed is of crypto/rand"},
	"server/timeouts.go":      {[]string{"Int32N"}, "a lifetime is varied so that clients do not come back at once, not to be secret"},
	"endpoint/pingtracker.go": {[]string{"Uint64"}, "the payload of a Ping is sent to the one who might guess it"},
}

// T-E08, T-H17: what must not be guessed, a masking key or the key of a handshake, comes from
// crypto/rand or from a cipher with a seed of crypto/rand.
func TestRandomnessIsOfTheRightKind(t *testing.T) {
	ours := func(name string) bool {
		for _, dir := range []string{"wire", "handshake", "client", "server", "endpoint", "internal/netloop", "internal/driver", "cmd"} {
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
				t.Errorf("%s imports math/rand, which can be predicted", name)
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
					t.Errorf("%s uses rand.%s: take crypto/rand, or say here why it need not be", name, s.Sel.Name)
				}
			}
			return true
		})
	})
}
