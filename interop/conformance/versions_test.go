package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/interop/peer"
)

// runtimesFile has the versions, at the time of the verdicts, of programs that
// no file of this repository selects.
const runtimesFile = "runtimes.json"

type runtimes struct {
	Go         string `json:"go"`
	Node       string `json:"node"`
	Python     string `json:"python"`
	Websockets string `json:"websockets"` // the Python package, from Debian
}

func committedRuntimes(t *testing.T) runtimes {
	t.Helper()
	text, err := os.ReadFile(runtimesFile)
	check.Must(t, err)
	var r runtimes
	check.Mustf(t, json.Unmarshal(text, &r), "%s", runtimesFile)
	return r
}

// writeRuntimes writes the versions of this machine.
func writeRuntimes(t *testing.T) {
	t.Helper()
	node, err := peer.Node()
	check.Must(t, err)
	python, err := peer.Python()
	check.Must(t, err)
	r := runtimes{
		Go:         strings.TrimPrefix(runtime.Version(), "go"),
		Node:       said(t, node, "-p", "process.versions.node"),
		Python:     said(t, python, "-c", "import platform; print(platform.python_version())"),
		Websockets: said(t, python, "-c", "import websockets; print(websockets.__version__)"),
	}
	text, err := json.MarshalIndent(r, "", "\t")
	check.Must(t, err)
	check.Must(t, os.WriteFile(runtimesFile, append(text, '\n'), 0o644))
}

func said(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	check.Must(t, err)
	return strings.TrimSpace(string(out))
}

// version returns the version of p: that of go.mod or package-lock.json, and
// for Python that of runtimesFile.
func version(t *testing.T, p peer.Peer) string {
	t.Helper()
	r := committedRuntimes(t)
	switch p.Name {
	case "fibersock":
		return "this commit"
	case "ws":
		return fmt.Sprintf("%s, on Node %s", lockedVersion(t, p.Package), r.Node)
	case "websockets":
		return fmt.Sprintf("%s, on Python %s", r.Websockets, r.Python)
	}
	return requiredVersion(t, p.Package)
}

// requiredVersion returns the version of a module in go.mod.
func requiredVersion(t *testing.T, module string) string {
	t.Helper()
	text, err := os.ReadFile("../go.mod")
	check.Must(t, err)
	found := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(module) + ` (v\S+)`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("go.mod does not require %s", module)
	}
	return string(found[1])
}

// lockedVersion returns the version of a package in package-lock.json.
func lockedVersion(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../peers/package-lock.json")
	check.Must(t, err)
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	check.Must(t, json.Unmarshal(text, &lock))
	v := lock.Packages["node_modules/"+name].Version
	if v == "" {
		t.Fatalf("package-lock.json does not have %s", name)
	}
	return v
}
