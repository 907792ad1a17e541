package conform

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options are the options of a run. The zero value suits most runs.
type Options struct {
	// Only and Except select the cases of TestServer and TestClient by patterns
	// as Select takes them. By default all cases run.
	Only, Except []string

	// Strict makes TestServer and TestClient fail for the verdict NON-STRICT,
	// too.
	Strict bool

	// Agent is the name of the peer in results. By default a server has the
	// name in its response's field Server.
	Agent string

	// Patience multiplies the timeouts of the judge, 1 by default. The delays
	// that a case consists of stay as they are.
	Patience float64

	// Rounds is the number of messages that the cases with many round trips
	// exchange (9.7, 9.8, 12 and 13), 1000 by default. Fewer make a run
	// shorter, and its results are no longer those of the suite.
	Rounds int

	// Parallel is the number of cases that run at the same time, 32 by default.
	// Cases that measure time run alone. A case that fails among others is
	// judged again alone, and the second verdict stands. A FuzzingServer
	// ignores it.
	Parallel int

	// Result, if not nil, is called for each verdict, one call at a time: once
	// for a case, and again if a second run ends with another verdict.
	Result func(*Result)

	// Again, if not nil, is called with the number of cases that are judged
	// again, before the first of them.
	Again func(cases int)

	// Dial connects to the server under test. By default the judge connects to
	// the URL's host, with TLS for wss.
	Dial func(ctx context.Context) (net.Conn, error)
	TLS  *tls.Config // for wss without Dial

	// Header has additional fields of the request. Host and User-Agent replace
	// the judge's own. Results omit the values of Authorization,
	// Proxy-Authorization and Cookie.
	Header http.Header
	Origin string // the request's Origin; empty: none

	// Subprotocols are offered to the server, which may select one of them or
	// none.
	Subprotocols []string
}

func (o Options) patience() float64 { return cmp.Or(o.Patience, 1) }

// patient returns the duration of a timeout of d.
func (o Options) patient(d time.Duration) time.Duration {
	return time.Duration(float64(d) * o.patience())
}

// An UnreachableError reports that no connection to the server could be made.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot connect to %q: %v", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// A RefusedError reports that the server refused the first opening handshakes,
// so that no case was run. Probably the path is wrong, or a field of the
// request is missing.
type RefusedError struct {
	URL  string
	Err  error  // of the first of them
	Name string // the response's field Server
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("no case was run at %q: %v", e.URL, e.Err)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// A DownError reports that the server stopped accepting connections during the
// run.
type DownError struct {
	URL   string
	Err   error   // of the last connection attempt
	Cases []*Case // the cases that were running
	Left  int     // the number of cases without a verdict
}

func (e *DownError) Error() string {
	const most = 12
	var ids []string
	for i, c := range e.Cases {
		if i == most {
			ids = append(ids, fmt.Sprintf("%d more", len(e.Cases)-most))
			break
		}
		ids = append(ids, c.ID)
	}
	when := ""
	switch len(ids) {
	case 0:
	case 1:
		when = " since case " + ids[0]
	default:
		when = " since one of the cases " + strings.Join(ids, ", ")
	}
	return fmt.Sprintf("the server at %q is down%s; cases without a verdict: %d (%v)", e.URL, when, e.Left, e.Err)
}

func (e *DownError) Unwrap() error { return e.Err }

// JudgeServer runs the cases against the server at a ws or wss URL and returns
// the results in the order of the cases. If ctx ends or the server goes down,
// the results are those so far. The error is that of ctx, an error of
// Options.Check, an *UnreachableError, a *RefusedError or a *DownError.
func JudgeServer(ctx context.Context, rawURL string, cases []*Case, o Options) ([]*Result, error) {
	u, err := url.Parse(rawURL)
	if err == nil && (u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "") {
		err = fmt.Errorf("%q is not a URL of the form ws://host:port/path", rawURL)
	}
	if err == nil {
		err = o.Check()
	}
	if err != nil {
		return nil, err
	}
	r := newServerRun(u, cases, o)
	err = r.all(ctx)
	results := make([]*Result, 0, len(cases))
	for _, result := range r.results {
		if result != nil {
			result.Agent = r.name()
			results = append(results, result)
		}
	}
	return results, err
}

// Check returns an error if the origin, a header field or a subprotocol cannot
// be sent.
func (o Options) Check() error {
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if strings.ContainsFunc(o.Origin, control) {
		return fmt.Errorf("the origin %.100q has a control character", o.Origin)
	}
	for name, values := range o.Header {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name):
			return fmt.Errorf("%.100q is not the name of a header field", name)
		case canonical == "Upgrade", canonical == "Connection", strings.HasPrefix(canonical, "Sec-Websocket-"):
			return fmt.Errorf("the header field %s belongs to the opening handshake", canonical)
		}
		if slices.ContainsFunc(values, func(value string) bool { return strings.ContainsFunc(value, control) }) {
			return fmt.Errorf("the value of the header field %s has a control character", canonical)
		}
	}
	for _, p := range o.Subprotocols {
		if !isToken(p) {
			return fmt.Errorf("%.100q is not the name of a subprotocol", p)
		}
	}
	return nil
}

var errStopped = errors.New("a client asked for the end")
