package server_test

import (
	"runtime"
	"runtime/metrics"
)

// heap returns how many bytes of it are in use.
func heap() int64 {
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return int64(live[0].Value.Uint64())
}
