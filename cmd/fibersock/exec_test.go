//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// closeOf returns the Close that ends c.
func closeOf(t *testing.T, c *client.Conn) *client.CloseError {
	t.Helper()
	for {
		if _, err := c.Receive(t.Context()); err != nil {
			closed := new(client.CloseError)
			if !errors.As(err, &closed) {
				t.Fatalf("the connection ended by %v", err)
			}
			return closed
		}
	}
}

func TestExecMovesLines(t *testing.T) {
	addr, _ := startServe(t, "-exec", `while read -r line; do echo "<$line>"; done`)
	c, d := dial(t, "ws://"+addr+"/exec", nil), dial(t, "ws://"+addr+"/exec", nil)
	for i, text := range []string{"one", "", `\x$HOME;`, strings.Repeat("long ", 1000) + "."} {
		check.OK(t, c.SendText(text))
		receive(t, c, wire.Text, "<"+text+">")
		other := strconv.Itoa(i)
		check.OK(t, d.SendText(other))
		receive(t, d, wire.Text, "<"+other+">")
	}
	check.OK(t, c.Close(wire.NormalClosure, ""))
	check.OK(t, d.SendText("still here"))
	receive(t, d, wire.Text, "<still here>")
}

func TestExecEndsWithTheProcess(t *testing.T) {
	for command, want := range map[string]string{
		"echo a; echo b":                    "a|b|1000 ",
		"echo a; exit 3":                    "a|1011 exit status 3",
		"printf 'no line end'":              "no line end|1000 ",
		`printf 'a\377\n'`:                  "binary a\xff|1000 ",
		"echo child; (sleep 1000) & exit 0": "child|1000 ",
		"kill -9 $$":                        "1011 signal: killed",
		"exec /does/not/exist 2>/dev/null":  "1011 exit status 127",
		"head -c 1100000 /dev/zero | tr '\\0' x; sleep 1000":        "1011 line of the command exceeds 1048576 bytes",
		"cat <&- >&- ; exit 0":                                      "1000 ",
		`echo "$QUERY_STRING|$PATH_INFO|$REQUEST_URI|$HTTP_ORIGIN"`: "q=1&r=2|/exec|/exec?q=1&r=2||1000 ",
		"seq 1 20000 | tail -n 1":                                   "20000|1000 ",
	} {
		addr, _ := startServe(t, "-exec", command)
		c := dial(t, "ws://"+addr+"/exec?q=1&r=2", nil)
		var got strings.Builder
		for {
			m, err := c.Receive(t.Context())
			if closed := new(client.CloseError); errors.As(err, &closed) {
				fmt.Fprintf(&got, "%d %s", int(closed.Code), closed.Reason)
				break
			}
			check.Must(t, err)
			if m.Opcode == wire.Binary {
				got.WriteString("binary ")
			}
			got.WriteString(m.Text() + "|")
		}
		if got.String() != want {
			t.Errorf("%s: %q, want %q", command, got.String(), want)
		}
	}
}

// A process and its children end with the connection: they hold a pipe open
// whose other end the test reads.
func TestProcessGroupEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"waits for input":     "echo up; cat",
		"ignores its input":   "echo up; sleep 1000",
		"has children":        "echo up; sleep 1000 & sleep 1000 & wait",
		"ignores SIGTERM too": "trap '' TERM; echo up; while :; do sleep 1; done",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fifo := filepath.Join(t.TempDir(), "alive")
			if out, err := commandOutput("mkfifo", fifo); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			addr, _ := startServe(t, "-exec", "exec 9> "+fifo+"; "+command)
			opened := make(chan *os.File, 1)
			go func() {
				f, err := os.Open(fifo)
				check.OK(t, err)
				opened <- f
			}()
			c := dial(t, "ws://"+addr+"/exec", nil)
			alive := <-opened
			defer alive.Close()
			receive(t, c, wire.Text, "up")
			check.OK(t, c.CloseNow())
			if rest, err := io.ReadAll(alive); err != nil || len(rest) > 0 { // returns when all writers have ended
				t.Errorf("%q, %v", rest, err)
			}
		})
	}
}

