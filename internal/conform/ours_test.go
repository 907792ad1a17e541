package conform_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/conform"
	"github.com/fibersock/fibersock/internal/conform/report"
	"github.com/fibersock/fibersock/internal/driver"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

// unhurried makes the judge wait for a machine that is busy with other tests, under the race detector too.
var unhurried = conform.Options{Patience: 20, Agent: "ours"}

// ourServers start our server, sending everything back, in each of the ways to run it, until the test ends.
var ourServers = map[string]func(t *testing.T, s *server.Server) conform.Target{
	"listening": func(t *testing.T, s *server.Server) conform.Target {
		return conform.Target{URL: "ws://" + serveOn(t, listen(t), s.Serve, s.Shutdown)}
	},
	"behind net/http": func(t *testing.T, s *server.Server) conform.Target {
		web := &http.Server{Handler: httpupgrade.Handler(s)}
		stop := func(ctx context.Context) error {
			if err := s.Shutdown(ctx); err != nil {
				return err
			}
			return web.Shutdown(ctx)
		}
		return conform.Target{URL: "ws://" + serveOn(t, listen(t), web.Serve, stop)}
	},
	"over TLS": func(t *testing.T, s *server.Server) conform.Target {
		ours, theirs := certificate()
		addr := serveOn(t, tls.NewListener(listen(t), ours), s.Serve, s.Shutdown)
		dialer := &tls.Dialer{Config: theirs}
		return conform.Target{URL: "wss://" + addr, Dial: func(ctx context.Context) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr)
		}}
	},
}

// Every case of the suite, against our server in each of the ways to run it. Only the one that listens gets the large
// messages and the full number of messages, unless -full asks for all.
func TestOurServerConforms(t *testing.T) {
	for name, start := range ourServers {
		t.Run(name, func(t *testing.T) {
			o, except := unhurried, tooSlow
			if name != "listening" && !*conform.Full {
				o.Rounds, except = 50, large
			}
			cases := selected(t, nil, except)
			results, err := conform.TestServer(t.Context(), start(t, echoServer()), cases, o)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, cases, results)
		})
	}
}

// Every case of the suite, against our client: first those that mostly wait, many at once, then those that
// compute, which would make others late, a few at once.
func TestOurClientConforms(t *testing.T) {
	for _, part := range []struct {
		name     string
		only     []string
		parallel int
	}{
		{"framing to closing", []string{"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"}, 32},
		{"compression", []string{"12.*", "13.*"}, 2},
		{"limits", []string{"9.*"}, 2},
	} {
		t.Run(part.name, func(t *testing.T) {
			cases := selected(t, part.only, tooSlow)
			compare(t, cases, judgeOurClient(t, cases, part.parallel))
		})
	}
}

// judgeOurClient runs cases against our client, some at the same time.
func judgeOurClient(t *testing.T, cases []*conform.Case, parallel int) []*conform.Result {
	t.Helper()
	fuzzing := &conform.FuzzingServer{Cases: cases, Options: unhurried, Once: true}
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- fuzzing.Serve(t.Context(), ln) }()
	d := &driver.Driver{URL: "ws://" + ln.Addr().String(), Agent: "ours", Parallel: parallel}
	if err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	return fuzzing.Results()["ours"]
}

// large are cases of large messages: one of each kind is not among them.
var large = []string{
	"9.1.5", "9.1.6", "9.2.*", "9.3.2", "9.3.3", "9.3.4", "9.3.6", "9.3.7", "9.3.8", "9.4.*",
	"9.5.2", "9.5.3", "9.5.4", "9.5.5", "9.6.*", "9.8.*",
}

// tooSlow are cases that no test runs, because they would take too long.
var tooSlow []string

// selected returns the cases that match one of the patterns, or all if there is none, without the exceptions; in short
// mode without 9.*.
func selected(t *testing.T, only, except []string) []*conform.Case {
	t.Helper()
	if testing.Short() {
		except = []string{"9.*"}
	}
	if len(except) > 0 {
		t.Logf("without %s, which are about large messages", strings.Join(except, ", "))
	}
	cases, err := conform.Select(only, except)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// compare compares the results of cases with the committed expectation.
func compare(t *testing.T, cases []*conform.Case, results []*conform.Result) {
	t.Helper()
	file, err := os.Open("testdata/ours.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	expectation, err := report.ReadExpectation(file)
	if err != nil {
		t.Fatal(err)
	}
	differences, err := expectation.Compare("ours", results)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]*conform.Result{}
	for _, r := range results {
		byID[r.Case.ID] = r
	}
	for _, d := range differences {
		t.Errorf("%s (%s; %s)", d, byID[d.ID].Why, byID[d.ID].WhyClose)
	}
	for _, c := range cases {
		if byID[c.ID] == nil {
			t.Errorf("case %s has no result", c.ID)
		}
	}
}

// echoServer returns our server, which sends every message back.
func echoServer() *server.Server {
	return &server.Server{
		Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }},
		Log:     func(error) {}, // of the connections that a case breaks
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// serveOn serves on ln until the test ends, and returns the address.
func serveOn(t *testing.T, ln net.Listener, serve func(net.Listener) error, shutdown func(context.Context) error) (addr string) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		<-served
	})
	return ln.Addr().String()
}

// certificate returns both sides' configuration of TLS, with a certificate for 127.0.0.1.
func certificate() (server, client *tls.Config) {
	ts := httptest.NewTLSServer(nil)
	defer ts.Close()
	return &tls.Config{Certificates: ts.TLS.Certificates}, ts.Client().Transport.(*http.Transport).TLSClientConfig
}
