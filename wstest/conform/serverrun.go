package conform

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A serverRun is a run of JudgeServer. Its methods identify a case by its index
// in cases.
//
// Most cases run many at a time. The load of the others may slow or crash the
// server and fail a case. Such a case is judged again alone.
type serverRun struct {
	url     *url.URL
	options Options
	cases   []*Case

	mu       sync.Mutex // guards the following fields, and calls of Options.Result
	results  []*Result  // nil: no result
	alone    []bool     // the result is of a case that ran alone
	reported [][2]Verdict
	agent    string

	// The cases that may have crashed the server: those that ran at some time
	// after the last connection was made.
	running  map[int]bool
	ended    []int
	cleared  int // the number of cases that were removed from ended
	suspects map[int]bool
}

func newServerRun(u *url.URL, cases []*Case, o Options) *serverRun {
	return &serverRun{
		url: u, options: o, cases: cases, agent: o.Agent,
		results: make([]*Result, len(cases)), alone: make([]bool, len(cases)), reported: make([][2]Verdict, len(cases)),
		running: map[int]bool{}, suspects: map[int]bool{},
	}
}

// name returns the name of the server in results.
func (r *serverRun) name() string { return cmp.Or(r.agent, "UnknownServer") }

// The limits of a run without a server.
const (
	firstRefusals = 3               // handshakes that a server refuses before the run ends
	returnTimeout = 5 * time.Second // for a server that is down
	returnPoll    = 100 * time.Millisecond
)

// errNoServer ends cases that run at the same time, because no connection can
// be made.
var errNoServer = errors.New("no server")

// all runs the cases: first those that mostly wait, many at a time; then those
// that compress; then, alone, those that did not pass and those that measure
// time.
func (r *serverRun) all(ctx context.Context) error {
	waiting, computing, measuring := phases(r.cases)
	if err := r.first(ctx, slices.Concat(waiting, computing, measuring)); err != nil {
		return err
	}
	if many, some := r.options.limits(); many > 1 {
		if err := r.atOnce(ctx, r.without(waiting), many); err != nil && err != errNoServer {
			return err
		}
		if err := r.atOnce(ctx, r.without(computing), some); err != nil && err != errNoServer {
			return err
		}
	}
	if slices.ContainsFunc(r.results, func(result *Result) bool { return result != nil && abrupt(result) }) {
		r.probe(ctx)
	}
	again := r.again()
	if len(again) > 0 && r.options.Again != nil {
		r.options.Again(len(again))
	}
	return r.oneByOne(ctx, slices.Concat(again, r.without(waiting), r.without(computing), r.without(measuring)))
}

// phases returns the indexes of the cases that mostly wait, of those that
// compress, and of those that measure time.
func phases(cases []*Case) (waiting, computing, measuring []int) {
	for i, c := range cases {
		switch {
		case c.measures:
			measuring = append(measuring, i)
		case c.compression != nil:
			computing = append(computing, i)
		default:
			waiting = append(waiting, i)
		}
	}
	return waiting, computing, measuring
}

// limits returns the number of cases that run at the same time, of those that
// wait and of those that compress.
func (o Options) limits() (waiting, computing int) {
	waiting = cmp.Or(o.Parallel, 32)
	return waiting, min(waiting, runtime.GOMAXPROCS(0))
}

// first runs cases alone until the server accepts an opening handshake.
func (r *serverRun) first(ctx context.Context, cases []int) error {
	var refused *RefusedError
	for n, i := range cases {
		conn, err := r.connect(ctx)
		if err != nil {
			return &UnreachableError{URL: r.url.String(), Err: err}
		}
		result, h := r.play(ctx, i, conn)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if h.refused == nil {
			r.keep(i, result, h, true)
			r.report(i)
			return nil
		}
		if refused == nil {
			refused = &RefusedError{URL: r.url.String(), Err: h.refused}
		}
		if n+1 == min(firstRefusals, len(cases)) {
			return refused
		}
	}
	return nil // there are no cases
}

