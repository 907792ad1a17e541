package servers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

// binaries is where TestMain has built the server and client commands.
var binaries struct{ servers, clients string }

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "servers")
	if err == nil {
		binaries.servers, binaries.clients = filepath.Join(dir, "servers")+"/", filepath.Join(dir, "clients")+"/"
		err = build()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

func build() error {
	err := errors.Join(
		run("go", "build", "-o", binaries.servers, "./..."),
		run("go", "build", "-o", binaries.clients, "../clients/..."),
	)
	if cc, ok := compiler(); ok {
		err = errors.Join(err, run(cc, "-O2", "-Wall", "-Wextra", "-Werror", "-o", binaries.servers+"minimal-c", "minimal-c/minimal.c"))
	}
	return errors.Join(err, linkNPM())
}

// linkNPM makes the server of the npm package ws one of the binaries.
func linkNPM() error {
	_, err1 := exec.LookPath("node")
	_, err2 := os.Stat("../../interop/peers/node_modules/ws")
	if err1 != nil || err2 != nil {
		return fmt.Errorf("npm-ws needs Node and the package ws (make peers): %w", errors.Join(err1, err2))
	}
	script, err := filepath.Abs("npm-ws/server.js")
	if err != nil {
		return err
	}
	return os.Symlink(script, binaries.servers+"npm-ws")
}

// compiler returns the C compiler, if there is one for a system with epoll.
func compiler() (cc string, ok bool) {
	cc, err := exec.LookPath("cc")
	return cc, err == nil && runtime.GOOS == "linux"
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// process is a server that runs.
type process struct {
	serve.Hello
	t        *testing.T
	pid      int
	commands io.WriteCloser
	answers  *bufio.Reader
	exited   chan error
}

// start runs a server and reads its first line. It ends with the test.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, exited: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	cmd := exec.CommandContext(ctx, binaries.servers+name, args...)
	cmd.Stderr = os.Stderr
	commands, err1 := cmd.StdinPipe()
	answers, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	p.pid, p.commands, p.answers = cmd.Process.Pid, commands, bufio.NewReader(answers)
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	p.read(&p.Hello)
	return p
}

// read decodes the next line of the server.
func (p *process) read(v any) {
	p.t.Helper()
	line, err := p.answers.ReadBytes('\n')
	if err != nil {
		p.t.Fatalf("reading the server's output: %v", err)
	}
	if err := json.Unmarshal(line, v); err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
}

// command sends a control line and decodes the answer.
func (p *process) command(line string, v any) {
	p.t.Helper()
	if _, err := io.WriteString(p.commands, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
	p.read(v)
}

// dial opens a connection to the server.
func (p *process) dial() *rawClient {
	p.t.Helper()
	return dial(p.t, p.Listening, nil)
}

// refuses runs a server that must report that it does not support the flags.
func refuses(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(binaries.servers+name, args...).CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != serve.UnsupportedStatus || !strings.Contains(string(out), args[0]) {
		t.Errorf("%v: %v, output %q; want exit status %d and the flag's name", args, err, out, serve.UnsupportedStatus)
	}
}
