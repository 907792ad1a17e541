package server

import "sync"

// backlog is a queue of bytes: output that the client has not read, or input
// that the program has not received. A nil one is empty.
type backlog struct {
	bytes []byte
	gone  int // how many of them have been taken
}

// backlogs lends backlogs, so that a client that is a little slow costs no allocation. A very large one is not kept.
var backlogs = sync.Pool{New: func() any { return &backlog{bytes: make([]byte, 0, 16<<10)} }}

// largestKept is the size, in bytes, of the largest backlog that is kept for others.
const largestKept = 4 << 20

// size returns how many bytes wait.
func (b *backlog) size() int {
	if b == nil {
		return 0
	}
	return len(b.bytes) - b.gone
}

// add returns b, or a new backlog, with p at its end.
func (b *backlog) add(p []byte) *backlog {
	if b == nil {
		b = backlogs.Get().(*backlog)
	}
	if b.gone > 0 && len(b.bytes)+len(p) > cap(b.bytes) {
		b.bytes = append(b.bytes[:0], b.bytes[b.gone:]...)
		b.gone = 0
	}
	b.bytes = append(b.bytes, p...)
	return b
}

// rest returns what waits.
func (b *backlog) rest() []byte { return b.bytes[b.gone:] }

// take takes n bytes away, and returns b if something is left.
func (b *backlog) take(n int) *backlog {
	if b.gone += n; b.size() > 0 {
		return b
	}
	b.free()
	return nil
}

// free gives b back.
func (b *backlog) free() {
	if b == nil || cap(b.bytes) > largestKept {
		return
	}
	b.bytes, b.gone = b.bytes[:0], 0
	backlogs.Put(b)
}
