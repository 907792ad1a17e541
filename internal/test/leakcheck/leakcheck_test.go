package leakcheck

import (
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// leak starts a goroutine that ends when release is closed, and returns once it
// runs.
func leak(release, ended chan struct{}) {
	running := make(chan struct{})
	go func() {
		defer close(ended)
		close(running)
		<-release
	}()
	<-running
}

func TestGoroutineLeftBehindFailsTheRun(t *testing.T) {
	release, ended := make(chan struct{}), make(chan struct{})
	var out strings.Builder
	status := run(func() int { leak(release, ended); return 0 }, &out, time.Millisecond)
	close(release)
	<-ended

	if status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if got := out.String(); !strings.Contains(got, "left after the tests: 1\n") || !strings.Contains(got, "leakcheck.leak.func1") {
		t.Errorf("the report names no leaked goroutine:\n%s", got)
	}
}

func TestGoroutineThatEndsInTimeIsNoLeak(t *testing.T) {
	var out strings.Builder
	status := run(func() int {
		release, ended := make(chan struct{}), make(chan struct{})
		leak(release, ended)
		close(release) // on its way out when the tests are over
		return 0
	}, &out, patience)
	if status != 0 || out.Len() != 0 {
		t.Errorf("status %d, report %q, want 0 and none", status, out.String())
	}
}

func TestFailedTestsKeepTheirStatus(t *testing.T) {
	release, ended := make(chan struct{}), make(chan struct{})
	var out strings.Builder
	status := run(func() int { leak(release, ended); return 2 }, &out, time.Millisecond)
	close(release)
	<-ended
	if status != 2 || out.Len() != 0 {
		t.Errorf("status %d, report %q, want 2 and none", status, out.String())
	}
}

func TestGoroutinesFromBeforeAreNoLeak(t *testing.T) {
	release, ended := make(chan struct{}), make(chan struct{})
	leak(release, ended)
	var out strings.Builder
	status := run(func() int { return 0 }, &out, time.Millisecond)
	close(release)
	<-ended
	if status != 0 {
		t.Errorf("status %d, want 0; report:\n%s", status, out.String())
	}
}

func TestSignalLoopIsTheRuntimesOwn(t *testing.T) {
	var out strings.Builder
	status := run(func() int {
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt)
		signal.Stop(c)
		return 0
	}, &out, time.Millisecond)
	if status != 0 {
		t.Errorf("status %d, want 0; report:\n%s", status, out.String())
	}
}
