// Package freeport builds programs that listen on a fixed port, such as those
// of the documentation, so that they listen on a free port.
package freeport

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// freePort is added to each program.
const freePort = `package main

import (
	"fmt"
	"net"
	"os"
)

func freePort() net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr())
	return ln
}

func argument() string { return os.Args[1] }
`

// A Program is the program in the directory Dir with the one string From of its
// main.go replaced by To. To may call two functions: freePort returns a
// net.Listener and writes its address as a line to standard output, argument
// returns the first argument.
type Program struct{ Dir, From, To string }

// Build compiles programs of one module with one call of the go command, and
// returns their executables.
func Build(t testing.TB, programs ...Program) (executables []string) {
	t.Helper()
	temp := t.TempDir()
	overlay := make(map[string]string)
	replace := func(file, text string) {
		copied := filepath.Join(temp, fmt.Sprintf("%d.go", len(overlay)))
		overlay[file] = copied
		check.Must(t, os.WriteFile(copied, []byte(text), 0o600))
	}
	args := []string{"build", "-ldflags=-s -w", "-overlay", filepath.Join(temp, "overlay.json"), "-o", temp}
	for _, p := range programs {
		dir, err := filepath.Abs(p.Dir)
		check.Must(t, err)
		source, err := os.ReadFile(filepath.Join(dir, "main.go"))
		check.Must(t, err)
		if strings.Count(string(source), p.From) != 1 {
			t.Fatalf("main.go of %s does not have %s once", dir, p.From)
		}
		replace(filepath.Join(dir, "main.go"), strings.Replace(string(source), p.From, p.To, 1))
		replace(filepath.Join(dir, "freeport.go"), freePort)
		args = append(args, dir)
		executable := filepath.Join(temp, filepath.Base(dir))
		if runtime.GOOS == "windows" {
			executable += ".exe"
		}
		executables = append(executables, executable)
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	check.Must(t, err)
	check.Must(t, os.WriteFile(filepath.Join(temp, "overlay.json"), list, 0o600))
	cmd := exec.Command("go", args...)
	cmd.Dir = programs[0].Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return executables
}
