// Package usage tells what this process has in use, and how long things took. It is for tests and for the soak.
package usage

import (
	"os"
	"runtime"
	"runtime/metrics"
)

// Heap returns how many bytes of the heap are in use. It collects garbage first; what others allocate meanwhile counts as in
// use.
func Heap() int64 {
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return int64(live[0].Value.Uint64())
}

// Files returns how many descriptors are open, 0 if the system does not show them.
func Files() int {
	files, _ := os.ReadDir("/proc/self/fd")
	return len(files)
}
