package conform

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest"
)

// A testServer accepts connections for a testee until it crashes, and then refuses them for a while.
type testServer struct {
	downtime time.Duration // after a crash; 0: for good
	serve    func(net.Conn)

	serving sync.WaitGroup

	mu    sync.Mutex // guards the rest
	down  bool
	conns []net.Conn
	dials int
}

func (s *testServer) dial(context.Context) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials++
	if s.down {
		return nil, syscall.ECONNREFUSED
	}
	client, server := wstest.Pipe(roomy)
	s.conns = append(s.conns, server)
	s.serving.Go(func() { s.serve(server) })
	return client, nil
}

// crash ends the process: all connections are reset, and there is no listener.
func (s *testServer) crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
	for _, conn := range s.conns {
		conn.(*wstest.Conn).SetLinger(0)
		conn.Close()
	}
	s.conns = nil
	if s.downtime > 0 {
		time.AfterFunc(s.downtime, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.down = false
		})
	}
}

// crashesOn returns a server that crashes on a bad frame.
func crashesOn(downtime time.Duration, bad func(f *testeeFrame) bool) *testServer {
	s := &testServer{downtime: downtime}
	peer := &testee{testeeFaults{
		lenient: func(testeeRule, *testeeFrame) bool { return true },
		frame: func(_ *testeeSession, f *testeeFrame) bool {
			if bad(f) {
				s.crash()
			}
			return true
		},
	}}
	s.serve = peer.serve
	return s
}

// judgeIn runs cases against a server, in a bubble.
func judgeIn(t *testing.T, s *testServer, cases []*Case, o Options) (results []*Result, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		defer s.serving.Wait()
		o.Dial = s.dial
		results, err = JudgeServer(t.Context(), "ws://server.test/", cases, o)
	})
	return results, err
}

// A correct server whose one thread takes 50 ms for a message got 33 FAILED: 32 cases ran at once,
// and the case had to wait for the messages of the others.
func TestSlowServerWithOneThreadIsFoundPerfect(t *testing.T) {
	thread := make(chan struct{}, 1)
	inThread := func(work func()) {
		thread <- struct{}{}
		work()
		<-thread
	}
	peer := &testee{testeeFaults{
		frame: func(*testeeSession, *testeeFrame) bool {
			inThread(func() {})
			return true
		},
		echo: func(s *testeeSession, opcode byte, payload []byte) error {
			inThread(func() {
				time.Sleep(50 * time.Millisecond)
				s.sendMessage(opcode, payload)
			})
			return nil
		},
	}}
	cases := casesOf(t, cheapCases, "")
	var again int
	synctest.Test(t, func(t *testing.T) {
		thread = make(chan struct{}, 1)
		s := &testServer{serve: peer.serve}
		defer s.serving.Wait()
		results, err := JudgeServer(t.Context(), "ws://server.test/", cases, Options{Dial: s.dial, Again: func(n int) { again = n }})
		if err != nil || len(results) != len(cases) {
			t.Fatalf("%d results, %v", len(results), err)
		}
		compareVerdicts(t, results, perfect(t, cases))
		if n := countResults(results, func(r *Result) bool { return r.Again }); n != again {
			t.Errorf("%d cases were judged again, %d were announced", n, again)
		}
	})
	if again < 10 {
		t.Errorf("only %d cases were judged again: the server is not slow", again)
	}
}

func countResults(results []*Result, has func(*Result) bool) int {
	n := 0
	for _, r := range results {
		if has(r) {
			n++
		}
	}
	return n
}

// A server that crashed in one case failed in all that ran at the same time, and in all after that.
func TestServerThatCrashesInOneCaseIsNotBlamedInOthers(t *testing.T) {
	isBad := func(f *testeeFrame) bool { return f.opcode == 3 } // which only 4.1.1 sends
	good := crashesOn(300*time.Millisecond, isBad)
	cases := casesOf(t, cheapCases, "3.* 4.1.2 4.1.3 4.1.4 4.1.5 4.2.* 2.5 5.1 5.2 5.9 5.10 5.11 5.12 5.13 5.14 5.15 5.16 5.17 5.18 7.3.2 7.3.6 7.5.1 7.9.*")
	results, err := judgeIn(t, good, cases, Options{})
	if err != nil || len(results) != len(cases) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for _, r := range results {
		want := perfect(t, cases)[r.Case.ID]
		if r.Case.ID == "4.1.1" {
			want = verdicts{Failed, OK} // the end of TCP would do
			if !strings.HasPrefix(r.Why, "the server is down") {
				t.Errorf("4.1.1: %s", r.Why)
			}
		}
		if got := (verdicts{r.Behavior, r.BehaviorClose}); got != want {
			t.Errorf("%s: %s, want %s (%s; %s)", r.Case.ID, got, want, r.Why, r.WhyClose)
		}
	}
}

