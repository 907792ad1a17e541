//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"sync/atomic"
	"time"
)

// A progress is how far a poller's leader is: which leader it is, a number that
// grows with each event, and the index of the event that it handles, idleIndex
// while it waits.
const (
	indexBits = 12
	countBits = 28
	idleIndex = 1<<indexBits - 1
)

func makeProgress(generation, count, index uint64) uint64 {
	return generation<<(countBits+indexBits) | count&(1<<countBits-1)<<indexBits | index
}

func progressGeneration(progress uint64) uint64 { return progress >> (countBits + indexBits) }

// nextGeneration returns the generation of the leader after that of progress.
// Generations are reused after 2^24 of them.
func nextGeneration(progress uint64) uint64 {
	return progressGeneration(makeProgress(progressGeneration(progress)+1, 0, 0))
}

func progressIndex(progress uint64) int { return int(progress & idleIndex) }

// The watchdog checks the progress of all pollers every period, as
// long as one of them handles events. If the progress of one stands still, its
// handler blocks: the events behind it, and the poller, get another leader.
type watchdog struct {
	period  time.Duration // Config.WatchPeriod
	pollers []*poller
	stacks  []atomic.Uintptr // of the leaders: see caller
	asleep  atomic.Bool
	alarm   chan struct{} // wakes it
	ended   chan struct{}
	over    atomic.Bool
}

func newWatchdog(period time.Duration) *watchdog {
	return &watchdog{period: period, alarm: make(chan struct{}, 1), ended: make(chan struct{})}
}

// watch sets the pollers, before any of them has a leader.
func (d *watchdog) watch(pollers []*poller) {
	d.pollers, d.stacks = pollers, make([]atomic.Uintptr, len(pollers))
}

// wake is called by every leader that begins to handle events.
func (d *watchdog) wake() {
	if d.asleep.Load() && d.asleep.CompareAndSwap(true, false) {
		d.alarm <- struct{}{}
	}
}

func (d *watchdog) stop() {
	d.over.Store(true)
	close(d.ended)
}

func (d *watchdog) run() {
	last := make([]uint64, len(d.pollers))
	idle := 0
	ticker := time.NewTicker(d.period)
	defer ticker.Stop()
	for !d.over.Load() {
		select {
		case <-ticker.C:
		case <-d.ended:
			return
		}
		busy := false
		for i, p := range d.pollers {
			now := p.progress.Load()
			if progressIndex(now) != idleIndex {
				busy = true
				if now == last[i] {
					p.handOff(now)
				} else {
					p.deferrals.due.Store(true)
				}
			}
			last[i] = now
		}
		if busy {
			idle = 0
			continue
		}
		if idle++; idle < idleChecks {
			continue
		}
		idle = 0
		ticker.Stop()
		d.asleep.Store(true)
		if d.anyBusy() && d.asleep.CompareAndSwap(true, false) {
			ticker.Reset(d.period)
			continue
		}
		select {
		case <-d.alarm:
		case <-d.ended:
			return
		}
		ticker.Reset(d.period)
	}
}

// idle reports whether p's leader handles no events.
func (p *poller) idle() bool { return progressIndex(p.progress.Load()) == idleIndex }

func (d *watchdog) anyBusy() bool {
	for _, p := range d.pollers {
		if !p.idle() {
			return true
		}
	}
	return false
}

// handOff gives p a new leader, if its progress is still the same. The handler
// of the old leader runs on.
func (p *poller) handOff(progress uint64) {
	counters := p.loop.Counters
	if limit := int64(p.loop.MaxBlocked); limit >= 0 && counters.Blocked.Load() >= limit {
		if p.refused != progress {
			p.refused = progress
			counters.HandOffsRefused.Add(1)
			p.endDeferring()
		}
		p.endBatch(p.leader.serving.Load()) // each time: the leader may have begun a batch, or deferred output, since
		p.flushDeferred()
		return
	}
	old := p.leader
	generation := nextGeneration(progress)
	if !p.progress.CompareAndSwap(progress, makeProgress(generation, progress>>indexBits+1, idleIndex)) {
		return
	}
	counters.Blocked.Add(1)
	counters.HandOffs.Add(1)
	p.endDeferring()
	p.endBatch(old.events[progressIndex(progress)].Fd)
	w := p.loop.newWorker()
	w.n = copy(w.events[:], old.events[progressIndex(progress)+1:old.n])
	old.handedOff.Store(true)
	p.startLeader(w, generation)
}

// endBatch writes the output that the handler of the socket fd has produced
// until now: it does not wait for the handler's return.
func (p *poller) endBatch(fd int32) {
	if s := p.loop.sockets.get(fd); s != nil {
		s.conn.EndBatch()
	}
}
