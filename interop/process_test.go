package interop

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
)

// find returns the path of the first of the programs that is installed.
func find(t *testing.T, pkg string, programs ...string) string {
	t.Helper()
	for _, program := range programs {
		// Debian keeps servers out of the users' PATH.
		for _, dir := range []string{"", "/usr/sbin/"} {
			if file, err := exec.LookPath(dir + program); err == nil {
				return file
			}
		}
	}
	t.Fatalf("%s is not installed: apt-get install %s", programs[0], pkg)
	return ""
}

// A process of another implementation, ended with its children when the test that started it is over. The test shows its standard error if
// it failed.
type process struct {
	*exec.Cmd
	errors *lineWatch
}

// start runs cmd and watches its standard error for lines.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd, newLineWatch()}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,            // its children will be in this group too
		Pdeathsig: syscall.SIGTERM, // when the tests are cut short, as by go test -timeout
	}
	stderr, err := cmd.StderrPipe()
	check.Must(t, err)
	check.Must(t, cmd.Start())
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		p.errors.readFrom(stderr)
	}()
	t.Cleanup(func() {
		// Asked to end, a program also waits for its children. All of them hold standard error open.
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-drained:
		case <-time.After(patience):
			t.Errorf("%s does not end when it is told to", cmd.Path)
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-drained
		}
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, p.errors)
		}
	})
	return p
}

// A lineWatch keeps the lines that a process writes and lets a test wait for one.
type lineWatch struct {
	mu    sync.Mutex // guards the rest
	lines []string
	ended bool
	news  chan struct{} // closed and replaced at every line and at the end
}

func newLineWatch() *lineWatch {
	return &lineWatch{news: make(chan struct{})}
}

func (w *lineWatch) readFrom(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		w.add(lines.Text(), false)
	}
	io.Copy(io.Discard, r) // after a line that is too long
	w.add("", true)
}

func (w *lineWatch) add(line string, end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if end {
		w.ended = true
	} else {
		w.lines = append(w.lines, line)
	}
	close(w.news)
	w.news = make(chan struct{})
}

// await returns the text after mark in the first line that has it.
func (w *lineWatch) await(t *testing.T, mark string) string {
	t.Helper()
	ctx := patient(t)
	for seen := 0; ; {
		w.mu.Lock()
		fresh, ended, news := w.lines[seen:], w.ended, w.news
		seen = len(w.lines)
		w.mu.Unlock()
		for _, line := range fresh {
			if _, rest, found := strings.Cut(line, mark); found {
				return rest
			}
		}
		if ended {
			t.Fatalf("ended before it said %q:\n%s", mark, w)
		}
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatalf("did not say %q:\n%s", mark, w)
		}
	}
}

func (w *lineWatch) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}
