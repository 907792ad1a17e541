package wstest

import (
	"fmt"
	"time"
)

// Plan says what happens to a connection. The zero Plan is a connection without
// faults. A Plan is only read and may be used for any number of connections.
type Plan struct {
	ToServer Faults // what happens to the bytes that the client writes
	ToClient Faults // what happens to the bytes that the server writes

	// Seed is where the choices that Jitter and RandomSizes make come from: the
	// same Seed makes the same choices for the same bytes.
	Seed uint64
}

// Faults are what happens to the bytes that go one way. Whatever it is, they
// arrive in order and unchanged, as those of TCP do.
type Faults struct {
	// Latency is how long after it was written a byte arrives.
	Latency time.Duration

	// Jitter adds to the latency of each write a time below it, by the Plan's
	// Seed. Connections of different seeds then overtake each other.
	Jitter time.Duration

	// Split cuts what is written into the pieces in which it arrives: a Read
	// returns no more than one. Without it a Read returns what is there.
	Split Split

	// Buffer is how many bytes can be under way, written and not yet read; a
	// writer waits for room. Zero means 64 KiB. A Relay also asks the system to
	// keep the buffers of its sockets about as small.
	Buffer int

	// Cut is what happens behind a number of bytes.
	Cut Cut
}

const defaultBuffer = 64 << 10

// buffer returns how many bytes can be under way.
func (f *Faults) buffer() int {
	if f.Buffer > 0 {
		return f.Buffer
	}
	return defaultBuffer
}

// Cut is what happens to a flow of bytes at one place in it. The zero Cut is
// nothing.
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

// ResetAt lets n bytes arrive and then resets the connection, in both
// directions. The peer that writes is told by the write that goes beyond them,
// which is then a short one.
func ResetAt(n int64) Cut { return Cut{resetCut, n} }

// EndAt lets n bytes arrive and then the end, as if the writer had closed its
// side. What it writes beyond them is lost without a word; the other direction
// goes on.
func EndAt(n int64) Cut { return Cut{endCut, n} }

// StallAt lets n bytes arrive and then nothing, until Flow.Release. The writer
// can go on until the buffer is full.
func StallAt(n int64) Cut { return Cut{stallCut, n} }

// String returns the cut as a test's name would have it: "reset at 10".
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
