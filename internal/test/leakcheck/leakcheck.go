// Package leakcheck fails a package whose tests leave goroutines running.
//
//	func TestMain(m *testing.M) { leakcheck.Main(m) }
package leakcheck

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// patience is the time in which goroutines of the tests must end: closing a
// connection needs its peer, and both need the scheduler.
const patience = 30 * time.Second

// gcPercent is GOGC in tests: they allocate much and retain little. The default
// takes a quarter more processor time.
const gcPercent = 400

// Main runs the package's tests and exits: with the status of failed tests, or
// with 1 if goroutines that the tests started still run after patience. It
// prints their stacks to standard error.
func Main(m *testing.M) {
	debug.SetGCPercent(gcPercent)
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

// Snapshot records the running goroutines. left waits up to patience for all
// later ones to end, and returns the stacks of the others.
func Snapshot() (left func(patience time.Duration) []string) {
	before := goroutines()
	return func(patience time.Duration) []string { return waitForEnd(before, patience) }
}

// Stacks returns the stacks of all goroutines.
func Stacks() string { return dump() }

// waitForEnd returns the stacks of the goroutines that are not among before and
// are still there after patience.
func waitForEnd(before map[string]string, patience time.Duration) []string {
	deadline := time.Now().Add(patience)
	const longest = 100 * time.Millisecond
	for pause := time.Microsecond; ; pause = min(2*pause, longest) {
		left := since(before)
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		// A collection runs the finalizers and cleanups of unreachable values,
		// which may stop goroutines.
		runtime.GC()
		runtime.Gosched()
		time.Sleep(pause)
	}
}

// since returns the stacks of the goroutines that are neither among before nor
// the runtime's own.
func since(before map[string]string) []string {
	var left []string
	for id, stack := range goroutines() {
		if _, old := before[id]; !old && !belongsToRuntime(stack) {
			left = append(left, stack)
		}
	}
	return left
}

// belongsToRuntime reports whether stack is of a goroutine that the standard
// library starts with the first signal.Notify and keeps for the life of the
// process.
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
