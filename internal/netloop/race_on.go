//go:build race && unix

package netloop

// raceDetector selects the system calls of package syscall. From those the race
// detector knows that a write happens before the read of its bytes, in programs
// that are both client and server.
const raceDetector = true
