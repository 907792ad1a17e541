package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

var nodeWS = Peer{
	Name:    "ws",
	Title:   "npm ws",
	Package: "ws",
	Serve:   nodeScript.serve,
	Drive:   nodeScript.drive,
}

var pythonWebsockets = Peer{
	Name:    "websockets",
	Title:   "Python websockets",
	Package: "python3-websockets",
	Serve:   pythonScript.serve,
	Drive:   pythonScript.drive,
}

// A script is a peer in another language: a program that either serves, and
// writes its URL as a line, or drives. It ends at the end of its standard
// input.
//
//	PROGRAM serve HOST PORT MAX-MESSAGE
//	PROGRAM drive URL AGENT PARALLEL MAX-MESSAGE
type script struct {
	interpreter func() (string, error)
	file        string // below the folder peers
}

var (
	nodeScript   = script{Node, "ws_echo.js"}
	pythonScript = script{Python, "python_websockets_echo.py"}
)

// Node returns the program that runs JavaScript, once it has the package ws.
func Node() (string, error) {
	if _, err := os.Stat(filepath.Join(scripts(), "node_modules", "ws")); err != nil {
		return "", fmt.Errorf("the npm package ws is not installed: make peers")
	}
	for _, name := range []string{"node", "nodejs"} {
		if program, err := exec.LookPath(name); err == nil {
			return program, nil
		}
	}
	return "", fmt.Errorf("node is not installed: apt-get install nodejs")
}

// Python returns the interpreter that has websockets: Debian's, which need not
// be the first in PATH.
func Python() (string, error) {
	for _, program := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(program, "-c", "import websockets").Run() == nil {
			return program, nil
		}
	}
	return "", fmt.Errorf("python's websockets is not installed: apt-get install python3-websockets")
}

// scripts is the folder with the programs in other languages.
func scripts() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(filepath.Dir(file)), "peers")
}

func (s script) serve(ctx context.Context, addr string, ready func(url string)) error {
	host, port, found := strings.Cut(addr, ":")
	if !found {
		return fmt.Errorf("the address %q has no port", addr)
	}
	return s.run(ctx, ready, "serve", host, port, strconv.Itoa(MaxMessage))
}

func (s script) drive(ctx context.Context, url, agent string, parallel int) error {
	return s.run(ctx, func(string) {}, "drive", strings.TrimSuffix(url, "/"), agent, strconv.Itoa(max(parallel, 1)), strconv.Itoa(MaxMessage))
}

// run runs the program until it ends or ctx ends, and calls told with each line
// of its output.
func (s script) run(ctx context.Context, told func(line string), args ...string) error {
	program, err := s.interpreter()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, append([]string{filepath.Join(scripts(), s.file)}, args...)...)
	cmd.WaitDelay = 10 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	over := context.AfterFunc(ctx, func() { in.Close() })
	defer over()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		told(lines.Text())
	}
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", s.file, err, said.String())
	}
	return nil
}
