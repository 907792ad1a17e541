package wstest

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"time"
)

// ErrReset is the error of Read and Write after a reset of a connection in
// memory, wrapped in a *net.OpError.
var ErrReset = errors.New("wstest: connection reset by peer")

// Flow is one direction of a Link. Its methods may be called from any
// goroutine.
type Flow struct {
	link   *Link
	faults *Faults
	split  func([]byte) int // nil: a Read may return several pieces
	rng    *rand.Rand

	// link.mu guards the following fields.
	reader, writer end
	pieces         []piece // written and unread
	waiting        int     // bytes in pieces
	written        int64   // bytes
	read           int64
	gate           int64 // bytes beyond this number do not arrive; noGate: all arrive
	ended          bool  // the writer has closed its side
}

// end is the reader or writer of a flow.
type end struct {
	deadline time.Time
	closed   bool
}

// piece is a number of bytes that arrive together.
type piece struct {
	bytes  []byte
	at     time.Time // of arrival
	isLast bool      // the end of the flow, without bytes
}

const noGate = -1

func newFlow(l *Link, f *Faults, seed, stream uint64) *Flow {
	flow := &Flow{link: l, faults: f, rng: rand.New(rand.NewPCG(seed, stream)), gate: noGate}
	if f.Split.start != nil {
		flow.split = f.Split.start(flow.rng)
	}
	if f.Cut.kind == stallCut {
		flow.gate = f.Cut.at
	}
	return flow
}

// Stall holds back all unread bytes, and further ones, until Release.
func (f *Flow) Stall() {
	f.link.mu.Lock()
	defer f.link.mu.Unlock()
	f.gate = f.read
}

// Release ends the stall of Stall or StallAt, or prevents that of StallAt.
func (f *Flow) Release() {
	f.link.mu.Lock()
	defer f.link.mu.Unlock()
	f.gate = noGate
	f.link.changed.Broadcast()
}

// Written returns the number of written bytes. After a conversation without
// faults it is the number of positions for a Cut.
func (f *Flow) Written() int64 {
	f.link.mu.Lock()
	defer f.link.mu.Unlock()
	return f.written
}

// Read returns the number of bytes that have been read.
func (f *Flow) Read() int64 {
	f.link.mu.Lock()
	defer f.link.mu.Unlock()
	return f.read
}

// put writes p.
func (f *Flow) put(p []byte) (n int, err error) {
	l := f.link
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case f.writer.closed:
			return n, net.ErrClosed
		case f.writer.expired():
			return n, os.ErrDeadlineExceeded
		case f.ended:
			return n, io.ErrClosedPipe
		case l.wasReset, f.reader.closed:
			return n, ErrReset
		case n == len(p):
			return n, nil
		case f.faults.Cut.is(resetCut, f.written):
			l.reset()
			return n, ErrReset
		}
		if took := f.accept(p[n:]); took > 0 {
			l.changed.Broadcast()
			if n += took; n == len(p) {
				return n, nil
			}
			continue
		}
		l.wait(f.writer.deadline)
	}
}

// accept queues the next piece of p, up to the free space, and returns its
// length.
func (f *Flow) accept(p []byte) int {
	cut := f.faults.Cut
	if cut.is(endCut, f.written) {
		f.written += int64(len(p)) // discarded, without an error
		return len(p)
	}
	n := min(len(p), f.faults.buffer()-f.waiting)
	if cut.kind != noCut && f.written < cut.at {
		n = int(min(int64(n), cut.at-f.written))
	}
	if n <= 0 {
		return 0
	}
	if f.split != nil {
		n = min(n, max(f.split(p[:n]), 1))
	}
	f.pieces = append(f.pieces, piece{bytes: slices.Clone(p[:n]), at: f.arrival()})
	f.waiting += n
	f.written += int64(n)
	return n
}

// arrival returns the time of arrival of bytes that are written now, which is
// not before that of earlier bytes.
func (f *Flow) arrival() time.Time {
	delay := f.faults.Latency
	if f.faults.Jitter > 0 {
		delay += time.Duration(f.rng.Int64N(int64(f.faults.Jitter)))
	}
	at := time.Now().Add(delay)
	if n := len(f.pieces); n > 0 && f.pieces[n-1].at.After(at) {
		return f.pieces[n-1].at
	}
	return at
}

// get reads into p.
func (f *Flow) get(p []byte) (n int, err error) {
	l := f.link
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case f.reader.closed:
			return 0, net.ErrClosed
		case f.reader.expired():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		if n := f.take(p); n > 0 {
			l.changed.Broadcast()
			return n, nil
		}
		until := f.reader.deadline
		switch {
		case f.stalled() && l.wasReset:
			return 0, ErrReset
		case f.stalled():
		case f.faults.Cut.is(endCut, f.read):
			return 0, io.EOF
		case f.faults.Cut.is(resetCut, f.read):
			l.reset()
			return 0, ErrReset
		case len(f.pieces) > 0 && f.pieces[0].isLast && f.arrived():
			return 0, io.EOF
		case len(f.pieces) > 0:
			until = earlier(until, f.pieces[0].at)
		case l.wasReset:
			return 0, ErrReset
		}
		l.wait(until)
	}
}

// take moves bytes that have arrived to p, of one piece only if there is a
// split.
func (f *Flow) take(p []byte) (n int) {
	for n < len(p) && !f.stalled() && f.arrived() && !f.pieces[0].isLast {
		first := &f.pieces[0]
		room := p[n:]
		if f.gate != noGate {
			room = room[:min(int64(len(room)), f.gate-f.read)]
		}
		m := copy(room, first.bytes)
		n += m
		f.read += int64(m)
		f.waiting -= m
		if first.bytes = first.bytes[m:]; len(first.bytes) == 0 {
			f.pieces = f.pieces[1:]
		}
		if f.split != nil {
			break
		}
	}
	return n
}

// arrived reports whether the first piece has arrived.
func (f *Flow) arrived() bool { return len(f.pieces) > 0 && !f.pieces[0].at.After(time.Now()) }

func (f *Flow) stalled() bool { return f.gate != noGate && f.read >= f.gate }

// finish closes the writer's side. The caller holds link.mu.
func (f *Flow) finish() {
	if !f.ended && !f.link.wasReset {
		f.ended = true
		f.pieces = append(f.pieces, piece{at: f.arrival(), isLast: true})
		f.link.changed.Broadcast()
	}
}

func (e *end) expired() bool { return !e.deadline.IsZero() && !time.Now().Before(e.deadline) }

// is reports whether c is of a kind, and at a position up to bytes.
func (c Cut) is(kind cutKind, bytes int64) bool { return c.kind == kind && bytes >= c.at }

// earlier returns the earlier of two times. A zero a is no time.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
