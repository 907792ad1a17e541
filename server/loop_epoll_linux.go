//go:build !portable

package server

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fibersock/fibersock/endpoint"
)

// epollLoop serves sockets by epoll, with the goroutines of a few pollers for all of them: a connection that nothing comes
// from costs no goroutine and no buffer.
//
// A poller's leader waits for events and runs the handlers of one connection after the other. A handler that does
// not return soon keeps its goroutine, and what else is ready goes on with another leader: see watchdog.
//
//	poller    epoll_wait → batch of events → for each: claim, read, Conn.receive, write what was corked
//	watchdog  a claim has not moved since the last look → the rest of the batch, and the poller, get a new leader
//	socket    socket_epoll_linux.go: one connection's descriptor, and who may read from it; its backlog is in
//	          socket_output_epoll_linux.go, its end in socket_end_epoll_linux.go
//
// Invariants: a connection is read from and its handlers are called by whoever has moved its state from idle to running.
// A leader that was replaced touches nothing of its poller any more. A descriptor is closed by who runs its connection, under the socket's lock.
type epollLoop struct {
	writeTimeout time.Duration
	maxBlocked   int // negative: no limit
	counters     *counters
	sockets      socketTable
	addrs        atomic.Pointer[addrs] // those of the last socket, for the next

	mu      sync.Mutex // guards the rest
	users   int        // listeners and sockets; without any, nothing runs
	pollers []*poller
	guard   *watchdog
	turn    int // which poller gets the next socket
}

// batchSize is how many events a leader takes at once. The index of one has to fit into a claim.
const batchSize = 1024

// enter starts the pollers if there are none, and returns the one for the next socket.
func (l *epollLoop) enter() (*poller, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == 0 {
		if err := l.start(); err != nil {
			return nil, err
		}
	}
	l.users++
	l.turn = (l.turn + 1) % len(l.pollers)
	return l.pollers[l.turn], nil
}

// leave ends the pollers with their last user.
func (l *epollLoop) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users == 0 {
		l.stop()
	}
}

func (l *epollLoop) start() error {
	l.guard = newWatchdog()
	for i := range runtime.GOMAXPROCS(0) {
		p, err := newPoller(l, l.counters.shard(i))
		if err != nil {
			l.stop()
			return err
		}
		l.pollers = append(l.pollers, p)
	}
	l.guard.pollers = l.pollers
	for _, p := range l.pollers {
		p.follow(newWorkspace(), 0)
	}
	go l.guard.run()
	return nil
}

func (l *epollLoop) stop() {
	for _, p := range l.pollers {
		p.close() // its leader's wait ends
	}
	l.pollers = nil
	l.guard.stop()
}

// A poller is an epoll descriptor and the goroutine that waits for it.
type poller struct {
	loop  *epollLoop
	guard *watchdog
	shard *shard
	fd    int
	file  *os.File // the same, in the hands of Go's own poller: waiting for it costs no thread
	raw   syscall.RawConn

	wakeup int       // an eventfd that ends the leader's wait
	kicks  kickQueue // sockets with work that no event of their descriptor tells

	claim  atomic.Uint64 // see makeClaim
	leader *workspace    // of the leader; the watchdog's own

	serving atomic.Int32 // the descriptor of the event that the leader is at
	crowded uint64       // the last claim that stayed although it should not; the watchdog's own
}

// kickQueue holds descriptors of sockets that the leader is to look at.
type kickQueue struct {
	size atomic.Int32 // len(fds); changed under mu
	mu   sync.Mutex   // guards fds
	fds  []int32
}

// kickEvent stands in an event for a socket that was kicked. It is none of
// epoll's own.
const kickEvent = 1 << 24

// wakeEvent stands, in place of a descriptor, in the event of wakeup.
const wakeEvent = -1

func newPoller(l *epollLoop, shard *shard) (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &poller{loop: l, guard: l.guard, shard: shard, fd: fd, wakeup: -1}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	p.file = os.NewFile(uintptr(fd), "epoll")
	if p.wakeup, err = newEventfd(); err == nil {
		const edgeTriggered = 1 << 31 // syscall.EPOLLET is negative; and so the counter need not be read
		event := syscall.EpollEvent{Events: syscall.EPOLLIN | edgeTriggered, Fd: wakeEvent}
		err = os.NewSyscallError("epoll_ctl", syscall.EpollCtl(fd, syscall.EPOLL_CTL_ADD, p.wakeup, &event))
	}
	if err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	p.claim.Store(makeClaim(0, 0, idleIndex))
	return p, nil
}

