package serve

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// Stats is the answer to "stats": the process since its start.
type Stats struct {
	Mallocs    uint64 `json:"mallocs"`
	AllocBytes uint64 `json:"alloc_bytes"`
	HeapBytes  uint64 `json:"heap_bytes"`
	Goroutines int    `json:"goroutines"`
}

// ReadStats returns the figures of this process.
func ReadStats() Stats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Stats{m.Mallocs, m.TotalAlloc, m.HeapAlloc, runtime.NumGoroutine()}
}

type answer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// control answers the lines of in, each with a line of JSON, until in ends.
func control(in io.Reader, out io.Writer) error {
	encoder := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := encoder.Encode(obey(lines.Text())); err != nil {
			return err
		}
	}
	return lines.Err()
}

func obey(command string) any {
	switch command {
	case "gc":
		// The second collection frees the memory that the first one unlinks:
		// finalizers and pools.
		runtime.GC()
		debug.FreeOSMemory()
		return answer{OK: true}
	case "stats":
		return ReadStats()
	default:
		return answer{Error: fmt.Sprintf("unknown command %.20q", command)}
	}
}
