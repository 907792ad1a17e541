package conform

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest"
)

func TestURLThatIsNone(t *testing.T) {
	for _, u := range []string{"", "http://localhost/", "ws:///path", "localhost:9001", "ws://[::1"} {
		if _, err := JudgeServer(t.Context(), u, Cases(), Options{}); err == nil {
			t.Errorf("%q is accepted", u)
		}
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	refused := errors.New("refused")
	results, err := JudgeServer(t.Context(), "ws://localhost:1/", Cases(), Options{Dial: func(context.Context) (net.Conn, error) { return nil, refused }})
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || !errors.Is(err, refused) || len(results) != 0 {
		t.Errorf("%d results, %v", len(results), err)
	}
}

// dialTestee returns a connection to a server that is in memory.
func dialTestee(peer *testee) net.Conn {
	client, server := wstest.Pipe(roomy)
	go peer.serve(server)
	return client
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dial := func(context.Context) (net.Conn, error) { return dialTestee(new(testee)), nil }
	n := 0
	results, err := JudgeServer(ctx, "ws://server.test/", Cases(), Options{Dial: dial, Parallel: 1, Result: func(*Result) {
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
	dial := func(context.Context) (net.Conn, error) { return dialTestee(new(testee)), nil }
	cases := selected(t, "9.7.1", "5.*", "12.1.1", "1.1.1")
	var seen []string
	results, err := JudgeServer(t.Context(), "ws://server.test/", cases, Options{Dial: dial, Agent: "its own", Result: func(r *Result) { seen = append(seen, r.Case.ID) }})
	check.Must(t, err)
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

// The default of Agent is the server's name, without quotes or escapes.
func TestAgentIsTheServersName(t *testing.T) {
	for name, want := range map[string]string{"": "UnknownServer", "x/1.0 (y)": "x/1.0 (y)"} {
		peer := &testee{testeeFaults{response: func(h http.Header) {
			delete(h, "Server")
			if name != "" {
				h["Server"] = []string{name}
			}
		}}}
		results, err := JudgeServer(t.Context(), "ws://server.test/", selected(t, "1.1.1"), Options{Dial: func(context.Context) (net.Conn, error) { return dialTestee(peer), nil }})
		if err != nil || results[0].Agent != want {
			t.Errorf("got %+v, %v", results[0].Agent, err)
		}
	}
}
