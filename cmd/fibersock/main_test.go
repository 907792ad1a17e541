package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/leakcheck"
)

// asCommand is set in the environment of a test binary that is the command.
const asCommand = "FIBERSOCK_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"} {
		os.Unsetenv(name)
		os.Unsetenv(strings.ToLower(name))
	}
	flag.Set("test.parallel", "8") // by default: parallel tests mostly wait
	leakcheck.Main(m)
}

// result is the result of a run of the command.
type result struct {
	code     exitCode
	out, err string
}

// runWith runs the command with input until it is done.
func runWith(t *testing.T, input io.Reader, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, input, &out, &errs)
	return result{code, out.String(), errs.String()}
}

// lineWriter is an output whose lines a test can wait for.
type lineWriter struct {
	mu    sync.Mutex
	text  string
	lines chan string
}

func newLineWriter() *lineWriter { return &lineWriter{lines: make(chan string, 1000)} }

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text += string(p)
	for {
		line, rest, ok := strings.Cut(w.text, "\n")
		if !ok {
			return len(p), nil
		}
		w.lines <- line
		w.text = rest
	}
}

// await returns the text after prefix in the first line that contains it.
func (w *lineWriter) await(t *testing.T, prefix string) string {
	t.Helper()
	for {
		select {
		case line := <-w.lines:
			if _, rest, ok := strings.Cut(line, prefix); ok {
				return rest
			}
		case <-time.After(time.Minute):
			t.Fatalf("no line with %q", prefix)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args string
		code exitCode
		out  string // a substring
		err  string // a substring
	}{
		{"", exitUsage, "", "Usage: fibersock COMMAND"},
		{"help", exitOK, "connect", ""},
		{"--help", exitOK, "connect", ""},
		{"help version", exitOK, "version", ""},
		{"help serve", exitOK, "-tls-cert", ""},
		{"help connect", exitOK, "Exit codes:", ""},
		{"connect -h", exitOK, "-max-message", ""},
		{"help fly", exitUsage, "", `no command "fly"`},
		{"version", exitOK, "fibersock ", ""},
		{"--version", exitOK, "fibersock ", ""},
		{"-version", exitOK, "fibersock ", ""},
		{"version -json", exitOK, `"os":"`, ""},
		{"version 1", exitUsage, "", `not "1"`},
		{"fly", exitUsage, "", `no command "fly"`},
		{"serve -fast", exitUsage, "", "-fast"},
		{"serve now", exitUsage, "", `not "now"`},
		{"serve -tls-cert cert.pem", exitUsage, "", "-tls-key"},
		{"serve -tls-cert /does/not/exist -tls-key /does/not/exist", exitUsage, "", "/does/not/exist"},
		{"serve -max-message lots", exitUsage, "", "64K"},
		{"connect", exitUsage, "", "one URL, not 0"},
		{"connect ws://a ws://b", exitUsage, "", "one URL, not 2"},
		{"connect -H oops ws://a", exitUsage, "", "Name: value"},
		{"connect -H b@d:x ws://a", exitUsage, "", "name"},
		{"connect -H Upgrade:x ws://localhost:1/", exitUsage, "", "Upgrade"},
		{"connect ftp://localhost/", exitUsage, "", "ftp"},
		{"connect -subprotocol , ws://localhost:1/", exitUsage, "", "empty"},
		{"connect -subprotocol a,a ws://localhost:1/", exitUsage, "", "twice"},
		{"connect ws://localhost:1/ -expect -1", exitUsage, "", "-expect"},
		{"connect -ping -1s ws://localhost:1/", exitUsage, "", "-ping"},
		{"connect -timeout 0s ws://localhost:1/", exitUsage, "", "-timeout"},
		{"connect -wait soon ws://localhost:1/", exitUsage, "", "soon"},
		{"connect -cacert /does/not/exist wss://localhost:1/", exitUsage, "", "/does/not/exist"},
		{"connect -cacert main_test.go wss://localhost:1/", exitUsage, "", "no certificate"},
		{"connect -cacert x -insecure wss://localhost:1/", exitUsage, "", "cannot be used together"},
		{"connect -hex -base64 ws://localhost:1/", exitUsage, "", "-hex and -base64"},
		{"connect -expect 1 -until x ws://localhost:1/", exitUsage, "", "-expect and -until"},
		{"connect -until [ ws://localhost:1/", exitUsage, "", "missing closing ]"},
		{"connect -i ws://localhost:1/", exitUsage, "", "-x"},
		{"connect -close soon ws://localhost:1/", exitUsage, "", "4000 bye"},
		{"connect -close 1005 ws://localhost:1/", exitUsage, "", "1005"},
		{"connect -compress -compression off ws://localhost:1/", exitUsage, "", "-compression off"},
		{"help replay", exitOK, "-compare", ""},
		{"replay x", exitUsage, "", "a file and a URL, not 1"},
		{"replay -speed -1 x ws://localhost:1/", exitUsage, "", "-speed"},
		{"replay -speed NaN x ws://localhost:1/", exitUsage, "", "-speed"},
		{"replay /does/not/exist ws://localhost:1/", exitUsage, "", "/does/not/exist"},
		{"connect -unix x -proxy http://localhost ws://localhost:1/", exitUsage, "", "one of them"},
		{"connect -delimiter \\q ws://localhost:1/", exitUsage, "", "escapes"},
		{"serve -origin https://app.example/", exitUsage, "", `origin pattern "https://app.example/": an origin has no path`},
		{"serve -origin *example.com", exitUsage, "", "two labels"},
		{"connect -proxy ftp://localhost ws://localhost:1/", exitUsage, "", "ftp"},
	} {
		r := runWith(t, strings.NewReader(""), strings.Fields(c.args)...)
		if r.code != c.code || !strings.Contains(r.out, c.out) || !strings.Contains(r.err, c.err) {
			t.Errorf("fibersock %s: exit code %d, want %d; out %q, want %q in it; err %q, want %q in it",
				c.args, r.code, c.code, r.out, c.out, r.err, c.err)
		}
	}
}

func TestHelpNamesEveryExitCode(t *testing.T) {
	help := runWith(t, nil, "help", "connect").out
	for _, code := range []string{"  0 ", "  1 ", "  2 ", "  3 ", "  4 ", "  5 ", "  6 ", "  7 ", "  8 ", "  130 "} {
		if !strings.Contains(help, "\n"+code) {
			t.Errorf("the exit code %q is not explained", code)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "1000": 1000, "64K": 64 << 10, "64k": 64 << 10, "16M": 16 << 20, "16MiB": 16 << 20, "2GB": 2 << 30, "none": -1,
		"": 0, "0": 0, "-1": 0, "K": 0, "1T": 0, "1KK": 0, "9223372036854775807G": 0, "10 M": 0,
	} {
		var size sizeFlag
		err := size.Set(text)
		if (err == nil) != (want != 0) || int64(size) != want {
			t.Errorf("%q is %d, %v; want %d", text, size, err, want)
		}
	}
}

func TestEmptyValuesOfFlags(t *testing.T) {
	for _, args := range [][]string{
		{"serve", "-exec", ""}, {"serve", "-exec", " "}, {"serve", "-static", ""}, {"serve", "-unix", ""}, {"serve", "-addr", ""},
		{"serve", "-tls-cert", "", "-tls-key", ""}, {"serve", "-origin", ""}, {"serve", "-subprotocol", ""}, {"serve", ""},
		{"connect", "-proxy", "", "ws://localhost/"}, {"connect", "-unix=", "ws://localhost/"}, {"connect", "-origin", "", "ws://localhost/"},
		{"connect", "-cert", "", "ws://localhost/"}, {"connect", "-cacert", "", "ws://localhost/"}, {"connect", "-record", "", "ws://localhost/"},
		{"connect", "-until", "", "ws://localhost/"}, {"connect", "-close", "", "ws://localhost/"}, {"connect", "-H", "", "ws://localhost/"},
		{"connect", "-compression", "", "ws://localhost/"}, {"connect", "-max-send", "", "ws://localhost/"}, {"connect", ""},
		{"check", "-proxy", "", "ws://localhost/"}, {"bench", "-unix", "", "ws://localhost/"}, {"bridge", "-proxy", "", "-", "ws://localhost/"},
		{"frame", "-from", "", "00"}, {"conform", "client", "-out", ""}, {"conform", "server", "-expect", "", "ws://localhost/"},
		{"conform", "client", "-addr", ""}, {"conform", "drive", "-agent", "", "ws://localhost/"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a server that starts serves until then
		var errors bytes.Buffer
		if code := run(ctx, args, strings.NewReader(""), io.Discard, &errors); code != exitUsage || ctx.Err() != nil {
			t.Errorf("%q: exit code %d, %s", args, code, errors.String())
		}
		cancel()
	}
}

func TestValuesOfFlagsThatCannotBeParsed(t *testing.T) {
	for args, want := range map[string]string{
		"connect -wait 1 ws://localhost/":       `fibersock: invalid value "1" for flag -wait: it must be a time with a unit, such as 10s, 500ms or 1m`,
		"connect -expect x ws://localhost/":     `fibersock: invalid value "x" for flag -expect: it must be a whole number`,
		"connect -max-message x ws://localhost": "it must be a number of bytes",
		"bench -rate x ws://localhost/":         "for flag -rate: it must be a number",
		"serve -tls=maybe":                      "for -tls: parse error",
		"replay f":                              "not 1 argument\n",
	} {
		if r := runWith(t, nil, strings.Fields(args)...); r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
}

func TestNeitherFilesNorTheNullDeviceAreTerminals(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file, err := os.Open("main_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, stream := range []any{null, file, strings.NewReader(""), (*os.File)(nil), nil} {
		if isTerminal(stream) {
			t.Errorf("%v", stream)
		}
	}
}

// startServe runs `fibersock serve` for the rest of the test, and returns the
// address that it serves. stop interrupts it and returns its exit code.
func startServe(t *testing.T, args ...string) (addr string, stop func() exitCode) {
	t.Helper()
	ctx, interrupt := context.WithCancel(context.Background())
	notes := newLineWriter()
	code := make(chan exitCode, 1)
	go func() {
		args := append([]string{"serve", "-addr", "127.0.0.1:0"}, args...)
		code <- run(ctx, args, strings.NewReader(""), io.Discard, notes)
	}()
	stop = sync.OnceValue(func() exitCode {
		interrupt()
		return <-code
	})
	t.Cleanup(func() { stop() })
	return strings.TrimSuffix(notes.await(t, "://"), "/"), stop
}
