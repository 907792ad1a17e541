//go:build race && !portable

package netloop

// raceDetector: the system calls are those of package syscall, from which the race detector knows that what happened before a
// write has happened before the read of it, in programs that are both client and server.
const raceDetector = true
