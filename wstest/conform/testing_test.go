package conform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/internal/test/check"
)

// A recordedT records the errors and the log of a test.
type recordedT struct {
	ctx         context.Context
	errors, log []string
}

func (t *recordedT) Helper()                  {}
func (t *recordedT) Context() context.Context { return t.ctx }
func (t *recordedT) Logf(format string, args ...any) {
	t.log = append(t.log, fmt.Sprintf(format, args...))
}
func (t *recordedT) Errorf(format string, args ...any) {
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}
func (t *recordedT) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	panic(t)
}

// want checks that there is one error for each text, which it contains.
func (t *recordedT) want(real *testing.T, texts ...string) {
	real.Helper()
	if len(t.errors) != len(texts) {
		real.Fatalf("errors %q, want %d", t.errors, len(texts))
	}
	for i, text := range texts {
		if !strings.Contains(t.errors[i], text) {
			real.Errorf("error %q, want %q", t.errors[i], text)
		}
	}
}

// forgetful sends no Pong.
var forgetful = testee{testeeFaults{ping: func(*testeeSession, []byte) error { return nil }}}

// mute sends no message back, which in 3.2 is NON-STRICT.
var mute = testee{testeeFaults{echo: func(*testeeSession, byte, []byte) error { return nil }}}

func TestServerTestReportsWhatFails(t *testing.T) {
	o := Options{Only: []string{"2.2", "1.1.1", "12.1.1"}, Rounds: 3, Dial: func(context.Context) (net.Conn, error) { return dialTestee(&forgetful), nil }}
	got := &recordedT{}
	synctest.Test(t, func(t *testing.T) {
		got.ctx = t.Context()
		TestServer(got, "ws://server.test/", o)
	})
	got.want(t, "case 2.2: FAILED: ")
	if log := strings.Join(got.log, "\n"); log != "3 cases: 2 OK, 0 NON-STRICT, 0 INFORMATIONAL, 0 UNIMPLEMENTED" {
		t.Errorf("log %q", log)
	}
}

func TestServerTestWithoutServer(t *testing.T) {
	refused := errors.New("refused")
	got := &recordedT{ctx: t.Context()}
	TestServer(got, "ws://server.test/", Options{Only: []string{"1.1.1"}, Dial: func(context.Context) (net.Conn, error) { return nil, refused }})
	got.want(t, "refused", "case 1.1.1: no result")
}

func TestPatternOfNoCaseIsFatal(t *testing.T) {
	got := &recordedT{ctx: t.Context()}
	defer func() {
		if recover() != got {
			t.Error("the test was not ended")
		}
		got.want(t, `"99.*"`)
	}()
	TestServer(got, "ws://server.test/", Options{Only: []string{"99.*"}})
}

// connectTo has a testee be the client at a URL.
func connectTo(peer *testee) func(context.Context, string) error {
	return func(_ context.Context, rawURL string) error {
		u, err := url.Parse(rawURL)
		if err != nil {
			return err
		}
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			return err
		}
		return peer.connect(conn, u.RequestURI())
	}
}

func TestClientTestReportsWhatFails(t *testing.T) {
	t.Parallel()
	again := 0
	seen := make(map[string]int)
	got := &recordedT{ctx: t.Context()}
	TestClient(got, connectTo(&forgetful), Options{
		Only: []string{"2.2", "1.1.1", "9.7.1", "12.1.1"}, Rounds: 3, Agent: "a & b",
		Again: func(n int) { again += n }, Result: func(r *Result) { seen[r.Agent+" "+r.Case.ID]++ },
	})
	got.want(t, "case 2.2: FAILED: ")
	if again != 1 {
		t.Errorf("%d cases were judged again", again)
	}
	for _, id := range []string{"2.2", "1.1.1", "9.7.1", "12.1.1"} {
		check.Equal(t, seen["a & b "+id], 1, "results of %s", id)
	}
}

func TestClientTestWithAClientThatDoesNotConnect(t *testing.T) {
	refused := errors.New("no way")
	got := &recordedT{ctx: t.Context()}
	TestClient(got, func(context.Context, string) error { return refused }, Options{Only: []string{"1.1.1"}, Patience: 0.01})
	got.want(t, "case 1.1.1: no result")
	if log := strings.Join(got.log, "\n"); !strings.Contains(log, "case 1.1.1: the client's error: no way") {
		t.Errorf("log %q", log)
	}
}

// The context ends for a client that does not return when its connection ends.
func TestClientTestWithAClientThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	got := &recordedT{ctx: t.Context()}
	ended := false
	TestClient(got, func(ctx context.Context, url string) error {
		err := connectTo(new(testee))(ctx, url)
		<-ctx.Done()
		ended = true
		return err
	}, Options{Only: []string{"1.1.1"}, Patience: 0.2})
	got.want(t)
	if !ended {
		t.Error("the client did not return")
	}
}

// NON-STRICT is an error in strict mode only.
func TestStrict(t *testing.T) {
	for _, strict := range []bool{false, true} {
		got := &recordedT{ctx: t.Context()}
		o := Options{Only: []string{"3.2"}, Strict: strict, Dial: func(context.Context) (net.Conn, error) { return dialTestee(&mute), nil }}
		TestServer(got, "ws://server.test/", o)
		if strict {
			got.want(t, "case 3.2: NON-STRICT: ")
		} else {
			got.want(t)
		}
	}
}
