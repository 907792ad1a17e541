package conform

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/loopback"
)

// fuzzing is a FuzzingServer that serves.
type fuzzing struct {
	*FuzzingServer
	t      *testing.T
	addr   string
	ended  chan error
	cancel context.CancelFunc
}

func serveFuzzing(t *testing.T, f *FuzzingServer) *fuzzing {
	t.Helper()
	ln, err := net.Listen("tcp", loopback.Address())
	check.Must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	running := &fuzzing{f, t, ln.Addr().String(), make(chan error, 1), cancel}
	go func() { running.ended <- f.Serve(ctx, ln) }()
	t.Cleanup(cancel)
	return running
}

func (f *fuzzing) dial() net.Conn {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	return conn
}

// ask returns the answer to a command.
func (f *fuzzing) ask(resource string) string {
	f.t.Helper()
	answer, err := new(testee).ask(f.dial(), resource)
	if err != nil {
		f.t.Fatalf("%s: %v", resource, err)
	}
	return answer
}

func selected(t *testing.T, patterns ...string) []*Case {
	t.Helper()
	cases, err := Select(patterns, nil)
	check.Must(t, err)
	return cases
}

func TestCommandsOfTheDriver(t *testing.T) {
	var updated []string
	f := serveFuzzing(t, &FuzzingServer{
		Cases: selected(t, "2.1", "7.3.3", "1.1.1"),
		Update: func(agent string, results []*Result) {
			updated = append(updated, fmt.Sprint(agent, len(results)))
		},
	})
	for _, c := range []struct{ resource, want string }{
		{"/getCaseCount", "3"},
		{"/getCaseInfo?case=1", `{"id":"1.1.1","description":"A text message with 0 bytes of payload."}`},
		{"/getCaseInfo?casetuple=2.1", `{"id":"2.1","description":"A Ping without payload."}`},
		{"/getCaseInfo?casetuple=2.1&case=3", `{"id":"7.3.3","description":"A Close with 1000."}`}, // case wins
	} {
		check.Equal(t, f.ask(c.resource), c.want, "%s", c.resource)
	}
	for _, resource := range []string{"/runCase?case=2&agent=a+b", "/runCase?casetuple=1.1.1&agent=a+b"} {
		check.OKf(t, new(testee).connect(f.dial(), resource), "%s", resource)
	}
	if got := f.ask("/getCaseStatus?case=2&agent=a%20b"); got != `{"behavior":"OK"}` {
		t.Errorf("status %q", got)
	}
	f.ask("/updateReports?agent=a+b")
	f.ask("/updateReports?agent=other")
	check.Slices(t, updated, []string{"a b2", "other0"}, "updated")
	results := f.Results()
	if len(results) != 1 || len(results["a b"]) != 2 || results["a b"][0].Case.ID != "1.1.1" {
		t.Errorf("results %v", results)
	}
}

