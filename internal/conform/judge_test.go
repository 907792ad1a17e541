package conform

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestURLThatIsNone(t *testing.T) {
	for _, u := range []string{"", "http://localhost/", "ws:///path", "localhost:9001", "ws://[::1"} {
		if _, err := TestServer(t.Context(), Target{URL: u}, Cases(), Options{}); err == nil {
			t.Errorf("%q is accepted", u)
		}
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	refused := errors.New("refused")
	results, err := TestServer(t.Context(), Target{URL: "ws://localhost:1/", Dial: func(context.Context) (net.Conn, error) { return nil, refused }}, Cases(), Options{})
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !errors.Is(err, refused) || len(results) != 0 {
		t.Errorf("%d results, %v", len(results), err)
	}
}

// dialTestee returns a connection to a server that is in memory.
func dialTestee(peer *testee) net.Conn {
	client, server := newPipe()
	go peer.serve(server)
	return client
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := Target{URL: "ws://server.test/", Dial: func(context.Context) (net.Conn, error) {
		return dialTestee(new(testee)), nil
	}}
	n := 0
	results, err := TestServer(ctx, target, Cases(), Options{Parallel: 1, Result: func(*Result) {
		if n++; n == 5 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(results) < 5 || len(results) > 6 {
		t.Errorf("%d results, %v", len(results), err)
	}
}

func TestResultsAreInTheOrderOfTheCases(t *testing.T) {
	t.Parallel()
	target := Target{URL: "ws://server.test/", Dial: func(context.Context) (net.Conn, error) {
		return dialTestee(new(testee)), nil
	}}
	cases := selected(t, "9.7.1", "5.*", "12.1.1", "1.1.1")
	var seen []string
	results, err := TestServer(t.Context(), target, cases, Options{Agent: "its own", Result: func(r *Result) { seen = append(seen, r.Case.ID) }})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Case != cases[i] || r.Agent != "its own" {
			t.Errorf("result %d is of %s and %q", i, r.Case.ID, r.Agent)
		}
		if r.Request == "" || r.Response == "" || len(r.Log) == 0 || r.Rx.Octets == 0 || r.Tx.Octets == 0 || r.Started.IsZero() {
			t.Errorf("%s: the result lacks something: %+v", r.Case.ID, r)
		}
	}
	if len(seen) != len(cases) || !strings.HasPrefix(seen[len(seen)-1], "9.") || slices.Index(seen, "12.1.1") != len(seen)-2 {
		t.Errorf("they ended in the order %q", seen)
	}
}

// The name that the server gives itself is quoted by whoever shows it, and is used if none was given.
func TestAgentIsTheServersName(t *testing.T) {
	for name, want := range map[string]string{"": "UnknownServer", "x/1.0 (y)": "x/1.0 (y)"} {
		peer := &testee{testeeFaults{response: func(h http.Header) {
			delete(h, "Server")
			if name != "" {
				h["Server"] = []string{name}
			}
		}}}
		results, err := TestServer(t.Context(), Target{URL: "ws://server.test/", Dial: func(context.Context) (net.Conn, error) { return dialTestee(peer), nil }}, selected(t, "1.1.1"), Options{})
		if err != nil || results[0].Agent != want {
			t.Errorf("got %+v, %v", results[0].Agent, err)
		}
	}
}
