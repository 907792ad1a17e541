package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/leakcheck"
	usages "github.com/fibersock/fibersock/internal/usage"
	"github.com/fibersock/fibersock/server"
)

// ending is how a round ends.
type ending int

const (
	quietly  ending = iota // Shutdown is called when all peers have left
	lively                 // while they make their closing handshakes
	abruptly               // in the middle, with a context that ends at once
	endings
)

func (e ending) String() string {
	return [...]string{"after the peers", "with the peers", "in the middle"}[e]
}

// round is a part of a run with servers of its own.
type round struct {
	*judge
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
	asides  sync.WaitGroup // goroutines that handlers have started

	callbacks atomic.Int64 // of the program that have panicked or exited, besides handlers

	floods map[string]chan struct{} // by kind: has room for one peer that sends as fast as it can

	began   time.Time
	ended   chan struct{} // closed when scripts are to end
	endedAt time.Time     // when that was
	shut    chan struct{} // closed when Shutdown has returned
	down    atomic.Bool   // Shutdown has been called, or will be at once
	opened  atomic.Pointer[chan struct{}]
	held    chan struct{} // closed: handlers that actHold has stopped go on
	holds   atomic.Int64  // such handlers

	mu     sync.Mutex // guards the rest
	phases []string
	conns  map[uint32]*conn
	open   []*conn // between Open and Close
}

// policies are all values of Server.SlowPolicy.
var policies = []server.SlowPolicy{server.SlowDefault, server.SlowClose, server.SlowDropNewest, server.SlowDropOldest, server.SlowBlock}

// Workers for each target.
const (
	workers   = 8
	innocents = 3
	lasting   = 2 // peers that last as long as the round, at a time
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
	before, files := leakcheck.Snapshot(), usages.Files()
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
	next := number * workers
	for i, t := range r.targets {
		for w := range innocents {
			all.Go(func() { t.work(ctx, uint64(1000*i+w), []kind{innocent}, styles[w]) })
		}
		slots := make(chan struct{}, lasting)
		for w := range workers {
			first := t.firstKind(w, &next)
			all.Go(func() { t.workThrough(ctx, uint64(1000*i+100+w), first, slots) })
		}
	}
	left := make(chan struct{})
	go func() { all.Wait(); close(left) }()

	switch r.ending {
	case quietly:
		time.Sleep(r.time)
		r.endScripts()
		r.awaitPeers(left, cancel)
		r.awaitIdle()
		r.judgeCalm(ctx)
		r.down.Store(true)
		r.shutdownAll(r.patience())
	case lively:
		time.Sleep(r.time)
		r.down.Store(true)
		r.endScripts()
		r.shutdownAll(r.patience())
		r.awaitPeers(left, cancel)
	case abruptly:
		time.Sleep(r.time * 3 / 4)
		r.down.Store(true)
		r.shutdownAll(20 * time.Millisecond)
		r.endScripts()
		r.awaitPeers(left, cancel)
	}
	r.phase("peers")
	r.awaitIdle()
	r.phase("idle")
	r.asides.Wait()
	close(stop)
	background.Wait()
	for _, t := range r.targets {
		t.finalStats()
	}
	for _, k := range r.conns {
		k.target.final(k)
	}
	r.judgeEchoes()
	r.judgeReleased(before, files)
	return nil
}

// judgeReleased checks that nothing is left of a round.
func (r *round) judgeReleased(left func(patience time.Duration) []string, files int) {
	since := time.Now()
	if left := left(r.longest() + r.slack(since)); len(left) > 0 {
		r.add(violation{invariant: released, detail: fmt.Sprintf("%d goroutines are left", len(left)), dump: join(left)})
	}
	r.within(since, func() bool { return usages.Files() <= files }, func() {
		r.add(violation{invariant: released, detail: fmt.Sprintf("%d descriptors are open, %d were before the round", usages.Files(), files)})
	})
}

func (r *round) phase(name string) {
	r.phases = append(r.phases, fmt.Sprintf("%s %v", name, time.Since(r.began).Round(time.Millisecond)))
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
		r.hang(violation{invariant: inTime, detail: "peers have not left"})
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
			r.hang(violation{invariant: statistics, detail: fmt.Sprintf("%s: after all peers have left, Stats has Open %d, Opening %d, Backlog %d, Blocked %d; %d Opens, %d Closes, %d in Serve",
				t, st.Open, st.Opening, st.Backlog, st.Blocked, t.opens.Load(), t.closes.Load(), t.serving.Load())})
		})
	}
}