// without returns the cases without a result.
func (r *serverRun) without(cases []int) []int {
	return slices.DeleteFunc(slices.Clone(cases), func(i int) bool { return r.results[i] != nil })
}

// again returns the cases that ran among others and must run again alone: those
// without the best verdict, and those that may have crashed the server.
func (r *serverRun) again() []int {
	var list []int
	for i, result := range r.results {
		if result != nil && !r.alone[i] && (!settled(result) || r.suspects[i]) {
			list = append(list, i)
		}
	}
	return list
}

// abrupt reports whether the peer ended TCP without a Close, as the kernel does
// for a crashed process.
func abrupt(result *Result) bool { return result.RemoteClose == nil && !result.DroppedByMe }

// probe suspects the last cases if no connection can be made.
func (r *serverRun) probe(ctx context.Context) {
	conn, err := r.connect(ctx)
	if err != nil {
		r.suspect()
		return
	}
	conn.Close()
}

// settled reports whether a result has the best verdict, so that the case need
// not run again.
func settled(result *Result) bool {
	good := func(v Verdict) bool { return v == OK || v == Informational || v == Unimplemented }
	return good(result.Behavior) && good(result.BehaviorClose)
}

// atOnce runs cases, up to limit at the same time. The error is errNoServer, or
// that of ctx.
func (r *serverRun) atOnce(ctx context.Context, cases []int, limit int) error {
	return parallel(ctx, len(cases), limit, func(ctx context.Context, i int) error { return r.among(ctx, cases[i]) })
}

// among runs a case among others. If no connection can be made, the case runs
// later, alone.
func (r *serverRun) among(ctx context.Context, i int) error {
	before := r.endedSoFar()
	conn, err := r.connect(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.suspect()
		if !r.awaitServer(ctx) {
			return errNoServer
		}
		return nil
	}
	r.begin(i, before)
	result, h := r.play(ctx, i, conn)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.keep(i, result, h, false)
	if settled(result) {
		r.report(i)
	}
	return nil
}

// endedSoFar returns how many cases have ended.
func (r *serverRun) endedSoFar() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cleared + len(r.ended)
}

// begin records that a connection for a case was made after so many cases had
// ended. These cases have not crashed the server.
func (r *serverRun) begin(i, ended int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := ended - r.cleared; n > 0 {
		r.ended, r.cleared = r.ended[n:], ended
	}
	r.running[i] = true
}

// suspect records the cases that may be the reason for a failed connection.
func (r *serverRun) suspect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.running {
		r.suspects[i] = true
	}
	for _, i := range r.ended {
		r.suspects[i] = true
	}
}

// keep stores a result, and replaces an earlier one.
func (r *serverRun) keep(i int, result *Result, h hello, alone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, i)
	r.ended = append(r.ended, i)
	r.agent = cmp.Or(r.agent, h.server)
	result.Agent = r.name()
	result.Again = r.results[i] != nil
	r.results[i], r.alone[i] = result, alone
}

// report calls Options.Result, unless the case was reported with the same
// verdicts.
func (r *serverRun) report(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	result := r.results[i]
	verdicts := [2]Verdict{result.Behavior, result.BehaviorClose}
	if verdicts == r.reported[i] {
		return
	}
	r.reported[i] = verdicts
	if r.options.Result != nil {
		r.options.Result(result)
	}
}

// oneByOne runs cases alone. If the server is down after one of them, that case
// runs again. If the server is down again, the case fails. The error is a
// *DownError, or that of ctx.
func (r *serverRun) oneByOne(ctx context.Context, cases []int) error {
	q := &soloQueue{serverRun: r, left: cases, last: -1, struck: map[int]bool{}, missed: map[int]int{}}
	for len(q.left) > 0 || q.endedAbruptly() {
		if q.endedAbruptly() {
			time.Sleep(returnPoll / 5) // the listener of a dying process closes a little later
		}
		conn, err := r.connect(ctx)
		if err != nil && ctx.Err() == nil {
			if err := q.noServer(ctx, err); err != nil {
				return err
			}
			continue
		}
		q.reportLast()
		if err != nil {
			return context.Cause(ctx)
		}
		if len(q.left) == 0 {
			conn.Close()
			return nil
		}
		i := q.left[0]
		q.left = q.left[1:]
		result, h := r.play(ctx, i, conn)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.keep(i, result, h, true)
		q.last = i
	}
	q.reportLast()
	return nil
}

