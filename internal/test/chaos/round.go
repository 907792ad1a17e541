package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
	"github.com/fibersock/fibersock/internal/test/usage"
	"github.com/fibersock/fibersock/server"
)

// ending is the time of Shutdown in a round.
type ending int

const (
	afterPeers ending = iota // when all peers have closed
	withPeers                // during their closing handshakes
	midway                   // with a context that ends at once
	endings
)

func (e ending) String() string {
	return [...]string{"after the peers", "with the peers", "in the middle"}[e]
}

// round is a part of a run, with its own servers.
type round struct {
	*recorder
	run    *run
	name   string
	seed   uint64
	time   time.Duration
	long   bool // no time limit is reached
	ending ending
	cert   tls.Certificate

	targets []*target
	echoes  latencies
	stalls  stallClock
	helpers sync.WaitGroup // goroutines started by handlers

	callbacks atomic.Int64 // other callbacks of the application that have panicked or exited

	floods map[string]chan struct{} // by kind: a slot for one peer

	began   time.Time
	ended   chan struct{} // closed when scripts must end
	endedAt time.Time     // when that was
	shut    chan struct{} // closed when Shutdown has returned
	down    atomic.Bool   // Shutdown has been called or is about to be
	opened  atomic.Pointer[chan struct{}]
	held    chan struct{} // closed: handlers in actHold continue
	holds   atomic.Int64  // such handlers

	mu    sync.Mutex // guards the rest
	conns map[uint32]*conn
	open  []*conn // between Open and Close
}

// policies are all values of Server.SlowPolicy.
var policies = []server.SlowPolicy{server.SlowDefault, server.SlowClose, server.SlowDropNewest, server.SlowDropOldest, server.SlowBlock}

// Numbers for each target.
const (
	workers = 8
	probes  = 3
	lasting = 2 // peers at a time that last as long as the round
)

// maxBlocked is Server.MaxBlocked.
const maxBlocked = 2

// newServer returns the server of the i-th target.
func (r *round) newServer(i int, policy server.SlowPolicy) *server.Server {
	rnd := newRand(r.seed, uint64(i))
	s := &server.Server{
		SlowPolicy:      policy,
		MaxBlocked:      maxBlocked,
		MaxBacklog:      []int{16 << 10, 64 << 10, 256 << 10}[rnd.IntN(3)],
		MaxTotalBacklog: []int{256 << 10, 512 << 10, 2 << 20}[rnd.IntN(3)],
		Limits:          server.Limits{Message: 1 << 20},

		HandshakeTimeout: time.Minute,
		WriteTimeout:     time.Minute,
		CloseTimeout:     time.Minute,
		PingInterval:     time.Minute,
		PongTimeout:      time.Minute,
		AssemblyTimeout:  time.Minute,
	}
	if !r.long {
		s.HandshakeTimeout = 1500 * time.Millisecond
		s.WriteTimeout = 800 * time.Millisecond
		s.CloseTimeout = 700 * time.Millisecond
		s.PingInterval = 400 * time.Millisecond
		s.PongTimeout = 800 * time.Millisecond
		s.AssemblyTimeout = 800 * time.Millisecond
		s.MaxLifetime = 1500 * time.Millisecond
	}
	return s
}

// start starts the servers.
func (r *round) start(number int) error {
	r.ended, r.shut = make(chan struct{}), make(chan struct{})
	r.floods = make(map[string]chan struct{})
	for _, k := range kinds {
		if k.flood {
			r.floods[k.name] = make(chan struct{}, 1)
		}
	}
	r.conns = make(map[uint32]*conn)
	r.held = make(chan struct{})
	gate := make(chan struct{})
	r.opened.Store(&gate)
	for i, f := range forms {
		policy := policies[(i+number)%len(policies)]
		t := &target{round: r, form: f, policy: policy, srv: r.newServer(i, policy)}
		if err := t.start(); err != nil {
			return err
		}
		r.targets = append(r.targets, t)
	}
	return nil
}

