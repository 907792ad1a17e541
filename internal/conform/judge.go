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
)

// Options are how a run is done. The zero value is right for most.
type Options struct {
	// Agent names the peer in results; "" for the name that the peer gives itself.
	Agent string

	// Patience multiplies the times after which the judge gives up on the peer; 0 is 1. The waits that a case itself
	// consists of stay as they are.
	Patience float64

	// Rounds is the number of messages that the cases with many round trips
	// exchange (9.7, 9.8, 12 and 13), 1000 by default. Fewer make a run shorter,
	// and its results are no longer those of the suite.
	Rounds int

	// Parallel is how many cases run at the same time, of those that do not measure time; 0 is 32.
	// A case that fails among others is judged again alone, and the second verdict stands.
	Parallel int

	// Result, if it is set, is called for each verdict, one call after the other: once a case, and
	// once more if the case is judged again and the verdict is another one.
	Result func(*Result)

	// Again, if it is set, is called before cases are judged again, with their number.
	Again func(cases int)
}

func (o Options) patience() float64 { return cmp.Or(o.Patience, 1) }

// A Target is a server under test.
type Target struct {
	URL    string                                      // ws://host:port/path or wss://
	Dial   func(ctx context.Context) (net.Conn, error) // nil: connect to the URL's host, with TLS for wss
	TLS    *tls.Config                                 // for wss without Dial; nil for the default
	Origin string                                      // sent as Origin if it is not empty

	// Header has further fields for the request. Host and User-Agent replace the judge's own. The
	// values of Authorization, Proxy-Authorization and Cookie are left out of results.
	Header http.Header

	// Subprotocols are offered to the server, which may select one of them or none.
	Subprotocols []string
}

// An UnreachableError reports that no connection to the server under test was made.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot connect to %q: %v", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// A RefusedError reports that the server refused the first opening handshakes, so that no case was
// run. The path is wrong, or a field of the request is missing.
type RefusedError struct {
	URL  string
	Err  error  // the reason for the first of them
	Name string // the name that the server gives itself, if it does
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("no case was run at %q: %v", e.URL, e.Err)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// A DownError reports that the server stopped accepting connections during the run.
type DownError struct {
	URL   string
	Err   error   // of the connection that could not be made
	Cases []*Case // those that were under way then
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

// TestServer runs the cases against a server and returns the results in the order of the cases. If
// ctx ends, or the server goes down, they are the results so far. The error is that of ctx, a
// complaint about to, an *UnreachableError, a *RefusedError or a *DownError.
func TestServer(ctx context.Context, to Target, cases []*Case, o Options) ([]*Result, error) {
	u, err := url.Parse(to.URL)
	if err == nil && (u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "") {
		err = fmt.Errorf("%q is not a URL of the kind ws://host:port/path", to.URL)
	}
	if err == nil {
		err = to.Check()
	}
	if err != nil {
		return nil, err
	}
	r := newServerRun(to, u, cases, o)
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

// Check returns an error if the origin, a header field or a subprotocol cannot be sent.
func (t Target) Check() error {
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if strings.ContainsFunc(t.Origin, control) {
		return fmt.Errorf("the origin %.100q has a control character", t.Origin)
	}
	for name, values := range t.Header {
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
	for _, p := range t.Subprotocols {
		if !isToken(p) {
			return fmt.Errorf("%.100q is not the name of a subprotocol", p)
		}
	}
	return nil
}

var errStopped = errors.New("a client asked for the end")
