//go:build !portable && (linux || (kqueue && (darwin || dragonfly || freebsd || netbsd || openbsd)))

package netloop

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

// polledLoop serves sockets by epoll or kqueue, with the goroutines of a few
// pollers for all of them: an idle connection has neither goroutine nor read
// buffer. The files of the loop are the same for both: epoll_linux.go and
// kqueue_bsd.go implement
//
//	kernelQueue  the descriptors of a poller: open, close, await
//	pollEvent    an event, its bits readyInput, readyOutput, readyHangUp
//	kernel       systemCalls; watch tells the kernel the events to report
//
// A poller's leader waits for events and runs the handlers of one connection
// after the other. A handler that does not return soon keeps its goroutine, and
// another leader handles the events behind it: see watchdog.
//
//	poller    wait → batch of events → for each: claim the socket, read,
//	          Conn.Received, write the collected output
//	watchdog  a poller makes no progress → a new leader handles the rest of its
//	          batch
//	socket    socket.go: one descriptor; owner.go: input; write.go: output;
//	          close.go and end.go: the end
//
// Invariants: only the owner of a socket reads from it, calls its handlers and
// closes its descriptor, the latter under the socket's lock. A leader that was
// replaced must not use its poller.
type polledLoop struct {
	Config
	sys     *systemCalls
	sockets fdTable
	addrs   atomic.Pointer[addrs] // those of the last socket, for the next
	workers sync.Pool

	mu      sync.Mutex // guards the rest
	users   int        // listeners and sockets; without any, no goroutine runs
	pollers []*poller
	guard   *watchdog
	next    int // the poller of the next socket
}

// batchSize is how many events a leader gets at once. The index of one has to
// fit into a progress.
const batchSize = 1024

// enter starts the pollers if there are none, and returns the one for the next
// socket.
func (l *polledLoop) enter() (*poller, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == 0 {
		if err := l.startPollers(); err != nil {
			return nil, err
		}
	}
	l.users++
	l.next = (l.next + 1) % len(l.pollers)
	return l.pollers[l.next], nil
}

// leave ends the pollers with their last user.
func (l *polledLoop) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users == 0 {
		l.stopPollers()
	}
}

func (l *polledLoop) startPollers() error {
	l.guard = newWatchdog(l.WatchPeriod)
	for i := range runtime.GOMAXPROCS(0) {
		p, err := newPoller(l, i)
		if err != nil {
			l.stopPollers()
			return err
		}
		l.pollers = append(l.pollers, p)
	}
	l.guard.watch(l.pollers)
	for _, p := range l.pollers {
		p.startLeader(l.newWorker(), 0)
	}
	go l.guard.run()
	return nil
}

func (l *polledLoop) stopPollers() {
	for _, p := range l.pollers {
		p.close() // its leader's wait ends
	}
	l.pollers = nil
	l.guard.stop()
}

// start serves nc, if that is a TCP connection or TLS over one of BelowTLS. The
// descriptor is duplicated. If start returns an error, nc is unchanged.
func (l *polledLoop) start(nc net.Conn, open Open, first []byte, ended chan struct{}) error {
	switch nc := nc.(type) {
	case *net.TCPConn:
		return l.startTCP(nc, open, first, ended)
	case *belowTLS:
		return l.startTCP(nc.TCPConn, open, first, ended)
	case overTLS:
		if below := belowOf(nc); below != nil {
			return l.startTLS(nc, below, open, first, ended)
		}
	}
	return errors.ErrUnsupported
}

func (l *polledLoop) startTCP(nc *net.TCPConn, open Open, first []byte, ended chan struct{}) error {
	fd, addrs, err := duplicate(nc, &l.addrs)
	if err != nil {
		return err
	}
	if err := l.add(fd, addrs, open, first, ended); err != nil {
		syscall.Close(fd)
		return err
	}
	nc.Close()
	return nil
}

// A poller is a kernelQueue and the goroutine that waits for its events.
type poller struct {
	loop  *polledLoop
	sys   *systemCalls
	guard *watchdog
	index int

	kernelQueue
	kicks     kickQueue // sockets with work that no event of their descriptor reports
	deferrals deferrals
	ring      *ring // nil: each socket is written by a call of its own

	progress atomic.Uint64 // of the leader: see makeProgress
	leader   *worker       // of the leader; the watchdog's own

	refused uint64 // the last progress of a handler that was refused a hand-off; the watchdog's own
}

// kickQueue holds descriptors of sockets that the leader is to run.
type kickQueue struct {
	size atomic.Int32 // len(fds); changed under mu
	mu   sync.Mutex   // guards fds
	fds  []int32
}

// kickEvent stands in an event for a socket that was kicked. The kernel does not
// use it.
const kickEvent = 1 << 24

// wakeEvent stands, in place of a descriptor, in the event of a notification.
const wakeEvent = -1

func newPoller(l *polledLoop, index int) (*poller, error) {
	p := &poller{loop: l, sys: l.sys, guard: l.guard, index: index}
	if err := p.kernelQueue.open(); err != nil {
		return nil, err
	}
	if l.BatchedSends {
		p.ring = openRing()
	}
	p.progress.Store(makeProgress(0, 0, idleIndex))
	return p, nil
}