// within waits until done, and calls late if that takes too long.
func (r *round) within(since time.Time, done func() bool, late func()) {
	for !done() {
		if time.Since(since) > r.longest()+r.slack(since) {
			late()
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// longest is how long a connection lasts at most whose peer has left, by the
// server's limits in a round with short ones.
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

// shutdown shuts the server down and checks what is left.
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
		t.hang(violation{invariant: shutdown, detail: fmt.Sprintf("%s: Shutdown has not returned after %v", t, time.Since(began))})
		return
	}
	took := time.Since(began)
	if err == nil {
		if n := t.serving.Load(); n > 0 || t.opens.Load() != t.closes.Load() {
			t.add(violation{invariant: shutdown, detail: fmt.Sprintf("%s: Shutdown has returned nil: %d Opens, %d Closes, %d in Serve", t, t.opens.Load(), t.closes.Load(), n)})
		}
	}
	switch slack := t.slack(began); {
	case t.ending == abruptly && took > wait+slack:
		t.add(violation{invariant: shutdown, detail: fmt.Sprintf("%s: Shutdown with a context of %v has returned after %v", t, wait, took)})
	case t.ending != abruptly && (err != nil || took > t.longest()+slack):
		t.hang(violation{invariant: shutdown, detail: fmt.Sprintf("%s: Shutdown has returned %v after %v%s", t, err, took, t.lasting(took))})
	}
	select {
	case err := <-t.served:
		if !errors.Is(err, server.ErrServerClosed) && !errors.Is(err, http.ErrServerClosed) {
			t.add(violation{invariant: shutdown, detail: fmt.Sprintf("%s: serving has returned %v", t, err)})
		}
	case <-time.After(t.longest() + 5*time.Second):
		t.hang(violation{invariant: shutdown, detail: fmt.Sprintf("%s: serving does not return after Shutdown", t)})
	}
}

// lasting returns the histories of connections that have lasted for so long, or
// still do.
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

// work plays peers of the given kinds until the round is over.
func (t *target) work(ctx context.Context, worker uint64, kinds []kind, style string) {
	rnd := newRand(t.seed, worker)
	for !t.over() && !t.leaving() {
		for _, i := range rnd.Perm(len(kinds)) {
			if t.over() || t.leaving() {
				return
			}
			t.playOne(ctx, kinds[i], style, rnd.Uint64())
		}
	}
}

// firstKind returns the kind that a worker begins with, so that a short run on
// a busy machine has all of them.
func (t *target) firstKind(worker int, next *int) int {
	for i, k := range kinds {
		if k.needsTLS && t.form.secure {
			if worker == 0 {
				return i
			}
			worker--
		}
	}
	for {
		i := *next % len(kinds)
		*next++
		if k := kinds[i]; !k.needsTLS && (k.only == nil || k.only(t)) {
			return i
		}
	}
}

// workThrough plays peers of all kinds, in random order after the first, again
// and again.
func (t *target) workThrough(ctx context.Context, worker uint64, first int, slots chan struct{}) {
	rnd := newRand(t.seed, worker)
	for {
		order := rnd.Perm(len(kinds))
		if first >= 0 {
			order = slices.Insert(order, 0, first)
			first = -1
		}
		for _, i := range order {
			k, style, seed := kinds[i], styles[rnd.IntN(len(styles))], rnd.Uint64()
			if t.over() || t.leaving() {
				return
			}
			if k.style != "" {
				style = k.style
			}
			if k.needsTLS && !t.form.secure || k.only != nil && !k.only(t) || t.leaves(k.name) {
				continue
			}
			slots := slots
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
				continue
			}
			t.playOne(ctx, k, style, seed)
			t.pause(time.Duration(rnd.IntN(5))*time.Millisecond, nil)
		}
	}
}