// A server that crashes for good has no verdict in the cases that cannot be judged again.
func TestServerThatIsDownIsReported(t *testing.T) {
	isBad := func(f *testeeFrame) bool { return f.opcode == 3 }
	cases := casesOf(t, "1.1.* 2.1 4.1.1 6.5.* 7.7.*", "")
	for _, parallel := range []int{1, 32} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			results, err := judgeIn(t, crashesOn(0, isBad), cases, Options{Parallel: parallel})
			var down *DownError
			if !errors.As(err, &down) || !errors.Is(err, syscall.ECONNREFUSED) || down.Left != len(cases)-len(results) || down.Left == 0 {
				t.Fatalf("%d results of %d, %v", len(results), len(cases), err)
			}
			if !slices.ContainsFunc(down.Cases, func(c *Case) bool { return c.ID == "4.1.1" }) || parallel == 1 && len(down.Cases) != 1 {
				t.Errorf("the error is %v", down)
			}
			failed := countResults(results, func(r *Result) bool { return !r.Passed() })
			if parallel == 1 && (failed != 1 || !strings.Contains(err.Error(), "since case 4.1.1")) || parallel > 1 && failed != 0 {
				t.Errorf("%d cases have failed; %v", failed, err)
			}
		})
	}
}

// A server that is down for a moment, and not because of a case, has not failed.
func TestServerThatIsDownForAMoment(t *testing.T) {
	for _, parallel := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			s := &testServer{serve: new(testee).serve, downtime: 2 * time.Second}
			defer s.serving.Wait()
			time.AfterFunc(1500*time.Millisecond, s.crash) // in 5.19 or 5.20
			cases := casesOf(t, "1.1.* 5.* 7.7.*", "")
			results, err := JudgeServer(t.Context(), "ws://server.test/", cases, Options{Dial: s.dial, Parallel: parallel})
			if err != nil || len(results) != len(cases) {
				t.Fatalf("%d results, %v", len(results), err)
			}
			compareVerdicts(t, results, perfect(t, cases))
		})
	}
}

// A server that accepts a connection only now and then does not keep the judge for ever.
func TestServerThatAcceptsEverySecondConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &testServer{serve: new(testee).serve}
		defer s.serving.Wait()
		n := 0
		dial := func(ctx context.Context) (net.Conn, error) {
			if n++; n > 1 && n%2 == 0 {
				return nil, syscall.ECONNREFUSED
			}
			return s.dial(ctx)
		}
		cases := casesOf(t, "1.1.*", "")
		results, err := JudgeServer(t.Context(), "ws://server.test/", cases, Options{Dial: dial, Parallel: 1})
		if err != nil || len(results) != len(cases) {
			t.Fatalf("%d results, %v", len(results), err)
		}
		for _, r := range results[1:] {
			if r.Behavior != Failed || !strings.Contains(r.Why, "connection refused") {
				t.Errorf("%s: %s, %s", r.Case.ID, r.Behavior, r.Why)
			}
		}
	})
}

// A wrong path gave a page of reasons, one for each of 517 cases.
func TestRunEndsWhenTheFirstHandshakesAreRefused(t *testing.T) {
	answers := func(answer string) func(net.Conn) {
		return func(conn net.Conn) {
			http.ReadRequest(bufio.NewReader(conn))
			io.WriteString(conn, answer)
			conn.Close()
		}
	}
	for _, c := range []struct {
		name  string
		serve func(net.Conn)
		why   string
	}{
		{"not found", answers("HTTP/1.1 404 Not Found\r\nServer: x\r\nContent-Length: 0\r\n\r\n"), "404 Not Found"},
		{"not HTTP", answers("SSH-2.0-OpenSSH\r\n\r\n"), "no HTTP response"},
		{"nothing", func(conn net.Conn) { conn.Close() }, "did not answer"},
		{"silence", func(conn net.Conn) { io.Copy(io.Discard, conn) }, "did not answer"},
		{"after 6 s", (&testee{testeeFaults{response: func(http.Header) { time.Sleep(6 * time.Second) }}}).serve, "did not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &testServer{serve: c.serve}
			results, err := judgeIn(t, s, Cases(), Options{Result: func(r *Result) { t.Errorf("a verdict on %s", r.Case.ID) }})
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.why) || len(results) != 0 || s.dials != 3 {
				t.Errorf("%d results after %d connections, %v", len(results), s.dials, err)
			}
		})
	}
}