// close ends p. No socket of it is open any more: so nobody writes to wakeup.
func (p *poller) close() {
	p.file.Close()
	if p.wakeup >= 0 {
		syscall.Close(p.wakeup)
	}
}

// kick has the leader look at the socket fd. The caller holds the socket's
// lock.
func (p *poller) kick(fd int32) {
	q := &p.kicks
	q.mu.Lock()
	q.fds = append(q.fds, fd)
	first := len(q.fds) == 1
	q.size.Store(int32(len(q.fds)))
	q.mu.Unlock()
	if first {
		sysNotify(p.wakeup)
	}
}

// take makes events of kicks, as many as there is room for, and returns how
// many. The leader asks for them before it waits: so those that are left over
// need no notification.
func (q *kickQueue) take(events []syscall.EpollEvent) int {
	if q.size.Load() == 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.fds), len(events))
	for i, fd := range q.fds[:n] {
		events[i] = syscall.EpollEvent{Events: kickEvent, Fd: fd}
	}
	q.fds = q.fds[:copy(q.fds, q.fds[n:])]
	q.size.Store(int32(len(q.fds)))
	return n
}

// A claim is what a poller's leader is at: which leader it is, a number that grows with each event, and the index
// of the event in the batch, or that it waits.
const (
	indexBits = 12
	countBits = 28
	idleIndex = 1<<indexBits - 1
)

func makeClaim(generation, count, index uint64) uint64 {
	return generation<<(countBits+indexBits) | count&(1<<countBits-1)<<indexBits | index
}

func claimGeneration(claim uint64) uint64 { return claim >> (countBits + indexBits) }

// nextGeneration returns the generation of the leader after that of claim. Generations are reused after 2^24 of them.
func nextGeneration(claim uint64) uint64 {
	return claimGeneration(makeClaim(claimGeneration(claim)+1, 0, 0))
}

func claimIndex(claim uint64) int { return int(claim & idleIndex) }

// A workspace is what a leader works with.
type workspace struct {
	batch  [batchSize]syscall.EpollEvent
	n      int            // events in batch; both are not changed while one of them is claimed
	leads  *poller        // whose leader works with it
	term   uint64         // the leader's generation
	input  []byte         // what is read
	cork   *endpoint.Cork // where what the connection at work sends is collected
	wait   func(fd uintptr) bool
	failed error // of epoll_wait

	handedOn atomic.Bool // the watchdog has given its batch to another leader
}

// readSize is how much is read at once, in bytes, and roomSize how much of a large message; corkSize how much of the answers
// is collected.
const (
	readSize = 128 << 10
	roomSize = 256 << 10
	corkSize = 64 << 10
)

var workspaces = sync.Pool{New: func() any {
	return &workspace{input: make([]byte, readSize), cork: endpoint.NewCork(corkSize)}
}}

func newWorkspace() *workspace { return workspaces.Get().(*workspace) }

// replaced reports whether another leader leads since.
func (w *workspace) replaced() bool { return claimGeneration(w.leads.claim.Load()) != w.term }

// follow gives p a leader with the workspace w.
func (p *poller) follow(w *workspace, generation uint64) {
	p.leader = w
	go p.lead(w, generation)
}

// lead works off what is in w and then what comes, until the poller is closed or another leads. If a handler ends the
// goroutine, another goroutine goes on with the event after that.
func (p *poller) lead(w *workspace, generation uint64) {
	returned := false
	defer func() {
		if !returned {
			go p.lead(w, generation)
			return
		}
		w.wait, w.leads = nil, nil
		workspaces.Put(w)
	}()
	p.leadUntilEnd(w, generation)
	returned = true
}

// leadUntilEnd is lead without the care for handlers that end the goroutine.
func (p *poller) leadUntilEnd(w *workspace, generation uint64) {
	w.leads, w.term = p, generation
	w.wait = func(fd uintptr) bool {
		w.n, w.failed = epollWait(fd, w.batch[:])
		w.n += p.kicks.take(w.batch[w.n:])
		return w.n != 0 || w.failed != nil
	}
	for {
		if !p.work(w, generation) {
			for !w.handedOn.Load() {
				runtime.Gosched() // the watchdog is just reading it
			}
			w.handedOn.Store(false)
			p.loop.counters.blocked.Add(-1)
			return
		}
		w.n = 0
		if err := p.raw.Read(w.wait); err != nil || w.failed != nil {
			return // closed
		}
	}
}