// playOne plays a peer.
func (t *target) playOne(ctx context.Context, k kind, style string, seed uint64) {
	p := t.newPeer(ctx, k, style, seed)
	t.run.count(p.conn)
	k.play(p)
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
		faithful: k.faithful, spared: k.spared, aside: k.aside, sent: make(map[uint32]uint32), sending: make(map[uint32]time.Time),
	}
	t.mu.Lock()
	t.conns[c.id] = c
	t.mu.Unlock()
	return &peer{conn: c, ctx: ctx, rnd: newRand(seed, uint64(c.id))}
}

// find returns the connection with a query.
func (r *round) find(query string) *conn {
	id, err := strconv.ParseUint(query, 10, 32)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns[uint32(id)]
}

// enlist makes a connection one that handlers send to.
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

// over reports whether scripts are to end.
func (r *round) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// overFor returns how long it is since the scripts had to end, 0 if they need not.
func (r *round) overFor() time.Duration {
	if !r.over() {
		return 0
	}
	return time.Since(r.endedAt)
}

// leaving reports whether the servers are or will be shut down.
func (r *round) leaving() bool { return r.down.Load() }

// leaves reports whether something is left out.
func (r *round) leaves(name string) bool { return r.run.without[name] }

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

// patience is longer than everything that a peer waits for.
func (r *round) patience() time.Duration { return r.time + r.longest() + 10*time.Second }

// slack is how much later than its limit something may happen: the clock of
// the server is coarse, and the machine may be busy.
func (r *round) slack(since time.Time) time.Duration { return 2*time.Second + 2*r.stalls.since(since) }

// dropsOldest reports whether messages that Send has accepted may be dropped.
func (t *target) dropsOldest() bool { return t.policy == server.SlowDropOldest }

// gate returns a channel that is closed soon, for all that wait at this time.
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

// violated adds a violation of a connection.
func (t *target) violated(i invariant, k *conn, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	k.note("VIOLATION: %s", text)
	t.add(violation{invariant: i, detail: text, conn: k})
}

// stuck is violated with a dump of all goroutines.
func (t *target) stuck(i invariant, k *conn, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	k.note("VIOLATION: %s", text)
	t.hang(violation{invariant: i, detail: text, conn: k})
}

func (r *round) add(v violation) {
	v.round = r.name
	if v.conn != nil {
		v.history = v.conn.history()
	}
	r.judge.add(v)
}

func (r *round) hang(v violation) {
	v.round = r.name
	if v.conn != nil {
		v.history = v.conn.history()
	}
	r.judge.hang(v)
}

// monitor looks at all connections again and again.
func (r *round) monitor(stop <-chan struct{}) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		open := slices.Clone(r.open)
		r.mu.Unlock()
		for _, k := range open {
			k.target.look(k)
		}
	}
}

// look checks an open connection: how long it lasts, and what it buffers.
func (t *target) look(k *conn) {
	c := k.server.Load()
	if n, most := c.Buffered(), t.mostBuffered(k); n > most {
		k.once("buffered", func() {
			t.violated(bounded, k, "%d bytes are buffered, MaxBacklog is %d", n, t.srv.MaxBacklog)
		})
	}
	k.mu.Lock()
	limits := slices.Clone(k.limits)
	k.mu.Unlock()
	if !t.long {
		s := t.srv
		limits = append(limits, limit{k.began, s.MaxLifetime*11/10 + s.CloseTimeout + s.WriteTimeout, "MaxLifetime"})
	}
	for _, l := range limits {
		if age := time.Since(l.since); age > l.within+t.slack(l.since) {
			k.once("old", func() {
				t.stuck(inTime, k, "the connection should have ended by %s after %v and lasts for %v; %d bytes are buffered, state %v", l.option, l.within, age, c.Buffered(), c.State())
			})
		}
	}
}

// mostBuffered is the bound for what a connection buffers: MaxBacklog, or a
// message for a client for which nothing was buffered, and control frames.
func (t *target) mostBuffered(k *conn) int {
	const largest, slack = 100_000, 64 << 10
	if k != nil && k.kind.flood { // handlers send nothing to it, except broadcasts
		return t.srv.MaxBacklog + slack/2 + k.kind.pongs
	}
	if t.dropsOldest() { // the newest message is kept, beside the one on its way
		return t.srv.MaxBacklog + 2*largest + slack
	}
	return t.srv.MaxBacklog + largest + slack
}

