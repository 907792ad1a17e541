package runner

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

// Time limits of a server.
const (
	startTimeout  = 20 * time.Second // until it listens
	answerTimeout = 30 * time.Second // until it has answered a control line
	endTimeout    = 3 * time.Second  // until it has ended, after the end of its input
)

// An absentError is the reason why a peer takes no part in a scenario, which is
// not a fault.
type absentError struct{ reason string }

func (e *absentError) Error() string { return e.reason }

// An undefinedFlagError is the end of a command that does not define a flag. Of
// a server of an earlier commit that is the lack of a feature.
type undefinedFlagError struct{ flag string }

func (e *undefinedFlagError) Error() string { return "its command does not define the flag " + e.flag }

// A process is a server command that runs.
type process struct {
	hello serve.Hello
	cmd   *exec.Cmd
	input io.WriteCloser
	lines chan string // of its standard output; closed when that ends
	words *tail       // of its standard error
	ended chan struct{}
	err   error // of Wait; set when ended is closed
}

// start starts a server command on the given processors and waits until it
// listens. It is killed when ctx ends.
func start(ctx context.Context, processors []int, path string, args ...string) (*process, error) {
	p := &process{
		cmd:   exec.Command(path, args...),
		lines: make(chan string, 4),
		words: new(tail),
		ended: make(chan struct{}),
	}
	// Ctrl-C is for the benchmark, which ends its servers when it has kept the
	// results.
	ownGroup(p.cmd)
	p.cmd.Stderr = p.words
	output, input, err := pipes(p.cmd)
	if err != nil {
		return nil, err
	}
	p.input = input
	if err := startOn(processors, p.cmd.Start); err != nil {
		return nil, err
	}
	go p.watch(output)
	stop := context.AfterFunc(ctx, func() { p.cmd.Process.Kill() })
	go func() { <-p.ended; stop() }()
	if err := p.greet(); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func pipes(cmd *exec.Cmd) (io.Reader, io.WriteCloser, error) {
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	input, err := cmd.StdinPipe()
	return output, input, err
}

// watch reads the process's output to the end and waits for it.
func (p *process) watch(output io.Reader) {
	scanner := bufio.NewScanner(output)
	for scanner.Scan() {
		select {
		case p.lines <- scanner.Text():
		default: // limit of the output
		}
	}
	p.err = p.cmd.Wait()
	close(p.ended)
	close(p.lines)
}

func (p *process) greet() error {
	line, err := p.line(startTimeout)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(line), &p.hello); err != nil {
		return fmt.Errorf("its first line is %.80q, not JSON that says where it listens: %w", line, err)
	}
	if p.hello.Listening == "" {
		return fmt.Errorf("its first line is %.200q, which does not say where it listens", line)
	}
	return nil
}

func (p *process) line(timeout time.Duration) (string, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case line, ok := <-p.lines:
		if !ok {
			return "", p.end()
		}
		return line, nil
	case <-timer.C:
		return "", fmt.Errorf("it said nothing for %v", timeout)
	}
}

// end returns the reason of the end of the process: an absentError if it lacks
// a requested feature.
func (p *process) end() error {
	<-p.ended
	words := withoutName(p.words.last())
	if p.cmd.ProcessState.ExitCode() == serve.UnsupportedStatus {
		return &absentError{words}
	}
	if name, ok := p.words.undefinedFlag(); ok {
		return &undefinedFlagError{name}
	}
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	if how == "signal: killed" { // by the kernel, if not by this process
		how += ", as when the memory of the machine is exhausted"
	}
	if words == "" {
		return fmt.Errorf("the process ended: %s", how)
	}
	return fmt.Errorf("the process ended: %s; its last words: %s", how, words)
}

// withoutName returns the last words of a command without its name, which
// begins them.
func withoutName(words string) string {
	name, rest, ok := strings.Cut(words, ": ")
	if !ok || name == "panic" || strings.Contains(name, " ") {
		return words
	}
	return rest
}

// ask sends a control line and decodes the answer into v.
func (p *process) ask(command string, v any) error {
	if _, err := io.WriteString(p.input, command+"\n"); err != nil {
		return fmt.Errorf("%s: %w", command, errors.Join(err, p.fault()))
	}
	line, err := p.line(answerTimeout)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if err := json.Unmarshal([]byte(line), v); err != nil {
		return fmt.Errorf("%s was answered with %.80q: %w", command, line, err)
	}
	return nil
}

// fault returns the reason of the end of the process, nil while it runs.
func (p *process) fault() error {
	select {
	case <-p.ended:
		return p.end()
	case <-time.After(50 * time.Millisecond): // peers of a dying process notice before it ends
		return nil
	}
}

// stop ends the process: by the end of its input, and if it does not mind that,
// by force.
func (p *process) stop() {
	p.input.Close()
	select {
	case <-p.ended:
	case <-time.After(endTimeout):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// tail keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

// last returns the first line of the tail, which of a panic is its message, as
// one line of bounded length.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, _, _ := bytes.Cut(bytes.TrimSpace(t.kept), []byte("\n"))
	return fmt.Sprintf("%.200s", first)
}

// undefinedFlag returns the flag that package flag has reported as not defined.
func (t *tail) undefinedFlag() (name string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, after, ok := bytes.Cut(t.kept, []byte("flag provided but not defined: "))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	return string(line), ok
}
