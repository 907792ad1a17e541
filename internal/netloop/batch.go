package netloop

import (
	"sync"
	"sync/atomic"
	"time"
)

// This file collects the output of handlers in the goroutine loop: replies to
// messages that were read together share one write. A watchdog writes the
// output of a handler that blocks.

// batches lends batches to connections whose handlers run.
type batches struct {
	newBatch func() any    // Config.NewBatch
	period   time.Duration // Config.WatchPeriod

	mu    sync.Mutex  // guards the rest
	timer *time.Timer // of the watchdog; nil: it sleeps
	idle  int         // the watchdog's last checks without a batch that was lent
	all   []*batch
	free  []*batch // those of all that no socket has
}

// A batch is lent to one connection at a time, while its handler runs. If that
// takes too long, the watchdog takes the batch from it.
type batch struct {
	memory any           // for Conn.BeginBatch
	conn   Conn          // the borrower
	state  atomic.Uint32 // batchStates times the number of uses, and one of the states below
	seen   uint32        // state at the watchdog's last check; the watchdog's own
}

// The states of a batch.
const (
	batchFree   uint32 = iota
	batchLent          // the goroutine of the handler gives it back
	batchTaken         // the watchdog gives it back
	batchStates = 4
)

// begin collects the output of conn in b until end is called with b and use.
// The caller calls a handler in between.
func (l *batches) begin(conn Conn) (b *batch, use uint32) {
	l.mu.Lock()
	if n := len(l.free); n > 0 {
		b, l.free = l.free[n-1], l.free[:n-1]
	} else {
		b = &batch{memory: l.newBatch()}
		l.all = append(l.all, b)
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(l.period, l.watch)
	}
	l.mu.Unlock()
	b.conn = conn
	conn.BeginBatch(b.memory)
	use = b.state.Load() + batchStates + batchLent
	b.state.Store(use) // after BeginBatch: the watchdog may take b at once, if this goroutine had no processor
	return b, use
}

// end writes the output that conn has collected in b.
func (l *batches) end(conn Conn, b *batch, use uint32) {
	conn.EndBatch()
	if b.state.CompareAndSwap(use, use-batchLent) { // otherwise the watchdog gives it back, or has done so
		l.put(b)
	}
}

// put adds b to the free batches.
func (l *batches) put(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.conn = nil
	l.free = append(l.free, b)
}

// watch is the watchdog. It checks all batches, and is called again after
// period. After idleChecks without a batch that is lent, it sleeps, and the
// batches are freed.
func (l *batches) watch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle++
	for _, b := range l.all {
		state := b.state.Load()
		if state%batchStates == batchFree {
			continue
		}
		l.idle = 0
		if state == b.seen && state%batchStates == batchLent && b.state.CompareAndSwap(state, state-batchLent+batchTaken) {
			go l.take(b)
		}
		b.seen = state
	}
	if l.idle < idleChecks || len(l.free) < len(l.all) {
		l.timer.Reset(l.period)
		return
	}
	l.timer, l.idle, l.all, l.free = nil, 0, nil, nil
}

// take writes the output in b, whose handler has not returned, and gives b
// back.
func (l *batches) take(b *batch) {
	b.conn.EndBatch()
	b.state.Store(b.state.Load() - batchTaken)
	l.put(b)
}
