// Package archtest holds the module to its import picture: imports only point down, and what constrained builds must not pay for stays out.
package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fibersock/fibersock"

// A rule says what a package may depend on, directly or through others. Names without a dot in their first element are the standard
// library's; "./x" is ours.
type rule struct {
	pkg  string
	not  []string // none of these
	ours []string // of our packages these at most
	must []string // each of these
	why  string
}

// The picture, from the bottom up.
var rules = []rule{
	{pkg: "./wire", not: []string{"os", "fmt", "net", "net/http", "crypto/tls"},
		why: "frames are bytes in, bytes out, for every target"},
	{pkg: "./handshake", not: []string{"net", "net/http", "crypto/tls"},
		why: "the opening handshake is bytes too, and knows no frame"},
	{pkg: "./endpoint", ours: []string{"./wire", "./wire/deflate", "./internal/lockorder"}, not: []string{"net/http", "crypto/tls"},
		why: "the engine has no socket, and serves both roles"},
	{pkg: "./internal/netloop", ours: []string{"./internal/lockorder"}, not: []string{"net/http", "crypto/tls"},
		why: "a socket carries bytes and knows nothing of WebSocket"},
	{pkg: "./client", ours: shell, not: []string{"net/http"},
		why: "it brings sockets and engine together, and net/http costs 1.3 MB of binary"},
	{pkg: "./client/sockets", ours: append([]string{"./client"}, shell...), not: []string{"net/http"},
		why: "names and histories are made of what the client offers to everybody"},
	{pkg: "./server", ours: shell, not: []string{"net/http"},
		why: "it brings sockets and engine together, and net/http costs 1.3 MB of binary"},
	{pkg: "./server/httpupgrade", ours: append([]string{"./server"}, shell...), must: []string{"net/http", "./server"},
		why: "it is all that lies between net/http and the server"},
	{pkg: "./wstest", ours: []string{"./wire", "./handshake", "./fuzz/corpus", "./internal/scriptline"}, not: []string{"net/http", "crypto/tls", "testing"},
		why: "who stands in for a peer shares nothing with the client and the server but the formats"},
	{pkg: "./internal/hostile", ours: []string{"./wire", "./handshake"}, not: []string{"net/http", "crypto/tls", "testing"},
		why: "who attacks shares nothing with the attacked but the formats"},
	{pkg: "./fuzz", ours: append([]string{"./client", "./client/sockets"}, shell...), not: []string{"testing", "net/http"},
		why: "whoever fuzzes with it brings a runner of their own"},
	{pkg: "./internal/conform",
		why: "who judges shares no code with who is judged"},
}

// shell is what a package that moves bytes for the engine is made of.
var shell = []string{"./wire", "./wire/deflate", "./handshake", "./endpoint", "./internal/netloop", "./internal/lockorder"}

// What a build with the tag notls saves.
var notlsRules = []rule{
	{pkg: "./client", ours: anything, not: []string{"net/http", "crypto/tls"}, why: "crypto/tls costs 2.4 MB of binary"},
	{pkg: "./server", ours: anything, not: []string{"net/http", "crypto/tls"}, why: "crypto/tls costs 2.4 MB of binary"},
	{pkg: "./examples/minimal", ours: anything, not: []string{"net/http", "crypto/tls"}, why: "the size limit of CI is measured on it"},
}

// anything, as rule.ours, leaves our packages to the other tables.
var anything = []string{"*"}

// mayImportSyscall are the only files of the libraries that may.
var mayImportSyscall = []string{"internal/netloop/epoll_linux.go", "internal/netloop/listener_linux.go", "internal/netloop/sockaddr_linux.go",
	"internal/netloop/socket_linux.go", "internal/netloop/write_linux.go", "internal/netloop/close_linux.go",
	"internal/netloop/syscall_linux.go", "internal/netloop/syscall_recv_linux.go", "internal/netloop/syscall_read_linux.go", "internal/netloop/unacked_linux.go",
	"internal/netloop/ready_unix.go",
	"internal/netloop/reset_other.go", "internal/netloop/reset_windows.go"} // an error code

// mayRequire are the only modules that go.mod may name: none but what the tests compare with.
var mayRequire = []string{"github.com/google/go-cmp"}

func TestImportsPointDown(t *testing.T) {
	report(t, violations(rules, dependencies(t)))
}

func TestBuildWithoutTLSLeavesItOut(t *testing.T) {
	report(t, violations(notlsRules, dependencies(t, "-tags=notls")))
}

func TestOnlyLoopsImportSyscall(t *testing.T) {
	root := moduleRoot(t)
	imports := map[string][]string{}
	for _, file := range libraryFiles(t, root) {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			imports[file] = append(imports[file], name)
		}
	}
	report(t, syscallImporters(imports))
}

