package repotest

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

// A rule restricts the direct and indirect dependencies of a package. "./x" is
// a package of this module; a name without a dot in its first element belongs
// to the standard library.
type rule struct {
	pkg  string
	not  []string // forbidden packages of the standard library
	ours []string // allowed packages of this module
	must []string // required packages
	why  string
}

// picture lists the rules from the bottom up.
var picture = []rule{
	{pkg: "./wire", not: []string{"os", "fmt", "net", "net/http", "crypto/tls"},
		why: "it encodes and decodes bytes on every target"},
	{pkg: "./wire/deflate", ours: []string{"./wire"}, not: []string{"os", "fmt", "net", "net/http", "crypto/tls", "compress/flate"},
		why: "it compresses bytes on every target"},
	{pkg: "./wire/deflate", not: []string{"os", "fmt", "net", "net/http", "crypto/tls"},
		why: "it encodes and decodes bytes on every target"},
	{pkg: "./handshake", ours: []string{"./internal/entropy", "./internal/texts"}, not: []string{"net", "net/http", "crypto/tls"},
		why: "the opening handshake is bytes, and knows no frame"},
	{pkg: "./endpoint", ours: []string{"./wire", "./internal/entropy", "./internal/texts", "./internal/lockorder"}, not: []string{"net/http", "crypto/tls"},
		why: "the engine has no socket"},
	{pkg: "./permessage", ours: []string{"./wire", "./wire/deflate", "./handshake", "./endpoint", "./internal/entropy", "./internal/texts", "./internal/lockorder"}, not: []string{"net/http", "crypto/tls"},
		why: "client and server use it without knowing it"},
	{pkg: "./internal/netloop", ours: []string{"./internal/lockorder"}, not: []string{"net/http", "crypto/tls"},
		why: "it moves bytes and knows nothing of WebSocket"},
	{pkg: "./client", ours: transport, not: []string{"net/http"},
		why: "net/http costs 1.3 MB of binary"},
	{pkg: "./client/sockets", ours: slices.Concat([]string{"./client"}, transport), not: []string{"net/http"},
		why: "it is built on the exported client"},
	{pkg: "./client/cookies", ours: slices.Concat([]string{"./client"}, transport), must: []string{"net/http"},
		why: "it adapts net/http to the client"},
	{pkg: "./client/dialtrace", ours: slices.Concat([]string{"./client"}, transport), not: []string{"net/http"}, must: []string{"net/http/httptrace"},
		why: "httptrace needs crypto/tls, and not net/http"},
	{pkg: "./server", ours: transport, not: []string{"net/http"},
		why: "net/http costs 1.3 MB of binary"},
	{pkg: "./server/httpupgrade", ours: slices.Concat([]string{"./server"}, transport), must: []string{"net/http", "./server"},
		why: "it adapts net/http to the server"},
	{pkg: "./wstest", ours: []string{"./wire", "./handshake", "./internal/entropy", "./internal/texts", "./fuzz/corpus"}, not: []string{"net/http", "crypto/tls", "testing"},
		why: "a test peer shares only formats with the client and the server"},
	{pkg: "./internal/test/hostile", ours: []string{"./wire", "./handshake", "./internal/entropy", "./internal/texts"}, not: []string{"net/http", "crypto/tls", "testing"},
		why: "an attacker shares only formats with the endpoint under attack"},
	{pkg: "./fuzz", ours: slices.Concat([]string{"./client", "./client/sockets", "./permessage", "./wire/deflate"}, transport), not: []string{"testing", "net/http"},
		why: "a fuzzer brings its own runner"},
	{pkg: "./wstest/conform",
		why: "the judge shares no code with the implementation under test"},
}

// transport are the packages of the client and of the server.
var transport = []string{"./wire", "./handshake", "./endpoint", "./internal/entropy", "./internal/texts", "./internal/netloop", "./internal/lockorder"}