// A soloQueue has the cases of oneByOne.
type soloQueue struct {
	*serverRun
	left   []int
	last   int          // the last case, if it is not reported; -1: none
	struck map[int]bool // the cases after which the server was down
	missed map[int]int  // the connections that could not be made for a case
}

// endedAbruptly reports whether the last case may have crashed the server.
func (q *soloQueue) endedAbruptly() bool { return q.last >= 0 && abrupt(q.results[q.last]) }

// reportLast reports the last case.
func (q *soloQueue) reportLast() {
	if q.last >= 0 {
		q.report(q.last)
		q.last = -1
	}
}

// noServer handles a connection that could not be made, because of err.
func (q *soloQueue) noServer(ctx context.Context, err error) error {
	back := q.awaitServer(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	last := q.last
	if last >= 0 && back && !q.struck[last] {
		q.struck[last] = true
		q.left = append([]int{last}, q.left...)
		q.last = -1
		return nil
	}
	if last >= 0 {
		q.blame(last, err)
		q.reportLast()
	}
	if !back {
		return q.down(last, err)
	}
	if len(q.left) == 0 {
		return nil
	}
	i := q.left[0]
	if q.missed[i]++; q.missed[i] == firstRefusals {
		q.keep(i, neverOpen(q.cases[i], "", Server, hello{}, err), hello{}, true)
		q.report(i)
		q.left = q.left[1:]
	}
	return nil
}

// blame fails a case because the server is down since then.
func (r *serverRun) blame(i int, err error) {
	result := r.results[i]
	result.Behavior = Failed
	result.Why = fmt.Sprintf("the server is down: after this case no connection could be made (%v); until then: %s", err, result.Why)
}

// down returns the error for a server that no longer accepts connections. last
// is the case that ran alone before, -1 if cases ran at the same time. Results
// that a second run would have to confirm are removed.
func (r *serverRun) down(last int, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &DownError{URL: r.url.String(), Err: err}
	suspects := slices.Sorted(maps.Keys(r.suspects))
	if last >= 0 {
		suspects = []int{last}
	}
	for _, i := range suspects {
		e.Cases = append(e.Cases, r.cases[i])
	}
	for i, result := range r.results {
		if result != nil && !r.alone[i] && (!settled(result) || r.suspects[i]) {
			r.results[i] = nil
		}
		if r.results[i] == nil {
			e.Left++
		}
	}
	return e
}

// awaitServer waits until a connection can be made, up to returnTimeout, and
// reports whether it can.
func (r *serverRun) awaitServer(ctx context.Context) bool {
	for end := time.Now().Add(r.options.patient(returnTimeout)); ; {
		if conn, err := r.connect(ctx); err == nil {
			conn.Close()
			return true
		}
		if ctx.Err() != nil || !time.Now().Before(end) {
			return false
		}
		select {
		case <-time.After(returnPoll):
		case <-ctx.Done():
		}
	}
}

// play runs a case on conn.
func (r *serverRun) play(ctx context.Context, i int, conn net.Conn) (*Result, hello) {
	c := r.cases[i]
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	h, err := hail(conn, r.url, r.options, c, r.options.patient(openTimeout))
	if err != nil {
		return neverOpen(c, "", Server, h, err), h
	}
	s := newSession(conn, Client, c, r.options)
	s.deflate = h.agreement
	s.run(h.early)
	return s.result(h, "", Server), h
}

func (r *serverRun) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.patient(openTimeout))
	defer cancel()
	if r.options.Dial != nil {
		return r.options.Dial(ctx)
	}
	if r.url.Scheme == "wss" {
		d := tls.Dialer{Config: r.options.TLS}
		return d.DialContext(ctx, "tcp", hostPort(r.url))
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", hostPort(r.url))
}
