package wstest

import (
	"fmt"
	"time"
)

// Plan has the faults of a connection. The zero Plan has none. Several
// connections may use a Plan, which they do not change.
type Plan struct {
	ToServer Faults // of the bytes that the client writes
	ToClient Faults // of the bytes that the server writes

	// Seed determines the choices of Jitter and RandomSizes. The same seed
	// makes the same choices for the same bytes.
	Seed uint64
}

// Faults are the faults of one direction. Bytes still arrive in order and
// unchanged, as with TCP.
type Faults struct {
	// Latency is the time between the write and the arrival of a byte.
	Latency time.Duration

	// Jitter is the limit of a random time that is added to the latency of each
	// write. Connections with different seeds then overtake each other.
	Jitter time.Duration

	// Split cuts writes into pieces. A Read returns at most one piece. By
	// default it returns all bytes that have arrived.
	Split Split

	// Buffer is the limit of bytes that are written and unread, 64 KiB by
	// default. A Write blocks while the buffer is full. A Relay also sets the
	// size of its sockets' buffers.
	Buffer int

	// Cut is a fault after a number of bytes.
	Cut Cut
}

const defaultBuffer = 64 << 10

// buffer returns the limit of Buffer.
func (f *Faults) buffer() int {
	if f.Buffer > 0 {
		return f.Buffer
	}
	return defaultBuffer
}

// Cut is a fault at one position in the bytes of a direction. The zero Cut is
// no fault.
type Cut struct {
	kind cutKind
	at   int64
}

type cutKind uint8

const (
	noCut cutKind = iota
	resetCut
	endCut
	stallCut
)

// ResetAt resets the connection in both directions after the first n bytes. The
// Write that exceeds them is short and returns ErrReset.
func ResetAt(n int64) Cut { return Cut{resetCut, n} }

// EndAt ends the direction after the first n bytes, as if the writer had closed
// it. Further writes succeed, and their bytes are lost. The other direction is
// not affected.
func EndAt(n int64) Cut { return Cut{endCut, n} }

// StallAt holds back all bytes after the first n, until Flow.Release. Writes
// succeed until the buffer is full.
func StallAt(n int64) Cut { return Cut{stallCut, n} }

// String returns the cut in the form "reset at 10".
func (c Cut) String() string {
	switch c.kind {
	case noCut:
		return "no cut"
	case resetCut:
		return fmt.Sprintf("reset at %d", c.at)
	case endCut:
		return fmt.Sprintf("end at %d", c.at)
	case stallCut:
		return fmt.Sprintf("stall at %d", c.at)
	}
	return fmt.Sprintf("unknown cut %d at %d", c.kind, c.at)
}