// Interrupting the server ends the processes before it returns.
func TestInterruptEndsProcesses(t *testing.T) {
	s := startServing(t, "-exec", "echo up; sleep 1000", "127.0.0.1:0")
	addr := strings.TrimSuffix(s.notes.await(t, "serving http://"), "/")
	c := dial(t, "ws://"+addr+"/exec", nil)
	receive(t, c, wire.Text, "up")
	code := make(chan exitCode, 1)
	go func() { code <- s.stop() }()
	check.Equal(t, closeOf(t, c).Code, wire.GoingAway, "code")
	check.Equal(t, <-code, exitOK, "exit code")
	s.notes.await(t, "msg=process")
}

func TestNumberOfProcessesIsLimited(t *testing.T) {
	addr, _ := startServe(t, "-exec", "cat", "-exec-max", "2", "-metrics")
	first := dial(t, "ws://"+addr+"/exec", nil)
	dial(t, "ws://"+addr+"/exec", nil)
	var refused *client.HandshakeError
	if _, err := client.Dial(t.Context(), "ws://"+addr+"/exec", nil); !errors.As(err, &refused) || refused.Response.Status != 503 {
		t.Errorf("the third connection: %v", err)
	}
	check.OK(t, first.SendText("works"))
	receive(t, first, wire.Text, "works")
	if values := parseMetrics(t, second(httpGet(t, "http://"+addr+"/metrics"))); values[`fibersock_connections_open{endpoint="/exec"}`] != 2 {
		t.Errorf("the metrics are %v", slices.Collect(maps.Keys(values)))
	}
}

func second[A, B any](_ A, b B) B { return b }

// Standard error goes to the log, bounded, and its reader never blocks the
// process.
func TestStandardErrorIsBounded(t *testing.T) {
	s := startServing(t, "-exec", `echo oops >&2; printf '%3000s\n' x >&2; i=0; while [ $i -lt 4000 ]; do echo "a line of fifty bytes or so, to fill the log up $i" >&2; i=$((i+1)); done; echo done`, "127.0.0.1:0")
	addr := strings.TrimSuffix(s.notes.await(t, "serving http://"), "/")
	go func() { // the log has about 1,300 lines
		c, err := client.Dial(t.Context(), "ws://"+addr+"/exec", nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for err == nil {
			_, err = c.Receive(t.Context())
		}
	}()
	s.notes.await(t, "line=oops cut=false")
	s.notes.await(t, "cut=true")
	s.notes.await(t, "standard error is not logged any more")
	s.notes.await(t, "msg=process") // and no more lines before it
}

// commandOutput runs a program and returns its output.
func commandOutput(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}

// A command is a side of a bridge: it gets the end of its input, and its exit
// code is a failure.
func TestBridgeToACommand(t *testing.T) {
	t.Parallel()
	place, notes := startBridge(t, "ws-listen:127.0.0.1:0", "exec:sort -r; echo done; echo oops >&2")
	r := runWith(t, strings.NewReader("1\n2\n3\n"), "bridge", "-", place)
	if r.code != exitOK || r.out != "3\n2\n1\ndone\n" {
		t.Errorf("%+v", r)
	}
	notes.await(t, "oops")
	if r := runWith(t, strings.NewReader(""), "bridge", "exec:exit 3", "-"); r.code != exitLost || !strings.Contains(r.err, "exit status 3") {
		t.Errorf("%+v", r)
	}
	// A command that does not end with its input is ended.
	if r := runWith(t, strings.NewReader(""), "bridge", "exec:exec >&-; sleep 1000", "-"); r.code != exitLost || !strings.Contains(r.err, "terminated") {
		t.Errorf("%+v", r)
	}
	if r := runWith(t, nil, "bridge", "exec:", "-"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}