// Refusals among others, as of a server that limits the rate, are not the last word.
func TestRefusedCasesAreJudgedAgain(t *testing.T) {
	var open, most int
	var mu sync.Mutex
	s := &testServer{serve: func(conn net.Conn) {
		mu.Lock()
		open++
		mu.Unlock()
		time.Sleep(time.Millisecond) // connections that the judge has ended end here, too
		mu.Lock()
		most = max(most, open)
		busy := open > 4
		mu.Unlock()
		if busy {
			http.ReadRequest(bufio.NewReader(conn))
			io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
			conn.Close()
		} else {
			new(testee).serve(conn)
		}
		mu.Lock()
		open--
		mu.Unlock()
	}}
	cases := casesOf(t, "1.1.* 5.* 6.4.*", "")
	results, err := judgeIn(t, s, cases, Options{})
	if err != nil || len(results) != len(cases) || most <= 4 {
		t.Fatalf("%d results, %v; %d connections at once", len(results), err, most)
	}
	compareVerdicts(t, results, perfect(t, cases))
}

// Each verdict is told once, and in the end it is that of the results.
func TestVerdictsAreToldOnce(t *testing.T) {
	told := map[string]int{}
	peer := &testee{testeeFaults{echo: func(*testeeSession, byte, []byte) error { return nil }}}
	cases := casesOf(t, "1.1.* 2.* 7.1.1", "")
	results, err := judgeIn(t, &testServer{serve: peer.serve}, cases, Options{Result: func(r *Result) { told[r.Case.ID]++ }})
	if err != nil || len(results) != len(cases) {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for _, c := range cases {
		check.Equal(t, told[c.ID], 1, "%s was told", c.ID)
	}
}

// Header fields and subprotocols reach the server, and no secret is in the results.
func TestHeaderFieldsAndSubprotocolsAreSent(t *testing.T) {
	var got *http.Request
	s := &testServer{serve: func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		got = r
		io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		conn.Close()
	}}
	peer := &testee{testeeFaults{response: func(h http.Header) { h.Set("Sec-WebSocket-Protocol", "chat") }}}
	o := Options{
		Dial:         s.dial,
		Header:       http.Header{"authorization": {"Basic c2VjcmV0"}, "X-Two": {"1", "2"}, "Host": {"other.test"}, "User-Agent": {"me"}},
		Subprotocols: []string{"chat", "v2.chat"},
	}
	synctest.Test(t, func(t *testing.T) {
		defer s.serving.Wait()
		JudgeServer(t.Context(), "ws://server.test/", casesOf(t, "1.1.1", ""), o)
		if got == nil || got.Header.Get("Authorization") != "Basic c2VjcmV0" || !slices.Equal(got.Header["X-Two"], []string{"1", "2"}) ||
			got.Host != "other.test" || got.UserAgent() != "me" || got.Header.Get("Sec-WebSocket-Protocol") != "chat, v2.chat" {
			t.Errorf("the request is %+v", got)
		}
		s.serve = peer.serve
		results, err := JudgeServer(t.Context(), "ws://server.test/", casesOf(t, "1.1.1", ""), o)
		if err != nil || !results[0].Passed() {
			t.Fatalf("a subprotocol that was offered: %v, %+v", err, results)
		}
		if request := results[0].Request; strings.Contains(request, "c2VjcmV0") || !strings.Contains(request, "Authorization: (left out)\r\n") {
			t.Errorf("the result has the request %q", request)
		}
	})
	for _, bad := range []Options{
		{Header: http.Header{"a b": {"c"}}},
		{Header: http.Header{"a": {"b\r\nc: d"}}},
		{Header: http.Header{"connection": {"close"}}},
		{Header: http.Header{"sec-websocket-key": {"x"}}},
		{Subprotocols: []string{"a,b"}},
		{Origin: "http://a\r\nb: c"},
	} {
		bad.Dial = func(context.Context) (net.Conn, error) { t.Error("dialed"); return nil, errors.New("no") }
		if _, err := JudgeServer(t.Context(), "ws://server.test/", Cases(), bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