// final checks a connection after the round.
func (t *target) final(k *conn) {
	if err := k.life.final(); err != nil {
		t.violated(oneLife, k, "%v", err)
		return
	}
	opened, _ := k.life.state()
	k.mu.Lock()
	end, sent, upgraded, why := k.end, k.sent, k.upgraded, k.why
	k.mu.Unlock()
	if !opened {
		switch {
		case upgraded:
			t.violated(oneLife, k, "the peer has received the 101, and Open was not called")
		case k.faithful && end != nil && (t.long || t.stalls.since(k.began) < 100*time.Millisecond):
			t.violated(deserved, k, "the peer cannot connect: %v", end.err)
		}
		return
	}
	if end == nil {
		return
	}
	if k.faithful {
		t.judgeEnd(k, end, why)
	}
	if end.closed && !t.dropsOldest() {
		for source, n := range sent {
			if got := end.received[source]; got != n {
				t.violated(delivered, k, "Send has accepted %d messages of stream %s, %d have arrived before the Close", n, streamName(source), got)
			}
		}
	}
	var closed *server.CloseError
	if errors.As(why, &closed) && end.sentClose && !k.disturbed.Load() && k.style != "/hostile" {
		if n := k.handled.Load(); n != end.messages {
			t.violated(delivered, k, "the peer has sent %d messages before its Close, handlers have received %d", end.messages, n)
		}
	}
}

// judgeEnd checks how the connection of a peer that behaves has ended.
func (t *target) judgeEnd(k *conn, end *peerEnd, why error) {
	if problem := t.undeserved(k, end, why); problem != "" {
		t.violated(deserved, k, "%s: the server says %v, the peer %v, with a Close: %v", problem, why, end.err, end.closed)
	}
}

func (t *target) undeserved(k *conn, end *peerEnd, why error) string {
	disturbed := k.disturbed.Load() || t.ending == abruptly
	var closed *server.CloseError
	var failed *server.FailError
	var lost *server.LostError
	var full *server.BacklogError
	switch {
	case errors.As(why, &closed):
		switch {
		case !end.sentClose || closed.Code != end.sentCode:
			return fmt.Sprintf("the peer has sent the code %d: %v", end.sentCode, end.sentClose)
		case k.kind.reads == slowly && (!t.long || end.at.Sub(k.endedTime()) > lingers): // the rest is cut, in a short round by WriteTimeout, which sees progress by the buffer
		case !end.closed && !disturbed:
			return "the closing handshake is done, and the server's Close has not arrived"
		}
		return ""
	case disturbed:
		return ""
	case errors.As(why, &failed):
		return "the connection has failed"
	case errors.As(why, &lost) && errors.As(why, &full):
		if t.policy == server.SlowDropNewest || t.policy == server.SlowDropOldest {
			return "the policy is to drop messages"
		}
		return ""
	case !t.long && t.stalls.since(k.began) > 100*time.Millisecond:
		return "" // a time limit may have passed while nothing ran
	case !t.long && k.kind.reads == slowly && lateFor(why, "CloseTimeout"):
		return "" // the Close lies behind the backlog
	default:
		return "the connection is lost"
	}
}

// lingers is about how long the server lets a peer read the rest after the
// closing handshake.
const lingers = 900 * time.Millisecond

// lateFor reports whether a time limit has ended a connection.
func lateFor(why error, option string) bool {
	var late *server.TimeoutError
	return errors.As(why, &late) && late.Option == option
}

// finalStats checks the statistics after the round.
func (t *target) finalStats() {
	var got uint64
	for _, k := range t.conns {
		if k.target == t && k.end != nil {
			got += k.end.count
		}
	}
	for _, problem := range t.statsProblems(t.srv.Stats(), got) {
		t.add(violation{invariant: statistics, detail: fmt.Sprintf("%v: %s", t, problem)})
	}
}