// play runs the round and all its checks.
func (r *round) play(number int) error {
	before, files := leakcheck.Snapshot(), usage.Files()
	if err := r.start(number); err != nil {
		return err
	}
	r.began = time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var background, all sync.WaitGroup
	stop := make(chan struct{})
	background.Go(func() { r.stalls.run(stop) })
	background.Go(func() { r.openGates(stop) })
	background.Go(func() { r.monitor(stop) })
	offset := number
	for i, t := range r.targets {
		for w := range probes {
			all.Go(func() {
				for rnd := newRand(t.seed, uint64(1000*i+w)); !t.over() && !t.leaving(); {
					t.playOne(ctx, probe, styles[w], rnd.Uint64())
				}
			})
		}
		offset = t.queue(offset)
		for w := range workers {
			all.Go(func() { t.work(ctx, newRand(t.seed, uint64(1000*i+100+w))) })
		}
	}
	left := make(chan struct{})
	go func() { all.Wait(); close(left) }()

	switch r.ending {
	case afterPeers:
		time.Sleep(r.time)
		r.endScripts()
		r.awaitPeers(left, cancel)
		r.awaitIdle()
		r.checkCalm(ctx)
		r.down.Store(true)
		r.shutdownAll(r.patience())
	case withPeers:
		time.Sleep(r.time)
		r.down.Store(true)
		r.endScripts()
		r.shutdownAll(r.patience())
		r.awaitPeers(left, cancel)
	case midway:
		time.Sleep(r.time * 3 / 4)
		r.down.Store(true)
		r.shutdownAll(20 * time.Millisecond)
		r.endScripts()
		r.awaitPeers(left, cancel)
	}
	r.awaitIdle()
	r.helpers.Wait()
	close(stop)
	background.Wait()
	for _, t := range r.targets {
		t.finalStats()
	}
	for _, k := range r.conns {
		k.target.final(k)
	}
	r.checkEchoes()
	r.checkReleased(before, files)
	return nil
}

// checkReleased checks that a round has left no goroutine and no descriptor.
func (r *round) checkReleased(left func(patience time.Duration) []string, files int) {
	since := time.Now()
	if left := left(r.longest() + r.slack(since)); len(left) > 0 {
		r.violated(released, nil, "%d goroutines are left\n%s", len(left), strings.Join(left, "\n\n"))
	}
	r.within(since, func() bool { return usage.Files() <= files }, func() {
		r.violated(released, nil, "%d descriptors are open, %d were before the round", usage.Files(), files)
	})
}

// endScripts tells the peers to end their scripts.
func (r *round) endScripts() {
	r.endedAt = time.Now()
	close(r.ended)
}

// awaitPeers waits until all peers have left.
func (r *round) awaitPeers(left chan struct{}, cancel func()) {
	select {
	case <-left:
	case <-time.After(2 * r.patience()):
		r.stuck(inTime, nil, "peers have not left")
		cancel()
		<-left
	}
}

// awaitIdle waits until all connections have ended at the servers' side.
func (r *round) awaitIdle() {
	since := time.Now()
	for _, t := range r.targets {
		r.within(since, func() bool {
			st := t.srv.Stats()
			return st.Open == 0 && st.Opening == 0 && st.Backlog == 0 && st.Blocked == 0 && t.opens.Load() == t.closes.Load() && t.serving.Load() == 0
		}, func() {
			st := t.srv.Stats()
			r.stuck(statistics, nil, "%s: after all peers have left, Stats has Open %d, Opening %d, Backlog %d, Blocked %d; %d Opens, %d Closes, %d in Serve",
				t, st.Open, st.Opening, st.Backlog, st.Blocked, t.opens.Load(), t.closes.Load(), t.serving.Load())
		})
	}
}