// close ends p. All of its sockets are closed: no goroutine notifies p any more.
func (p *poller) close() {
	p.kernelQueue.close()
	if p.ring != nil {
		p.ring.Close()
	}
}

// kick has the leader run the socket fd. The caller holds the socket's lock.
func (p *poller) kick(fd int32) {
	q := &p.kicks
	q.mu.Lock()
	q.fds = append(q.fds, fd)
	first := len(q.fds) == 1
	q.size.Store(int32(len(q.fds)))
	q.mu.Unlock()
	if first {
		p.sys.notify(p.wakeup)
	}
}

// appendTo makes events of kicks, as many as fit, and returns how many. The
// leader calls it before it waits: so those that are left over need no
// notification.
func (q *kickQueue) appendTo(events []pollEvent) int {
	if q.size.Load() == 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.fds), len(events))
	for i, fd := range q.fds[:n] {
		events[i] = pollEvent{Events: kickEvent, Fd: fd}
	}
	q.fds = q.fds[:copy(q.fds, q.fds[n:])]
	q.size.Store(int32(len(q.fds)))
	return n
}

// A worker is the memory that a leader works with.
type worker struct {
	events [batchSize]pollEvent
	n      int     // number of events; both are unchanged while one of them is handled
	leads  *poller // that the worker's goroutine leads
	term   uint64  // the generation of that leader
	input  []byte  // the read buffer; larger after a read that fills it
	batch  any     // lent to the connection whose handlers run: see Conn.BeginBatch
	waiting

	serving   atomic.Int32 // the descriptor of the event that the leader handles
	handedOff atomic.Bool  // the watchdog has given its events to another leader
}

// The two sizes of a worker's read buffer in bytes. A worker with small messages,
// of which each handler that blocks has one, needs no large buffer.
const (
	smallInput = 20 << 10 // has space for a frame of 16 KiB and its header
	largeInput = 128 << 10
)

func (l *polledLoop) newWorker() *worker {
	if w, ok := l.workers.Get().(*worker); ok {
		return w
	}
	return &worker{input: make([]byte, smallInput), batch: l.NewBatch()}
}

// filled is called after a read that has filled w.input: probably there is more
// to read. The bytes that were read stay valid.
func (w *worker) filled() {
	if len(w.input) < largeInput {
		w.input = make([]byte, largeInput)
	}
}

// replaced reports whether the poller has a new leader.
func (w *worker) replaced() bool { return progressGeneration(w.leads.progress.Load()) != w.term }

// startLeader gives p a leader with the worker w.
func (p *poller) startLeader(w *worker, generation uint64) {
	p.leader = w
	go p.lead(w, generation)
}

// lead handles the events in w and then those that the kernel reports, until the
// poller is closed or another goroutine leads. If a handler ends the goroutine,
// another goroutine handles the event after that.
func (p *poller) lead(w *worker, generation uint64) {
	returned := false
	defer func() {
		if !returned {
			p.endDeferring()
			go p.lead(w, generation)
			return
		}
		w.endWaiting()
		w.leads = nil
		p.loop.workers.Put(w)
	}()
	p.inReserve(func() { p.leadUntilEnd(w, generation) })
	returned = true
}

// leadUntilEnd is lead for handlers that do not end the goroutine.
func (p *poller) leadUntilEnd(w *worker, generation uint64) {
	w.leads, w.term = p, generation
	p.beginWaiting(w)
	p.flushDeferred() // of a handler that has blocked or ended the goroutine
	for {
		if !p.handleEvents(w, generation) {
			for !w.handedOff.Load() {
				runtime.Gosched() // the watchdog is reading it
			}
			w.handedOff.Store(false)
			p.loop.Counters.Blocked.Add(-1)
			return
		}
		w.n = 0
		if !p.await(w) {
			return // closed
		}
	}
}

// handleEvents handles w's events. It reports whether p is still led by
// generation.
func (p *poller) handleEvents(w *worker, generation uint64) bool {
	if w.n == 0 {
		return true
	}
	now := p.progress.Load()
	first := 0
	if progressGeneration(now) == generation && progressIndex(now) != idleIndex {
		first = progressIndex(now) + 1 // the handler of this one has ended the goroutine that led p
	}
	waited := true // the watchdog may be asleep
	for i := first; i < w.n; i++ {
		if p.deferrals.isDue() {
			if !p.advance(&now, generation, idleIndex) {
				return false
			}
			p.flushDeferred()
			waited = true
		}
		if !p.advance(&now, generation, i) {
			return false
		}
		if waited {
			waited = false
			p.guard.wake()
		}
		p.beginDeferring(now, i+1 < w.n)
		event := &w.events[i]
		w.serving.Store(event.Fd)
		if s := p.loop.sockets.get(event.Fd); s != nil {
			s.ready(w, event.Events)
		}
	}
	if !p.advance(&now, generation, idleIndex) {
		return false
	}
	p.flushDeferred()
	return true
}

// advance sets the progress of the leader of generation, and now to it. It
// returns false if another goroutine leads p: if the progress is not now.
func (p *poller) advance(now *uint64, generation uint64, index int) bool {
	next := makeProgress(generation, *now>>indexBits+1, uint64(index))
	if progressGeneration(*now) != generation || !p.progress.CompareAndSwap(*now, next) {
		return false
	}
	*now = next
	return true
}
