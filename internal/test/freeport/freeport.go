// Package freeport builds programs that listen on a fixed port, such as those
// of the documentation, so that they listen on a free port.
package freeport

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
)

// freePort is added to each program.
const freePort = `package main

import (
	"fmt"
	"net"
)

func freePort() net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(ln.Addr())
	return ln
}
`

// Build compiles the program in the directory dir with the one string from of
// its main.go replaced by to, and returns the executable. The program has a
// function freePort, which returns a net.Listener and writes its address as a
// line to standard output.
func Build(t testing.TB, dir, from, to string) (program string) {
	t.Helper()
	dir, err := filepath.Abs(dir)
	check.Must(t, err)
	source, err := os.ReadFile(filepath.Join(dir, "main.go"))
	check.Must(t, err)
	if strings.Count(string(source), from) != 1 {
		t.Fatalf("main.go of %s does not have %s once", dir, from)
	}
	temp := t.TempDir()
	overlay := make(map[string]string)
	for name, text := range map[string]string{"main.go": strings.Replace(string(source), from, to, 1), "freeport.go": freePort} {
		overlay[filepath.Join(dir, name)] = filepath.Join(temp, name)
		check.Must(t, os.WriteFile(filepath.Join(temp, name), []byte(text), 0o600))
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	check.Must(t, err)
	check.Must(t, os.WriteFile(filepath.Join(temp, "overlay.json"), list, 0o600))
	program = filepath.Join(temp, "program.exe") // for Windows
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(temp, "overlay.json"), "-o", program, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return program
}
