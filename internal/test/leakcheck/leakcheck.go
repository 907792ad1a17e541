// Package leakcheck fails a package's tests when they leave goroutines behind.
//
//	func TestMain(m *testing.M) { leakcheck.Main(m) }
package leakcheck

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience bounds how long goroutines that are on their way out may take: a connection being closed needs its peer,
// and both need the scheduler.
const patience = 5 * time.Second

// Main runs the package's tests and exits: with the tests' own status when they failed, with 1 when they passed but goroutines started
// meanwhile are still there after patience, whose stacks it prints to standard error. It does not return.
func Main(m *testing.M) {
	os.Exit(run(m.Run, os.Stderr, patience))
}

// run is Main without the process around it.
func run(tests func() int, out io.Writer, patience time.Duration) int {
	before := goroutines()
	if status := tests(); status != 0 {
		return status // a failed test may well leave goroutines; its own message matters more
	}
	left := waitForEnd(before, patience)
	if len(left) == 0 {
		return 0
	}
	fmt.Fprintf(out, "leakcheck: goroutines left after the tests: %d\n", len(left))
	for _, stack := range left {
		fmt.Fprintf(out, "\n%s\n", stack)
	}
	return 1
}

// Snapshot notes which goroutines exist. left waits at most patience until no others exist, and returns the stacks of those that do.
func Snapshot() (left func(patience time.Duration) []string) {
	before := goroutines()
	return func(patience time.Duration) []string { return waitForEnd(before, patience) }
}

// Stacks returns the stacks of all goroutines.
func Stacks() string { return dump() }

// waitForEnd returns the stacks of the goroutines that are not among before and are still there after patience.
func waitForEnd(before map[string]string, patience time.Duration) []string {
	deadline := time.Now().Add(patience)
	const longest = 50 * time.Millisecond
	for pause := time.Microsecond; ; pause = min(2*pause, longest) {
		left := since(before)
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		// A collection runs the finalizers and cleanups that stop what only unreachable values kept alive.
		runtime.GC()
		runtime.Gosched()
		time.Sleep(pause)
	}
}

// since returns the stacks of the goroutines that are neither among before nor the runtime's own.
func since(before map[string]string) []string {
	var left []string
	for id, stack := range goroutines() {
		if _, old := before[id]; !old && !belongsToRuntime(stack) {
			left = append(left, stack)
		}
	}
	return left
}

// belongsToRuntime reports whether stack is of a goroutine that the standard library starts with the first signal.Notify and keeps for the
// life of the process.
func belongsToRuntime(stack string) bool {
	return strings.Contains(stack, "\nos/signal.loop") || strings.Contains(stack, "runtime.ensureSigM")
}

// goroutines returns the stack of every goroutine by "goroutine N".
func goroutines() map[string]string {
	stacks := map[string]string{}
	for stack := range strings.SplitSeq(dump(), "\n\n") {
		id, _, _ := strings.Cut(stack, " [")
		stacks[id] = strings.TrimSpace(stack)
	}
	return stacks
}

// dump returns runtime.Stack of all goroutines, whole.
func dump() string {
	for size := 64 << 10; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return string(buf[:n])
		}
	}
}
