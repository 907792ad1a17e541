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
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
	usages "github.com/fibersock/fibersock/internal/test/usage"
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

// round is a part of a run with servers of its own.
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
	ended   chan struct{} // closed when scripts are to end
	endedAt time.Time     // when that was
	shut    chan struct{} // closed when Shutdown has returned
	down    atomic.Bool   // Shutdown has been called or is about to be
	opened  atomic.Pointer[chan struct{}]
	held    chan struct{} // closed: handlers in actHold continue
	holds   atomic.Int64  // such handlers

	mu     sync.Mutex // guards the rest
	phases []string
	conns  map[uint32]*conn
	open   []*conn // between Open and Close
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
	r.phase("peers")
	r.awaitIdle()
	r.phase("idle")
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
		r.add(violation{invariant: released, detail: fmt.Sprintf("%d goroutines are left", len(left)), dump: strings.Join(left, "\n\n")})
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

// longest is the longest life of a connection whose peer has disappeared, by the
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
	case t.ending == midway && took > wait+slack:
		t.add(violation{invariant: shutdown, detail: fmt.Sprintf("%s: Shutdown with a context of %v has returned after %v", t, wait, took)})
	case t.ending != midway && (err != nil || took > t.longest()+slack):
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

// queue lists the kinds of peers that t can have, the ones with TLS first and then
// from an offset, and returns the offset for the next target: a short run has all
// kinds.
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

// over reports whether scripts are to end.
func (r *round) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// overFor returns the time since the scripts had to end, 0 before.
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

// slack is the tolerance of a time limit: the clock of the server is coarse, and the
// machine may be busy.
func (r *round) slack(since time.Time) time.Duration { return 2*time.Second + 2*r.stalls.since(since) }

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
	r.recorder.add(v)
}

func (r *round) hang(v violation) {
	v.round = r.name
	if v.conn != nil {
		v.history = v.conn.history()
	}
	r.recorder.hang(v)
}

// monitor checks all open connections every 20 ms.
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

// look checks the age and the backlog of an open connection.
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

// mostBuffered is the limit of a connection's backlog: MaxBacklog, or a message for
// an empty backlog, and control frames.
func (t *target) mostBuffered(k *conn) int {
	const largest, slack = 100_000, 64 << 10
	if k != nil && k.kind.flood { // it receives only broadcasts
		return t.srv.MaxBacklog + slack/2 + k.kind.pongs
	}
	if t.dropsOldest() { // the newest message and the one being written are kept
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
		t.checkEnd(k, end, why)
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

// checkEnd checks the end of the connection of a peer that behaves.
func (t *target) checkEnd(k *conn, end *peerEnd, why error) {
	if problem := t.undeserved(k, end, why); problem != "" {
		t.violated(deserved, k, "%s: the server says %v, the peer %v, with a Close: %v", problem, why, end.err, end.closed)
	}
}

func (t *target) undeserved(k *conn, end *peerEnd, why error) string {
	disturbed := k.disturbed.Load() || t.ending == midway
	var closed *server.CloseError
	var failed *server.FailError
	var lost *server.LostError
	var full *server.BacklogError
	switch {
	case errors.As(why, &closed):
		switch {
		case !end.sentClose || closed.Code != end.sentCode:
			return fmt.Sprintf("the peer has sent the code %d: %v", end.sentCode, end.sentClose)
		case k.kind.reads == slowly && (!t.long || end.at.Sub(k.endedTime()) > lingers): // the rest is dropped, in a short round by WriteTimeout, which measures progress by the buffer
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
		return "" // a time limit may have passed during a stall
	case !t.long && k.kind.reads == slowly && lateFor(why, "CloseTimeout"):
		return "" // the Close follows the backlog
	default:
		return "the connection is lost"
	}
}

// lingers is about the time in which the server flushes after the closing
// handshake.
const lingers = 900 * time.Millisecond

// lateFor reports whether an error is due to the time limit option.
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

// statsProblems compares statistics with the events. received is the least number
// of messages that peers have received.
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
	if n := uint64(t.dialed.Load()); !t.form.hijacked && t.ending == afterPeers && st.Accepted+refused+st.Unfinished != n {
		wrong("Accepted %d, Refused %d, Unfinished %d, and peers have connected %d times", st.Accepted, refused, st.Unfinished, n)
	}
	if t.long && st.Timeouts != (server.Timeouts{}) {
		wrong("Timeouts %+v, and all limits are a minute", st.Timeouts)
	}
	if most := t.srv.MaxTotalBacklog + (workers+probes)*t.mostBuffered(nil); st.BacklogPeak > uint64(most) {
		wrong("BacklogPeak %d is more than the limits allow: %d", st.BacklogPeak, most)
	}
	return problems
}

// echoPeriod is the time between two messages of a probe.
const echoPeriod = 10 * time.Millisecond

// mostEcho is the limit of the 99th percentile of echo times. It does not measure
// speed, but finds a server that is blocked.
const mostEcho = 1500 * time.Millisecond

func (r *round) checkEchoes() {
	n, _, p99, worst := r.echoes.summary()
	if n == 0 {
		if r.stalls.since(r.began) < r.time/2 {
			r.add(violation{invariant: prompt, detail: "no probe received an echo"})
		}
		return
	}
	if p99 > mostEcho+2*r.stalls.since(r.began) {
		r.add(violation{invariant: prompt, detail: fmt.Sprintf("the 99th percentile of %d echoes is %v, the longest %v", n, p99, worst)})
	}
}

// latencies are the times of echoes. An echo that takes longer than echoPeriod
// counts for each echo that was not requested meanwhile.
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

// stallClock records the times at which a sleeping goroutine woke late, because the
// machine or the scheduler was busy.
type stallClock struct {
	mu    sync.Mutex
	times []time.Time
	total []time.Duration // up to the time
}

// stallMin is the smallest delay that counts.
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

// since returns the sum of the delays after began.
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

// setProcs sets GOMAXPROCS and returns a function that restores it.
func setProcs(n int) (back func()) {
	old := runtime.GOMAXPROCS(n)
	return func() { runtime.GOMAXPROCS(old) }
}
