package conform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"
)

// A T is the part of testing.TB that TestServer and TestClient use.
type T interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// TestServer judges the server at a ws or wss URL, which has to send every
// message back. Each case that the server does not pass is an error of t.
// UNIMPLEMENTED passes: a server need not support permessage-deflate.
func TestServer(t T, url string, o Options) {
	t.Helper()
	cases := o.cases(t)
	results, err := JudgeServer(t.Context(), url, cases, o)
	if err != nil {
		t.Errorf("%v", err)
	}
	o.report(t, cases, results)
}

// TestClient judges a client. For each case it calls echo with a ws URL on the
// loopback interface, from several goroutines at once. echo connects to the
// URL, sends every message back until the connection ends, and returns. Its
// error counts only if it made no connection. ctx ends if the client does not
// return after the end of the connection.
func TestClient(t T, echo func(ctx context.Context, url string) error, o Options) {
	t.Helper()
	cases := o.cases(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
		return
	}
	if o.Agent == "" {
		o.Agent = "client"
	}
	r := &clientRun{
		echo: echo, options: o, url: "ws://" + ln.Addr().String(), cases: cases,
		errs: make([]error, len(cases)), over: make(map[*Case]chan struct{}),
	}
	r.judge.Cases, r.judge.Options = cases, o
	r.judge.Options.Result = r.ended
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		r.judge.Serve(ctx, ln)
	}()
	r.all(ctx)
	stop()
	<-served
	results := r.judge.Results()[o.Agent]
	for i, c := range cases {
		if r.errs[i] != nil && !slices.ContainsFunc(results, func(result *Result) bool { return result.Case == c }) {
			t.Logf("case %s: the client's error: %v", c.ID, r.errs[i])
		}
	}
	o.report(t, cases, results)
}

// cases returns the cases that a test selects.
func (o Options) cases(t T) []*Case {
	t.Helper()
	cases, err := Select(o.Only, o.Except)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return cases
}

// report reports the cases that were not passed, or have no result.
func (o Options) report(t T, cases []*Case, results []*Result) {
	t.Helper()
	byCase := make(map[*Case]*Result)
	for _, r := range results {
		byCase[r.Case] = r
	}
	passed := make(map[Verdict]int)
	for _, c := range cases {
		switch r := byCase[c]; {
		case r == nil:
			t.Errorf("case %s: no result", c.ID)
		case !r.Passed() || o.Strict && r.Behavior == NonStrict:
			t.Errorf("case %s: %s: %s; closing handshake %s: %s\n\t%s\n\t%s", c.ID, r.Behavior, r.Why, r.BehaviorClose, r.WhyClose, c.Description, c.Expectation)
		default:
			passed[r.Behavior]++
		}
	}
	t.Logf("%d cases: %d OK, %d NON-STRICT, %d INFORMATIONAL, %d UNIMPLEMENTED", len(cases), passed[OK], passed[NonStrict], passed[Informational], passed[Unimplemented])
}

// A clientRun is a run of TestClient.
type clientRun struct {
	echo    func(ctx context.Context, url string) error
	options Options
	url     string
	judge   FuzzingServer
	cases   []*Case
	errs    []error // of echo, by case

	mu    sync.Mutex              // guards the rest
	over  map[*Case]chan struct{} // closed when the case has a result
	alone bool                    // cases run one at a time
}

// all runs the cases in the order of a serverRun.
func (r *clientRun) all(ctx context.Context) {
	waiting, computing, measuring := phases(r.cases)
	many, some := r.options.limits()
	r.run(ctx, waiting, many)
	r.run(ctx, computing, some)
	var again []int
	for _, result := range r.judge.Results()[r.options.Agent] {
		if !settled(result) && many > 1 {
			again = append(again, slices.Index(r.cases, result.Case))
		}
	}
	if len(again) > 0 && r.options.Again != nil {
		r.options.Again(len(again))
	}
	r.mu.Lock()
	r.alone = true
	r.mu.Unlock()
	r.run(ctx, slices.Concat(again, measuring), 1)
}

// run runs cases, up to limit at the same time.
func (r *clientRun) run(ctx context.Context, cases []int, limit int) {
	parallel(ctx, len(cases), limit, func(ctx context.Context, i int) error {
		r.errs[cases[i]] = r.runCase(ctx, cases[i])
		return nil
	})
}

// runCase runs a case and returns when it has a result and echo has returned.
// After the first of both, the other has openTimeout.
func (r *clientRun) runCase(ctx context.Context, i int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over, returned := make(chan struct{}), make(chan error, 1)
	r.mu.Lock()
	r.over[r.cases[i]] = over
	r.mu.Unlock()
	go func() {
		returned <- r.echo(ctx, fmt.Sprintf("%s/runCase?case=%d&agent=%s", r.url, i+1, url.QueryEscape(r.options.Agent)))
	}()
	select {
	case <-over:
		select {
		case err := <-returned:
			return err
		case <-time.After(r.options.patient(openTimeout)):
			cancel()
			return cmp.Or(<-returned, errors.New("the client did not return after the end of the connection"))
		}
	case err := <-returned:
		select {
		case <-over:
		case <-time.After(r.options.patient(openTimeout)):
		}
		return err
	}
}

// ended is the judge's Options.Result.
func (r *clientRun) ended(result *Result) {
	r.mu.Lock()
	over, alone := r.over[result.Case], r.alone
	delete(r.over, result.Case)
	r.mu.Unlock()
	if over != nil {
		close(over)
	}
	if r.options.Result != nil && (settled(result) || alone || r.options.Parallel == 1) {
		r.options.Result(result)
	}
}