// work works off w's batch. It reports whether p is still led by generation.
func (p *poller) work(w *workspace, generation uint64) bool {
	if w.n == 0 {
		return true
	}
	claim := p.claim.Load()
	first := 0
	if claimGeneration(claim) == generation && claimIndex(claim) != idleIndex {
		first = claimIndex(claim) + 1 // the handler of this one has ended the goroutine that led p
	}
	for i := first; i < w.n; i++ {
		next := makeClaim(generation, claim>>indexBits+1, uint64(i))
		if claimGeneration(claim) != generation || !p.claim.CompareAndSwap(claim, next) {
			return false
		}
		claim = next
		if i == first {
			p.guard.wake()
		}
		event := &w.batch[i]
		p.serving.Store(event.Fd)
		if s := p.loop.sockets.get(event.Fd); s != nil {
			s.ready(w, event.Events)
		}
	}
	return p.claim.CompareAndSwap(claim, makeClaim(generation, claim>>indexBits+1, idleIndex))
}

// The watchdog looks at all pollers about every millisecond, as long as one of them is at work.
type watchdog struct {
	pollers []*poller
	asleep  atomic.Bool
	alarm   chan struct{} // wakes it
	ended   chan struct{}
	over    atomic.Bool
}

const (
	// patience is how long a handler has its poller for itself, at least; twice that at most.
	watchPeriod = time.Millisecond
	// quietLooks is after how many looks at nothing the watchdog goes to sleep.
	quietLooks = 20
)

func newWatchdog() *watchdog {
	return &watchdog{alarm: make(chan struct{}, 1), ended: make(chan struct{})}
}

// wake is called by every leader that gets to work.
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
	seen := make([]uint64, len(d.pollers))
	quiet := 0
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	for !d.over.Load() {
		select {
		case <-ticker.C:
		case <-d.ended:
			return
		}
		busy := false
		for i, p := range d.pollers {
			claim := p.claim.Load()
			if claimIndex(claim) != idleIndex {
				busy = true
				if claim == seen[i] {
					p.replace(claim)
				}
			}
			seen[i] = claim
		}
		if busy {
			quiet = 0
			continue
		}
		if quiet++; quiet < quietLooks {
			continue
		}
		quiet = 0
		ticker.Stop()
		d.asleep.Store(true)
		if d.anyBusy() && d.asleep.CompareAndSwap(true, false) {
			ticker.Reset(watchPeriod)
			continue
		}
		select {
		case <-d.alarm:
		case <-d.ended:
			return
		}
		ticker.Reset(watchPeriod)
	}
}

func (d *watchdog) anyBusy() bool {
	for _, p := range d.pollers {
		if claimIndex(p.claim.Load()) != idleIndex {
			return true
		}
	}
	return false
}

// replace gives p a new leader, if it is still at the claim. The old one's handler runs on.
func (p *poller) replace(claim uint64) {
	counters := p.loop.counters
	if most := int64(p.loop.maxBlocked); most >= 0 && counters.blocked.Load() >= most {
		if p.crowded != claim {
			p.crowded = claim
			counters.count(func(st *Stats) { st.HandOffsRefused++ })
			p.uncork(p.serving.Load())
		}
		return
	}
	old := p.leader
	generation := nextGeneration(claim)
	if !p.claim.CompareAndSwap(claim, makeClaim(generation, claim>>indexBits+1, idleIndex)) {
		return
	}
	counters.blocked.Add(1)
	counters.count(func(st *Stats) { st.HandOffs++ })
	p.uncork(old.batch[claimIndex(claim)].Fd)
	w := newWorkspace()
	w.n = copy(w.batch[:], old.batch[claimIndex(claim)+1:old.n])
	old.handedOn.Store(true)
	p.follow(w, generation)
}

// uncork writes the messages that the handler of the socket fd has sent until now: they do not wait for its return.
func (p *poller) uncork(fd int32) {
	if s := p.loop.sockets.get(fd); s != nil {
		s.conn.endpoint.Uncork()
	}
}