// statsProblems compares statistics with the events. Peers have received so
// many messages, or more.
func (t *target) statsProblems(st server.Stats, received uint64) (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if st.Open != 0 || st.Opening != 0 || st.Backlog != 0 || st.Blocked != 0 {
		wrong("Open %d, Opening %d, Backlog %d, Blocked %d at the end", st.Open, st.Opening, st.Backlog, st.Blocked)
	}
	if n := uint64(t.opens.Load()); st.Accepted != n {
		wrong("Accepted %d, Open was called %d times", st.Accepted, n)
	}
	if n := st.Ended.ByClient + st.Ended.ByServer + st.Ended.Failed + st.Ended.Lost; n != st.Accepted {
		wrong("Ended %+v are %d, Accepted %d", st.Ended, n, st.Accepted)
	}
	least := uint64(t.panics.Load())
	if most := least + uint64(t.goexits.Load()+t.callbacks.Load()); st.Panics < least || st.Panics > most {
		wrong("Panics %d, there were %d to %d", st.Panics, least, most)
	}
	if n := uint64(t.handled.Load()); st.Received.Messages < n {
		wrong("Received.Messages %d, handlers have received %d", st.Received.Messages, n)
	}
	if st.Sent.Messages < received {
		wrong("Sent.Messages %d, peers have received %d", st.Sent.Messages, received)
	}
	refused := st.Refused.Status3xx + st.Refused.Status4xx + st.Refused.Status5xx
	if n := uint64(t.dialed.Load()); !t.form.hijacked && t.ending == quietly && st.Accepted+refused+st.Unfinished != n {
		wrong("Accepted %d, Refused %d, Unfinished %d, and peers have connected %d times", st.Accepted, refused, st.Unfinished, n)
	}
	if t.long && st.Timeouts != (server.Timeouts{}) {
		wrong("Timeouts %+v, and all limits are a minute", st.Timeouts)
	}
	if most := t.srv.MaxTotalBacklog + (workers+innocents)*t.mostBuffered(nil); st.BacklogPeak > uint64(most) {
		wrong("BacklogPeak %d is more than the limits allow: %d", st.BacklogPeak, most)
	}
	return problems
}

// echoPeriod is the time between two messages of an innocent client.
const echoPeriod = 10 * time.Millisecond

// mostEcho is the bound for the 99th percentile of an innocent client's echo: it
// is no measure of speed, but of a server that stands still.
const mostEcho = 1500 * time.Millisecond

func (r *round) judgeEchoes() {
	n, _, p99, worst := r.echoes.summary()
	if n == 0 {
		if r.stalls.since(r.began) < r.time/2 {
			r.add(violation{invariant: prompt, detail: "no innocent client got an echo"})
		}
		return
	}
	if p99 > mostEcho+2*r.stalls.since(r.began) {
		r.add(violation{invariant: prompt, detail: fmt.Sprintf("the 99th percentile of %d echoes is %v, the longest %v", n, p99, worst)})
	}
}

// latencies are those of echoes. An echo that takes longer than echoPeriod also
// stands for those that were not asked for meanwhile.
type latencies struct {
	mu   sync.Mutex
	took []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; d > 0; d -= echoPeriod {
		l.took = append(l.took, d)
	}
}

func (l *latencies) summary() (n int, p50, p99, worst time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n = len(l.took); n == 0 {
		return 0, 0, 0, 0
	}
	slices.Sort(l.took)
	return n, l.took[n/2], l.took[n*99/100], l.took[n-1]
}

// stallClock knows when the machine was too busy for this process, or the
// scheduler for a goroutine that sleeps.
type stallClock struct {
	mu    sync.Mutex
	times []time.Time
	total []time.Duration // up to the time
}

// stallMin is the least delay that counts.
const stallMin = 20 * time.Millisecond

func (s *stallClock) run(stop <-chan struct{}) {
	const period = 10 * time.Millisecond
	for before := time.Now(); ; {
		select {
		case <-stop:
			return
		default:
		}
		time.Sleep(period)
		now := time.Now()
		if late := now.Sub(before) - period; late > stallMin {
			s.add(now, late)
		}
		before = now
	}
}

func (s *stallClock) add(at time.Time, late time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.total); n > 0 {
		late += s.total[n-1]
	}
	s.times, s.total = append(s.times, at), append(s.total, late)
}

// since returns the sum of the delays since a moment.
func (s *stallClock) since(began time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.total)
	i := sort.Search(n, func(i int) bool { return s.times[i].After(began) })
	switch {
	case i == n:
		return 0
	case i == 0:
		return s.total[n-1]
	}
	return s.total[n-1] - s.total[i-1]
}

// setProcs sets GOMAXPROCS and returns what sets it back.
func setProcs(n int) (back func()) {
	old := runtime.GOMAXPROCS(n)
	return func() { runtime.GOMAXPROCS(old) }
}