// A command that cannot be done is refused before the connection opens.
func TestCommandsThatAreRefused(t *testing.T) {
	f := serveFuzzing(t, &FuzzingServer{Cases: selected(t, "2.1")})
	const upgrade = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	for _, c := range []struct {
		name, target, head string
		want               int
	}{
		{"as it should be", "/getCaseCount", upgrade, 101},
		{"unknown path", "/nothing", upgrade, 500},
		{"case 0", "/runCase?case=0&agent=a", upgrade, 500},
		{"case too large", "/runCase?case=2&agent=a", upgrade, 500},
		{"case no number", "/runCase?case=x&agent=a", upgrade, 500},
		{"case not selected", "/runCase?casetuple=1.1.1&agent=a", upgrade, 500},
		{"no case", "/getCaseInfo", upgrade, 500},
		{"no agent", "/runCase?case=1", upgrade, 500},
		{"no agent for reports", "/updateReports", upgrade, 500},
		{"parameter twice", "/runCase?case=1&case=1&agent=a", upgrade, 500},
		{"query that is none", "/runCase?case=%zz", upgrade, 500},
		{"no WebSocket", "/", "Host: h\r\n", 404},
		{"wrong version", "/getCaseCount", strings.Replace(upgrade, "13", "12", 1), 400},
		{"version 8", "/getCaseCount", strings.Replace(upgrade, "13", "8", 1), 101},
		{"short key", "/getCaseCount", strings.Replace(upgrade, "AAAA", "", 1), 400},
		{"key not base64", "/getCaseCount", strings.Replace(upgrade, "AAAA", "****", 1), 400},
		{"two keys", "/getCaseCount", upgrade + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", 400},
		{"no Connection", "/getCaseCount", strings.Replace(upgrade, "Connection: Upgrade\r\n", "", 1), 400},
		{"another Upgrade", "/getCaseCount", strings.Replace(upgrade, "websocket", "h2c", 1), 400},
		{"no HTTP", "\x00", upgrade, 400},
	} {
		conn := f.dial()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\n%s\r\n", c.target, c.head)
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		check.Equal(t, r.StatusCode, c.want, "%s: status", c.name)
		conn.Close()
	}
	if got := f.Results(); len(got) != 0 {
		t.Errorf("there are results: %v", got)
	}
}

func TestStatusWaitsForTheResult(t *testing.T) {
	f := serveFuzzing(t, &FuzzingServer{Cases: selected(t, "2.1")})
	status := make(chan string)
	go func() {
		answer, _ := new(testee).ask(f.dial(), "/getCaseStatus?case=1&agent=a")
		status <- answer
	}()
	select {
	case answer := <-status:
		t.Fatalf("status %q before the case was run", answer)
	default:
	}
	check.Must(t, new(testee).connect(f.dial(), "/runCase?case=1&agent=a"))
	if got := <-status; got != `{"behavior":"OK"}` {
		t.Errorf("status %q", got)
	}
}

// Of a case that was run twice the last result stands.
func TestLastResultStands(t *testing.T) {
	t.Parallel()
	f := serveFuzzing(t, &FuzzingServer{Cases: selected(t, "2.1")})
	deaf := testee{testeeFaults{ping: func(*testeeSession, []byte) error { return nil }}}
	for _, v := range []struct {
		peer *testee
		want Verdict
	}{{&deaf, Failed}, {new(testee), OK}} {
		check.Must(t, v.peer.connect(f.dial(), "/runCase?case=1&agent=a"))
		f.ask("/getCaseStatus?case=1&agent=a") // waits for the first
		f.waitResult("a", v.want)
	}
}

func (f *fuzzing) waitResult(agent string, want Verdict) {
	f.t.Helper()
	for range 1000 {
		if r := f.Results()[agent]; len(r) == 1 && r[0].Behavior == want {
			return
		}
		f.ask("/getCaseCount") // as long as a connection takes
	}
	f.t.Errorf("no result %s", want)
}

func TestEndOfTheServer(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*fuzzing)
		want error
	}{
		{"stopServer", func(f *fuzzing) { f.ask("/stopServer") }, nil},
		{"shutdownOnComplete", func(f *fuzzing) { f.ask("/updateReports?agent=a&shutdownOnComplete=true") }, nil},
		{"context", func(f *fuzzing) { f.cancel() }, context.Canceled},
		{"context with a connection in a case", func(f *fuzzing) {
			conn := f.dial()
			io.WriteString(conn, "GET /runCase?case=1&agent=a HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
			bufio.NewReader(conn).ReadString('\n')
			f.cancel()
		}, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serveFuzzing(t, &FuzzingServer{Cases: selected(t, "2.1")})
			c.end(f)
			if err := <-f.ended; !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if conn, err := net.Dial("tcp", f.addr); err == nil {
				conn.Close()
				t.Error("it still listens")
			}
		})
	}
}

func TestPageForBrowsers(t *testing.T) {
	f := serveFuzzing(t, &FuzzingServer{Page: func(path string) ([]byte, string) {
		if path == "/" {
			return []byte("<p>results"), "text/html; charset=utf-8"
		}
		return nil, ""
	}})
	for path, want := range map[string]int{"/": 200, "/other": 404} {
		r, err := http.Get("http://" + f.addr + path)
		check.Must(t, err)
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != want || want == 200 && (string(body) != "<p>results" || r.Header.Get("Content-Type") != "text/html; charset=utf-8") {
			t.Errorf("%s: %d %q", path, r.StatusCode, body)
		}
	}
}

// Of the subprotocols that a client offers, its first that the judge knows is selected.
func TestSubprotocolIsSelected(t *testing.T) {
	for offer, want := range map[string]string{
		"x, a, b": "a", "b": "b", "x": "", "": "", "A": "",
	} {
		conn := serveFuzzing(t, &FuzzingServer{Cases: selected(t, "1.1.1"), Subprotocols: []string{"b", "a"}}).dial()
		request := "GET /getCaseCount HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: AS3/Sz7LtWg8xkM9Qqm2jQ==\r\n"
		if offer != "" {
			request += "Sec-WebSocket-Protocol: " + offer + "\r\n"
		}
		io.WriteString(conn, request+"\r\n")
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		check.Must(t, err)
		check.Equal(t, r.Header.Get("Sec-WebSocket-Protocol"), want, "offered %q: selected", offer)
	}
}