// notlsPicture lists the rules of a build with the tag notls.
var notlsPicture = []rule{
	{pkg: "./client", ours: anything, not: []string{"net/http", "crypto/tls"}, why: "crypto/tls costs 2.5 MB of binary"},
	{pkg: "./server", ours: anything, not: []string{"net/http", "crypto/tls"}, why: "crypto/tls costs 2.5 MB of binary"},
	{pkg: "./examples/minimal", ours: anything, not: []string{"net/http", "crypto/tls", "crypto/rand", "crypto/sha1"}, why: "CI limits its size"},
}

// anything, as rule.ours, allows all packages of this module.
var anything = []string{"*"}

// mayImportSyscall are the only files of the libraries that may import syscall.
var mayImportSyscall = []string{"internal/netloop/poller.go", "internal/netloop/listener.go", "internal/netloop/socket.go", "internal/netloop/owner.go",
	"internal/netloop/write.go", "internal/netloop/close.go", "internal/netloop/tls.go", "internal/netloop/syscall.go",
	"internal/netloop/epoll_linux.go", "internal/netloop/accept_linux.go", "internal/netloop/uring_linux.go", "internal/netloop/kqueue_bsd.go",
	"internal/netloop/syscall_linux.go", "internal/netloop/sockio_linux.go", "internal/netloop/sockio_unix.go", "internal/netloop/unacked_linux.go",
	"internal/netloop/ready_unix.go", "internal/netloop/direct_unix.go",
	"internal/netloop/reset_other.go", "internal/netloop/reset_windows.go"} // an error code

// mayRequire are the only modules that go.mod may require, for tests.
var mayRequire = []string{"github.com/google/go-cmp"}

func TestImportsPointDown(t *testing.T) {
	report(t, violations(picture, dependencies(t)))
}

func TestBuildWithoutTLSLeavesItOut(t *testing.T) {
	report(t, violations(notlsPicture, dependencies(t, "-tags=notls")))
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
	table := []rule{{pkg: "./low", ours: []string{"./base"}, not: []string{"net"}, must: []string{"errors"}, why: "it is low"}}
	for _, c := range []struct {
		name string
		deps map[string][]string
		want string // in the one violation; "": none
	}{
		{"no violation", map[string][]string{us + "low": {"errors", "unsafe"}}, ""},
		{"a package with a similar name", map[string][]string{us + "low": {"errors", "net/netip"}}, ""},
		{"a denied package", map[string][]string{us + "low": {"errors", "net"}}, "./low depends on net"},
		{"a package of this module that is not allowed", map[string][]string{us + "low": {"errors", us + "high"}}, "./low depends on ./high"},
		{"another module", map[string][]string{us + "low": {"errors", "example.org/x"}}, "./low depends on example.org/x"},
		{"a required package is missing", map[string][]string{us + "low": {"unsafe"}}, "./low does not depend on errors"},
		{"the package is missing", map[string][]string{us + "high": nil, us + "base": nil}, "./low does not exist"},
		{"an allowed package is missing", map[string][]string{us + "low": {"errors"}}, "./base, which ./low may import, does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name != "an allowed package is missing" {
				c.deps[us+"base"] = nil
			}
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

// violations returns a line for each violation. deps maps the import path of a
// package to its direct and indirect dependencies.
func violations(table []rule, deps map[string][]string) []string {
	var bad []string
	for _, r := range table {
		needs, there := deps[long(r.pkg)]
		if !there {
			bad = append(bad, fmt.Sprintf("%s does not exist", r.pkg))
			continue
		}
		for _, name := range r.ours {
			if _, there := deps[long(name)]; !there && name != anything[0] {
				bad = append(bad, fmt.Sprintf("%s, which %s may import, does not exist", name, r.pkg))
			}
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

// allows reports whether r allows a dependency on name, in the short form.
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

// syscallImporters returns a line for each file that must not import syscall
// and does.
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

// dependencies returns the direct and indirect dependencies of each package of
// the module, without those of tests.
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

// libraryFiles returns the Go files of the packages that others import, for
// every system and tag, without tests, commands and nested modules. The paths
// are relative to root, with slashes.
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

// notLibrary reports whether dir holds commands, test helpers, another module
// or no Go code.
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

// goTool runs the go command and returns its standard output.
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
