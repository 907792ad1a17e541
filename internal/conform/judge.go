package conform

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// Options are how a run is done. The zero value is right for most.
type Options struct {
	// Agent names the peer in results; "" for the name that the peer gives itself.
	Agent string

	// Patience multiplies the times after which the judge gives up on the peer; 0 is 1. The waits that a case itself
	// consists of stay as they are.
	Patience float64

	// Parallel is how many cases run at the same time, of those that do not measure time; 0 is 32.
	Parallel int

	// Result, if it is set, is called for each case that has ended, one call after the other.
	Result func(*Result)
}

func (o Options) patience() float64 { return cmp.Or(o.Patience, 1) }

// A Target is a server under test.
type Target struct {
	URL    string                                      // ws://host:port/path or wss://
	Dial   func(ctx context.Context) (net.Conn, error) // nil: connect to the URL's host, with TLS for wss
	TLS    *tls.Config                                 // for wss without Dial; nil for the default
	Origin string                                      // sent as Origin if it is not empty
}

// UnreachableError is that no connection to the server under test could be made at all.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot connect to %q: %v", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// TestServer runs the cases against a server and returns the results in the order of the cases, those that there
// are if ctx ends meanwhile. The error is that of ctx, or that the URL is none, or an *UnreachableError.
func TestServer(ctx context.Context, to Target, cases []*Case, o Options) ([]*Result, error) {
	u, err := url.Parse(to.URL)
	if err == nil && (u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "") {
		err = fmt.Errorf("%q is not a URL of the kind ws://host:port/path", to.URL)
	}
	if err != nil {
		return nil, err
	}
	r := &serverRun{to: to, url: u, options: o, results: make([]*Result, len(cases)), agent: o.Agent}
	err = r.all(ctx, cases)
	results := make([]*Result, 0, len(cases))
	for _, result := range r.results {
		if result != nil {
			result.Agent = cmp.Or(r.agent, "UnknownServer")
			results = append(results, result)
		}
	}
	return results, err
}

// serverRun is a run of TestServer.
type serverRun struct {
	to      Target
	url     *url.URL
	options Options

	mu      sync.Mutex // guards the rest, and calls of Options.Result
	results []*Result
	agent   string
	reached bool
}

// all runs the cases: those that mostly wait at first, many at once; then those that compute; then, alone, those that measure.
func (r *serverRun) all(ctx context.Context, cases []*Case) error {
	for _, phase := range []struct {
		parallel int
		has      func(*Case) bool
	}{
		{cmp.Or(r.options.Parallel, 32), func(c *Case) bool { return !c.measures && c.compression == nil }},
		{compressionParallel(), func(c *Case) bool { return c.compression != nil }},
		{1, func(c *Case) bool { return c.measures }},
	} {
		if err := r.phase(ctx, cases, phase.parallel, phase.has); err != nil {
			return err
		}
	}
	return nil
}

func (r *serverRun) phase(ctx context.Context, cases []*Case, parallel int, has func(*Case) bool) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	defer running.Wait()
	room := make(chan struct{}, parallel)
	for i, c := range cases {
		if !has(c) {
			continue
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		running.Go(func() {
			defer func() { <-room }()
			if err := r.one(ctx, i, c); err != nil {
				stop(err)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// one runs a case. The error is an *UnreachableError, or that of ctx.
func (r *serverRun) one(ctx context.Context, i int, c *Case) error {
	result, h, err := r.play(ctx, c)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && !r.reached {
		return &UnreachableError{URL: r.to.URL, Err: err}
	}
	r.reached = true
	if err != nil {
		result = neverOpen(c, "", Server, h, err)
	}
	r.agent = cmp.Or(r.agent, h.server)
	result.Agent = cmp.Or(r.agent, "UnknownServer")
	r.results[i] = result
	if r.options.Result != nil {
		r.options.Result(result)
	}
	return nil
}

// play connects and plays a case. The error is that there is no connection.
func (r *serverRun) play(ctx context.Context, c *Case) (*Result, hello, error) {
	patience := r.options.patience()
	within := time.Duration(float64(openTimeout) * patience)
	conn, err := r.dial(ctx, within)
	if err != nil {
		return nil, hello{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	h, err := hail(conn, r.url, r.to.Origin, c, within)
	if err != nil {
		return neverOpen(c, "", Server, h, err), h, nil
	}
	s := newSession(conn, Client, c, patience)
	s.deflate = h.agreement
	s.run(h.early)
	return s.result(h, "", Server), h, nil
}

func (r *serverRun) dial(ctx context.Context, within time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if r.to.Dial != nil {
		return r.to.Dial(ctx)
	}
	if r.url.Scheme == "wss" {
		d := tls.Dialer{Config: r.to.TLS}
		return d.DialContext(ctx, "tcp", hostPort(r.url))
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", hostPort(r.url))
}

var errStopped = errors.New("a client asked for the end")
