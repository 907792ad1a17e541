package serve

import "runtime"

// Compute keeps the processor busy for a number of steps. Each needs the result
// of the one before, so that the time is that of their latency, about 2 ns. The
// handler of a server with Options.Work calls it before it echoes.
func Compute(steps int) {
	x := uint64(1)
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	runtime.KeepAlive(x)
}