// within waits until done, and calls late at the time limit.
func (r *round) within(since time.Time, done func() bool, late func()) {
	for !done() {
		if time.Since(since) > r.longest()+r.slack(since) {
			late()
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// longest is the longest life of a connection whose peer has disappeared, by
// the server's limits in a round with short ones.
func (r *round) longest() time.Duration {
	if r.long {
		return 2 * time.Second
	}
	s := r.targets[0].srv
	return s.MaxLifetime*11/10 + s.CloseTimeout + s.WriteTimeout + time.Second
}

// shutdownAll shuts all servers down at once.
func (r *round) shutdownAll(wait time.Duration) {
	var all sync.WaitGroup
	for _, t := range r.targets {
		all.Go(func() { t.shutdown(wait) })
	}
	all.Wait()
	close(r.shut)
}

// shutdown shuts the server down and checks that nothing is left.
func (t *target) shutdown(wait time.Duration) {
	began := time.Now()
	if t.web != nil {
		t.web.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- t.srv.Shutdown(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-time.After(wait + t.longest() + 5*time.Second):
		t.stuck(shutdown, nil, "%s: Shutdown has not returned after %v", t, time.Since(began))
		return
	}
	took := time.Since(began)
	if err == nil {
		if n := t.serving.Load(); n > 0 || t.opens.Load() != t.closes.Load() {
			t.violated(shutdown, nil, "%s: Shutdown has returned nil: %d Opens, %d Closes, %d in Serve", t, t.opens.Load(), t.closes.Load(), n)
		}
	}
	switch slack := t.slack(began); {
	case t.ending == midway && took > wait+slack:
		t.violated(shutdown, nil, "%s: Shutdown with a context of %v has returned after %v", t, wait, took)
	case t.ending != midway && (err != nil || took > t.longest()+slack):
		t.stuck(shutdown, nil, "%s: Shutdown has returned %v after %v%s", t, err, took, t.lasting(took))
	}
	select {
	case err := <-t.served:
		if !errors.Is(err, server.ErrServerClosed) && !errors.Is(err, http.ErrServerClosed) {
			t.violated(shutdown, nil, "%s: serving has returned %v", t, err)
		}
	case <-time.After(t.longest() + 5*time.Second):
		t.stuck(shutdown, nil, "%s: serving does not return after Shutdown", t)
	}
}

// lasting returns the histories of connections that are older than d, or ended
// within the last d.
func (t *target) lasting(d time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	for _, k := range t.conns {
		if k.target != t || time.Since(k.began) < d {
			continue
		}
		if ended := k.endedTime(); ended.IsZero() || ended.After(time.Now().Add(-d)) {
			text.WriteString("\n" + k.history())
		}
	}
	return text.String()
}

func (t *target) String() string { return t.form.name + " with " + policyNames[t.policy] }

// queue lists the kinds of peers that t can have, the ones with TLS first and
// then from an offset, and returns the offset for the next target: a short run
// has all kinds.
func (t *target) queue(offset int) (next int) {
	var tls, others []kind
	for _, k := range kinds {
		switch {
		case k.needsTLS && t.form.secure:
			tls = append(tls, k)
		case !k.needsTLS && (k.only == nil || k.only(t)):
			others = append(others, k)
		}
	}
	first := offset % len(others)
	t.kinds = slices.Concat(tls, others[first:], others[:first])
	t.slots = make(chan struct{}, lasting)
	return offset + workers - len(tls)
}

// work plays peers of t's kinds in turn until the round is over.
func (t *target) work(ctx context.Context, rnd *rand.Rand) {
	for {
		k := t.kinds[int(t.next.Add(1)-1)%len(t.kinds)]
		style, seed := styles[rnd.IntN(len(styles))], rnd.Uint64()
		if t.over() || t.leaving() {
			return
		}
		if k.style != "" {
			style = k.style
		}
		slots := t.slots
		if k.flood {
			slots = t.floods[k.name]
		}
		if k.lasting || k.flood {
			select {
			case slots <- struct{}{}:
				t.playOne(ctx, k, style, seed)
				<-slots
			default:
			}
		} else {
			t.playOne(ctx, k, style, seed)
		}
		t.pause(time.Duration(rnd.IntN(5))*time.Millisecond, nil)
	}
}

// playOne plays a peer.
func (t *target) playOne(ctx context.Context, k kind, style string, seed uint64) {
	p := t.newPeer(ctx, k, style, seed)
	t.run.count(p.conn)
	if k.connects || p.open() {
		k.play(p)
	}
	if late := t.overFor(); late > 3*time.Second {
		t.run.logf("%v after the end of the scripts: the peer leaves of connection %d, %v", late.Round(time.Millisecond), p.id, p.conn)
	}
	if p.raw != nil {
		p.raw.Close()
	}
}

// newPeer returns a peer that has not connected.
func (t *target) newPeer(ctx context.Context, k kind, style string, seed uint64) *peer {
	c := &conn{
		id: t.run.ids.Add(1), target: t, style: style, kind: k, began: time.Now(), trouble: make(map[string]action),
		faithful: k.faithful, exempt: k.exempt, isolated: k.isolated, sent: make(map[uint32]uint32), sending: make(map[uint32]time.Time),
	}
	t.mu.Lock()
	t.conns[c.id] = c
	t.mu.Unlock()
	return &peer{conn: c, ctx: ctx, rnd: newRand(seed, uint64(c.id))}
}

// find returns the connection with the number in a query.
func (r *round) find(query string) *conn {
	id, err := strconv.ParseUint(query, 10, 32)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns[uint32(id)]
}

// enlist adds a connection that handlers may send to.
func (r *round) enlist(k *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, k)
}

func (r *round) delist(k *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.open, k); i >= 0 {
		r.open[i] = r.open[len(r.open)-1]
		r.open = r.open[:len(r.open)-1]
	}
}

// over reports whether scripts must end.
func (r *round) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// overFor returns the time since the end of the scripts, 0 before.
func (r *round) overFor() time.Duration {
	if !r.over() {
		return 0
	}
	return time.Since(r.endedAt)
}

// leaving reports whether the servers are or will be shut down.
func (r *round) leaving() bool { return r.down.Load() }

// pause waits, and reports whether neither the round nor done has ended.
func (r *round) pause(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
	case <-r.ended:
	}
	return false
}

// patience exceeds every wait of a peer.
func (r *round) patience() time.Duration { return r.time + r.longest() + 10*time.Second }

// slack is the tolerance of a time limit: the clock of the server is coarse,
// and the machine may be busy. The longest echo of a probe shows how long
// goroutines wait for a processor; checkEchoes bounds it.
func (r *round) slack(since time.Time) time.Duration {
	return 2*time.Second + 2*r.stalls.since(since) + 2*r.echoes.longest()
}

// dropsOldest reports whether messages that Send has accepted may be dropped.
func (t *target) dropsOldest() bool { return t.policy == server.SlowDropOldest }

// gate returns a channel that openGates closes within 30 ms.
func (r *round) gate() <-chan struct{} { return *r.opened.Load() }

func (r *round) openGates(stop <-chan struct{}) {
	const period = 30 * time.Millisecond
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-stop:
			close(*r.opened.Load())
			return
		}
		next := make(chan struct{})
		close(*r.opened.Swap(&next))
	}
}

// violated records a violation of a connection, which may be nil.
func (r *round) violated(i invariant, k *conn, format string, args ...any) {
	r.report(false, i, k, fmt.Sprintf(format, args...))
}

// stuck is violated with a dump of all goroutines.
func (r *round) stuck(i invariant, k *conn, format string, args ...any) {
	r.report(true, i, k, fmt.Sprintf(format, args...))
}

func (r *round) report(dump bool, i invariant, k *conn, text string) {
	v := violation{invariant: i, round: r.name, detail: text}
	if k != nil {
		k.note("VIOLATION: %s", text)
		v.history = k.history()
	}
	r.add(v, dump)
}

// setProcs sets GOMAXPROCS and returns a function that restores it.
func setProcs(n int) (back func()) {
	old := runtime.GOMAXPROCS(n)
	return func() { runtime.GOMAXPROCS(old) }
}