func TestModuleRequiresNothing(t *testing.T) {
	var mod struct{ Require []struct{ Path string } }
	if err := json.Unmarshal(goTool(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	for _, require := range mod.Require {
		if !slices.Contains(mayRequire, require.Path) {
			t.Errorf("go.mod requires %s; only the tests may need a module, and only %v", require.Path, mayRequire)
		}
	}
}

func TestCheckerSeesViolations(t *testing.T) {
	const us = module + "/"
	table := []rule{{pkg: "./low", not: []string{"net"}, must: []string{"errors"}, why: "it is low"}}
	for _, c := range []struct {
		name string
		deps map[string][]string
		want string // in the one violation; "": none
	}{
		{"as it should be", map[string][]string{us + "low": {"errors", "unsafe"}}, ""},
		{"a package that only looks alike", map[string][]string{us + "low": {"errors", "net/netip"}}, ""},
		{"a denied package", map[string][]string{us + "low": {"errors", "net"}}, "./low depends on net"},
		{"a package of ours from above", map[string][]string{us + "low": {"errors", us + "high"}}, "./low depends on ./high"},
		{"another module", map[string][]string{us + "low": {"errors", "example.org/x"}}, "./low depends on example.org/x"},
		{"a required package is missing", map[string][]string{us + "low": {"unsafe"}}, "./low does not depend on errors"},
		{"the package is missing", map[string][]string{us + "high": nil}, "./low is not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := violations(table, c.deps)
			if c.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], c.want) || c.want == "" {
				t.Errorf("violations %q, want one with %q", got, c.want)
			}
		})
	}
}

func TestCheckerSeesSyscall(t *testing.T) {
	got := syscallImporters(map[string][]string{
		"server/conn.go":                  {"errors", "syscall"},
		"client/dial.go":                  {"net"},
		"internal/netloop/epoll_linux.go": {"syscall"},
	})
	if len(got) != 1 || !strings.Contains(got[0], "server/conn.go") {
		t.Errorf("violations %q, want one for server/conn.go", got)
	}
}

// violations returns a line for everything in deps, a package's import path to all it depends on, that breaks a rule.
func violations(table []rule, deps map[string][]string) []string {
	var bad []string
	for _, r := range table {
		needs, there := deps[long(r.pkg)]
		if !there {
			bad = append(bad, fmt.Sprintf("%s is not there", r.pkg))
			continue
		}
		for _, dep := range needs {
			if name := short(dep); !r.allows(name) {
				bad = append(bad, fmt.Sprintf("%s depends on %s; it should not: %s", r.pkg, name, r.why))
			}
		}
		for _, name := range r.must {
			if !slices.Contains(needs, long(name)) {
				bad = append(bad, fmt.Sprintf("%s does not depend on %s; it should: %s", r.pkg, name, r.why))
			}
		}
	}
	return bad
}

// allows reports whether r lets its package depend on name, in the short form.
func (r rule) allows(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	switch {
	case first == ".":
		return slices.Equal(r.ours, anything) || slices.Contains(r.ours, name)
	case strings.Contains(first, "."): // another module
		return false
	default:
		return !slices.Contains(r.not, name)
	}
}

// syscallImporters returns a line for each file that imports syscall and may not.
func syscallImporters(imports map[string][]string) []string {
	var bad []string
	for _, file := range slices.Sorted(maps.Keys(imports)) {
		if slices.Contains(imports[file], "syscall") && !slices.Contains(mayImportSyscall, file) {
			bad = append(bad, fmt.Sprintf("%s imports syscall; only %v may", file, mayImportSyscall))
		}
	}
	return bad
}

func long(name string) string {
	if rest, ours := strings.CutPrefix(name, "./"); ours {
		return module + "/" + rest
	}
	return name
}

func short(name string) string {
	if rest, ours := strings.CutPrefix(name, module+"/"); ours {
		return "./" + rest
	}
	return name
}

// dependencies returns what each package of the module depends on, tests left out.
func dependencies(t *testing.T, flags ...string) map[string][]string {
	t.Helper()
	args := append([]string{"list", "-deps", "-json=ImportPath,Deps"}, flags...)
	list := json.NewDecoder(strings.NewReader(string(goTool(t, append(args, module+"/...")...))))
	deps := map[string][]string{}
	for {
		var pkg struct {
			ImportPath string
			Deps       []string
		}
		if err := list.Decode(&pkg); errors.Is(err, io.EOF) {
			return deps
		} else if err != nil {
			t.Fatal(err)
		}
		deps[pkg.ImportPath] = pkg.Deps
	}
}

// libraryFiles returns the Go files, for every system and tag, of the packages that others import: not tests, commands or nested modules.
// The paths are relative to root, with slashes.
func libraryFiles(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && notLibrary(root, name):
			return fs.SkipDir
		case path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go"):
			files = append(files, name)
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s: %v", len(files), root, err)
	}
	return files
}

// notLibrary reports whether dir holds commands, helpers of tests, another module, or
// nothing of Go's.
func notLibrary(root, dir string) bool {
	_, err := os.Stat(filepath.Join(root, dir, "go.mod"))
	base := path.Base(dir)
	return err == nil || dir == "cmd" || dir == "examples" || dir == "internal/test" || base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".")
}

// moduleRoot returns the folder of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(string(goTool(t, "list", "-m", "-f={{.Dir}}")))
}

// goTool runs the go command and returns what it prints to standard output.
func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, problem.String())
	}
	return out
}

func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}
