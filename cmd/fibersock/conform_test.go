package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/wire"
)

func TestConformCommandLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code exitCode
		out  string // a substring
		err  string // a substring
	}{
		{"help conform", exitOK, "fibersock conform drive", ""},
		{"conform -h", exitOK, "fibersock conform drive", ""},
		{"help conform server", exitOK, "-cacert", ""},
		{"help conform client", exitOK, "/getCaseCount", ""},
		{"help conform drive", exitOK, "-shutdown", ""},
		{"conform", exitUsage, "", "server, client or drive"},
		{"conform everybody", exitUsage, "", `not "everybody"`},
		{"conform -fast", exitUsage, "", "-fast"},
		{"conform server", exitUsage, "", "one URL or more"},
		{"conform server -agent a -agent b ws://localhost:1/", exitUsage, "", "2 times for 1 URLs"},
		{"conform server -H Sec-WebSocket-Key:x ws://localhost:1/", exitUsage, "", "opening handshake"},
		{"conform server -subprotocol a(b ws://localhost:1/", exitUsage, "", "subprotocol"},
		{"conform server -stricter ws://localhost:1/", exitUsage, "", "-expect"},
		{"conform server -fast", exitUsage, "", `fibersock help conform server`},
		{"conform server ftp://localhost/", exitUsage, "", "ftp"},
		{"conform server -cases 99.* ws://localhost:1/", exitUsage, "", "99.*"},
		{"conform server -cases 1.1.1 -exclude 1.* ws://localhost:1/", exitUsage, "", "no case"},
		{"conform server -patience 0 ws://localhost:1/", exitUsage, "", "-patience"},
		{"conform server -patience NaN ws://localhost:1/", exitUsage, "", "-patience"},
		{"conform server -parallel -1 ws://localhost:1/", exitUsage, "", "-parallel"},
		{"conform server -quiet -v ws://localhost:1/", exitUsage, "", "-quiet"},
		{"conform server -expect /does/not/exist ws://localhost:1/", exitUsage, "", "/does/not/exist"},
		{"conform server -expect FILE ws://localhost:1/", exitUsage, "", "no agent"},
		{"conform server -out FILE ws://localhost:1/", exitUsage, "", "FILE"},
		{"conform server -cacert /does/not/exist wss://localhost:1/", exitUsage, "", "/does/not/exist"},
		{"conform server -cacert x -insecure wss://localhost:1/", exitUsage, "", "cannot be used together"},
		{"conform client now", exitUsage, "", `not "now"`},
		{"conform client -tls-cert cert.pem", exitUsage, "", "-tls-key"},
		{"conform client -addr 127.0.0.1:-1", exitUnreachable, "", "-1"},
		{"conform drive", exitUsage, "", "one URL, not 0"},
		{"conform drive ws://localhost:1/?a=b", exitUsage, "", "query"},
		{"conform drive -parallel 0 ws://localhost:1/", exitUsage, "", "-parallel"},
		{"conform drive -agent= ws://localhost:1/", exitUsage, "", "-agent"},
		{"conform drive ftp://localhost:1/", exitUsage, "", "ftp"},
	} {
		args := strings.Fields(strings.ReplaceAll(c.args, "FILE", file))
		r := runWith(t, strings.NewReader(""), args...)
		wantErr := strings.ReplaceAll(c.err, "FILE", file)
		if r.code != c.code || !strings.Contains(r.out, c.out) || !strings.Contains(r.err, wantErr) {
			t.Errorf("fibersock %s: exit code %d, want %d; out %q, want %q in it; err %q, want %q in it",
				c.args, r.code, c.code, r.out, c.out, r.err, wantErr)
		}
	}
}

// The demonstration server passes with its default flags, messages of the
// greatest size included.
func TestServeConforms(t *testing.T) {
	t.Parallel()
	addr, _ := startServe(t)
	cases := "1.*,2.*,3.*,4.*,5.*,6.*,7.*,10.*,9.1.6,9.2.6,9.3.1,12.*.1,13.*.1"
	r := runWith(t, nil, "conform", "server", "-patience", "20", "-cases", cases, "ws://"+addr+"/echo")
	if r.code != exitOK || !strings.Contains(r.out, "262 cases: 259 OK, 3 INFORMATIONAL;") || r.err != "" {
		t.Errorf("%+v", r)
	}
}

// An extension that the server does not implement is no failure.
func TestUnimplementedIsNoFailure(t *testing.T) {
	addr, _ := startServe(t, "-compression", "off")
	r := runWith(t, nil, "conform", "server", "-cases", "12.1.1", "-agent", "ours", "ws://"+addr+"/echo")
	if r.code != exitOK || !strings.Contains(r.out, `"ours": 1 cases: 1 UNIMPLEMENTED`) {
		t.Errorf("%+v", r)
	}
}

// hangsUp returns a script that accepts the handshake, calls itself name, and
// closes TCP at the first message.
func hangsUp(name string) func(net.Conn, *bufio.Reader) {
	return func(nc net.Conn, r *bufio.Reader) {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: %s\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			name, handshake.AcceptKey(request.Header.Get("Sec-WebSocket-Key")))
		r.ReadByte()
	}
}

// A server that breaks rules fails, and its name is quoted.
func TestWrongServerFails(t *testing.T) {
	for _, c := range []struct{ name, quoted string }{
		{"wrong/1.0", `"wrong/1.0"`},
		{"\u202ewrong", `"\u202ewrong"`},
		{"wrong\x9b31m\xff", `"wrong\x9b31m\xff"`},
		{`<script>"`, `"<script>\""`},
	} {
		t.Run(c.quoted, func(t *testing.T) {
			addr := startPeer(t, hangsUp(c.name))
			r := runWith(t, nil, "conform", "server", "-v", "-cases", "1.1.2,7.1.1", "ws://"+addr)
			if r.code != exitFailed || !strings.Contains(r.out, "server, "+c.quoted+": 2 cases: 2 FAILED") {
				t.Errorf("%+v", r)
			}
			if !strings.Contains(r.err, c.quoted+", case 1.1.2: FAILED") {
				t.Errorf("-v: %q", r.err)
			}
		})
	}
}

// expectation writes an expectation file in which each of the cases has these
// verdicts.
func expectation(t *testing.T, behavior, behaviorClose string, cases ...string) (file string) {
	t.Helper()
	verdicts := map[string]map[string]string{}
	for _, id := range cases {
		verdicts[id] = map[string]string{"behavior": behavior, "behaviorClose": behaviorClose}
	}
	text, err := json.Marshal(map[string]any{"any": verdicts})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "expected.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// With -expect it is the expectation alone that decides: a failure may be
// expected, and a pass a surprise.
func TestExpectationDecides(t *testing.T) {
	good, _ := startServe(t)
	bad := startPeer(t, hangsUp("bad"))
	for _, c := range []struct {
		name, url, file string
		code            exitCode
		difference      string
	}{
		{"passes as expected", good + "/echo", expectation(t, "OK", "OK", "1.*"), exitOK, ""},
		{"fails as expected", bad, expectation(t, "FAILED", "FAILED", "1.*"), exitOK, ""},
		{"fails otherwise", bad, expectation(t, "FAILED", "OK", "1.*"), exitFailed, "case 1.1.2: expected close OK, got close FAILED"},
		{"passes unexpectedly", good + "/echo", expectation(t, "FAILED", "OK", "1.*"), exitFailed, "case 1.1.2: expected FAILED, got OK"},
		{"was not expected", good + "/echo", expectation(t, "OK", "OK", "2.*"), exitFailed, "case 1.1.2: nothing was expected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runWith(t, nil, "conform", "server", "-quiet", "-cases", "1.1.2", "-expect", c.file, "ws://"+c.url)
			if r.code != c.code || !strings.Contains(r.out, c.difference) || (c.difference == "") != (r.out == "") {
				t.Errorf("exit code %d, want %d; out %q, want %q", r.code, c.code, r.out, c.difference)
			}
		})
	}
}

func TestReportOfServer(t *testing.T) {
	addr, _ := startServe(t)
	out := filepath.Join(t.TempDir(), "reports", "servers")
	r := runWith(t, nil, "conform", "server", "-cases", "1.1.*", "-exclude", "1.1.8", "-agent", "../../A B", "-out", out, "ws://"+addr+"/echo")
	if r.code != exitOK || !strings.Contains(r.out, "Report: "+filepath.Join(out, "index.html")+"\n") {
		t.Errorf("%+v", r)
	}
	verdicts := readIndex(t, out)["../../A B"]
	if len(verdicts) != 7 || verdicts["1.1.7"].Behavior != "OK" {
		t.Errorf("index.json has %v", verdicts)
	}
	for _, file := range []string{"index.html", verdicts["1.1.7"].ReportFile, "a_b_case_1_1_7.html"} {
		if info, err := os.Stat(filepath.Join(out, filepath.Base(file))); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	// The next run can be compared with this one.
	r = runWith(t, nil, "conform", "server", "-cases", "1.1.7", "-expect", filepath.Join(out, "index.json"), "ws://"+addr+"/echo")
	if r.code != exitOK {
		t.Errorf("compared with itself: %+v", r)
	}
}

// indexed is a case in index.json.
type indexed struct {
	Behavior   string `json:"behavior"`
	ReportFile string `json:"reportfile"`
}

// readIndex reads index.json: each agent's cases.
func readIndex(t *testing.T, dir string) (index map[string]map[string]indexed) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	return index
}

// Servers side by side in one report, each under a name of its own.
func TestReportOfSeveralServers(t *testing.T) {
	good, _ := startServe(t)
	bad := startPeer(t, hangsUp("bad"))
	out := filepath.Join(t.TempDir(), "out")
	r := runWith(t, nil, "conform", "server", "-cases", "1.1.2", "-out", out, "ws://"+bad, "ws://"+good+"/echo", "ws://"+bad+"/2")
	if r.code != exitFailed || strings.Count(r.out, "1 cases: ") != 3 || strings.Count(r.out, "Report: ") != 1 {
		t.Errorf("%+v", r)
	}
	index := readIndex(t, out)
	if len(index) != 3 || index["bad"]["1.1.2"].Behavior != "FAILED" || index["bad at ws://"+bad+"/2"]["1.1.2"].Behavior != "FAILED" {
		t.Errorf("index.json has %v", index)
	}
	r = runWith(t, nil, "conform", "server", "-cases", "1.1.2", "-agent", "a, b", "-agent", "c", "-out", out, "ws://"+good+"/echo", "ws://"+good+"/echo")
	if index := readIndex(t, out); r.code != exitOK || len(index) != 2 || len(index["a, b"]) != 1 || len(index["c"]) != 1 {
		t.Errorf("%+v, %v", r, index)
	}
	// An unreachable server does not keep the others from being judged.
	r = runWith(t, nil, "conform", "server", "-cases", "1.1.2", "-out", out, "ws://"+tcpserver.Refusing(t), "ws://"+good+"/echo")
	if r.code != exitUnreachable || len(readIndex(t, out)) != 1 || !strings.Contains(r.out, "1 OK") {
		t.Errorf("%+v", r)
	}
}

// A wrong path gave 1,246 lines.
func TestWrongPathIsReportedInALine(t *testing.T) {
	addr, _ := startServe(t)
	r := runWith(t, nil, "conform", "server", "ws://"+addr+"/elsewhere")
	if r.code != exitRefused || r.out != "" || strings.Count(r.err, "\n") != 1 || !strings.Contains(r.err, "404") {
		t.Errorf("%+v", r)
	}
}

// With -stricter the judge may find more than the verdicts that it is compared
// with, and not less.
func TestStricterThanExpected(t *testing.T) {
	good, _ := startServe(t)
	bad := startPeer(t, hangsUp("bad"))
	for _, c := range []struct {
		url, file string
		code      exitCode
	}{
		{bad, expectation(t, "OK", "OK", "1.*"), exitOK},
		{bad, expectation(t, "FAILED", "OK", "1.*"), exitOK},
		{bad, expectation(t, "OK", "OK", "2.*"), exitFailed},
		{good + "/echo", expectation(t, "FAILED", "OK", "1.*"), exitFailed},
		{good + "/echo", expectation(t, "OK", "UNCLEAN", "1.*"), exitFailed},
	} {
		r := runWith(t, nil, "conform", "server", "-quiet", "-cases", "1.1.2", "-stricter", "-expect", c.file, "ws://"+c.url)
		if r.code != c.code {
			t.Errorf("%+v, want exit code %d", r, c.code)
		}
	}
}

func TestServerThatCannotBeReached(t *testing.T) {
	if r := runWith(t, nil, "conform", "server", "ws://"+tcpserver.Refusing(t)); r.code != exitUnreachable || r.out != "" || !strings.Contains(r.err, "cannot connect") {
		t.Errorf("no listener: %+v", r)
	}
	cert, key := certificate(t)
	addr, _ := startServe(t, "-tls-cert", cert, "-tls-key", key)
	for trust, want := range map[string]exitCode{"-insecure": exitOK, "-cacert=" + cert: exitOK, "-quiet": exitTLS} {
		if r := runWith(t, nil, "conform", "server", "-cases", "1.1.2", trust, "wss://"+addr+"/echo"); r.code != want {
			t.Errorf("TLS, %s: %+v, want exit code %d", trust, r, want)
		}
	}
}

// An interrupted run reports its results.
func TestInterruptedRun(t *testing.T) {
	addr, _ := startServe(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	notes, out := newLineWriter(), filepath.Join(t.TempDir(), "out")
	var table strings.Builder
	code := make(chan exitCode, 1)
	go func() {
		args := []string{"conform", "server", "-v", "-parallel", "1", "-cases", "1.1.1,5.19", "-agent", "a", "-out", out, "ws://" + addr + "/echo"}
		code <- run(ctx, args, nil, &table, notes)
	}()
	notes.await(t, "case 1.1.1: OK") // case 5.19 takes a second
	interrupt()
	if c := <-code; c != exitInterrupted {
		t.Errorf("exit code %d", c)
	}
	if !strings.Contains(table.String(), "1 of 2 cases: 1 OK") {
		t.Errorf("the table is %q", &table)
	}
	if verdicts := readIndex(t, out)["a"]; len(verdicts) != 1 {
		t.Errorf("index.json has %v", verdicts)
	}
}

// brokenWriter is an output that cannot be written to.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestOutputOfConformThatCannotBeWritten(t *testing.T) {
	addr, _ := startServe(t)
	var notes strings.Builder
	code := run(t.Context(), []string{"conform", "server", "-cases", "1.1.1", "ws://" + addr + "/echo"}, nil, brokenWriter{}, &notes)
	if code != exitUsage || !strings.Contains(notes.String(), "the disk is full") {
		t.Errorf("exit code %d, %q", code, &notes)
	}
}

// startConformClient runs `fibersock conform client` and returns the address
// that it serves. wait returns its result after the end, interrupt ends it.
func startConformClient(t *testing.T, args ...string) (addr string, wait func() result, interrupt func()) {
	t.Helper()
	ctx, interrupt := context.WithCancel(context.Background())
	notes := newLineWriter()
	var out strings.Builder
	code := make(chan exitCode, 1)
	go func() {
		args := append([]string{"conform", "client", "-addr", "127.0.0.1:0"}, args...)
		code <- run(ctx, args, nil, &out, notes)
	}()
	wait = sync.OnceValue(func() result {
		r := result{code: <-code, out: out.String()}
		for close(notes.lines); ; {
			line, ok := <-notes.lines
			if !ok {
				return r
			}
			r.err += line + "\n"
		}
	})
	t.Cleanup(func() {
		interrupt()
		wait()
	})
	_, addr, _ = strings.Cut(notes.await(t, "cases at "), "://")
	return strings.TrimSuffix(addr, "/"), wait, interrupt
}

// Our client under test by our judge, both from the command line.
func TestConnectionsOfDriveConform(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	addr, wait, _ := startConformClient(t, "-once", "-patience", "20", "-cases", "1.*,2.*,3.*,5.1,6.1.*,7.*", "-out", out)
	if r := runWith(t, nil, "conform", "drive", "-parallel", "8", "-agent", "our client", "ws://"+addr); r != (result{}) {
		t.Errorf("drive: %+v", r)
	}
	r := wait()
	if r.code != exitOK || !strings.Contains(r.out, `client, "our client": 75 cases: 72 OK, 3 INFORMATIONAL;`) {
		t.Errorf("%+v", r)
	}
	if n := strings.Count(r.out, "Report: "+filepath.Join(out, "index.html")); n != 1 {
		t.Errorf("the report is named %d times: %s", n, r.out)
	}
	if verdicts := readIndex(t, out)["our client"]; len(verdicts) != 75 {
		t.Errorf("index.json has %v", verdicts)
	}
}

func TestConformClientOverTLS(t *testing.T) {
	cert, key := certificate(t)
	addr, wait, _ := startConformClient(t, "-cases", "1.1.1", "-tls-cert", cert, "-tls-key", key)
	if r := runWith(t, nil, "conform", "drive", "wss://"+addr); r.code != exitTLS {
		t.Errorf("without the certificate: %+v", r)
	}
	if r := runWith(t, nil, "conform", "drive", "-shutdown", "-cacert", cert, "wss://"+addr); r.code != exitOK {
		t.Errorf("with the certificate: %+v", r)
	}
	if r := wait(); r.code != exitOK {
		t.Errorf("%+v", r)
	}
}

// A reply is the reaction of a client to a message.
type reply func(c *client.Conn, op wire.Opcode, p []byte)

func faithfully(c *client.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }
func wrongly(c *client.Conn, _ wire.Opcode, _ []byte)     { c.CloseNow() }

// visit asks a fuzzing server for a resource and replies to everything until
// the end.
func visit(t *testing.T, addr, resource string, answer reply) {
	t.Helper()
	c := dial(t, "ws://"+addr+"/"+resource, nil)
	for {
		op, p, err := c.ReceiveInto(t.Context(), nil)
		if err != nil {
			return
		}
		answer(c, op, p)
	}
}

// runCase runs a case and waits for the verdict.
func runCase(t *testing.T, addr, query string, answer reply) {
	t.Helper()
	visit(t, addr, "runCase?"+query, answer)
	visit(t, addr, "getCaseStatus?"+query, faithfully)
}

// The exit code of conform client depends on all clients of the run.
func TestClientsThatDoNotPass(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		come func(t *testing.T, addr string)
		code exitCode
		text string // in its output
	}{
		{"none", nil, func(*testing.T, string) {}, exitFailed, "no client ran a case"},
		{"a wrong one", nil, func(t *testing.T, addr string) {
			runCase(t, addr, "case=1&agent=bad", wrongly)
			runCase(t, addr, "case=2&agent=bad", wrongly)
		}, exitFailed, `client, "bad": 2 cases: 2 FAILED`},
		{"a wrong one after a good one", nil, func(t *testing.T, addr string) {
			for n := range 2 {
				runCase(t, addr, fmt.Sprintf("case=%d&agent=good", n+1), faithfully)
				runCase(t, addr, fmt.Sprintf("case=%d&agent=bad", n+1), wrongly)
			}
		}, exitFailed, `client, "good": 2 cases: 2 OK`},
		{"a wrong one that is expected", []string{"-expect", expectation(t, "FAILED", "FAILED", "*")}, func(t *testing.T, addr string) {
			runCase(t, addr, "case=1&agent=bad", wrongly)
			runCase(t, addr, "case=2&agent=bad", wrongly)
		}, exitOK, "2 FAILED"},
		{"one that left early", nil, func(t *testing.T, addr string) {
			runCase(t, addr, "case=1&agent=gone%1b", faithfully)
			visit(t, addr, "updateReports?agent=gone%1b", faithfully)
		}, exitFailed, `"gone\x1b" ran only 1 of 2 cases`},
		// This was not reported if another client failed.
		{"one that left early, and a wrong one", nil, func(t *testing.T, addr string) {
			runCase(t, addr, "case=1&agent=early", faithfully)
			runCase(t, addr, "case=1&agent=bad", wrongly)
			runCase(t, addr, "case=2&agent=bad", wrongly)
		}, exitFailed, `"early" ran only 1 of 2 cases`},
		{"a good one", nil, func(t *testing.T, addr string) {
			runCase(t, addr, "case=1&agent=good", faithfully)
			runCase(t, addr, "casetuple=1.1.3&agent=good", faithfully)
		}, exitOK, "2 OK"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"-cases", "1.1.2,1.1.3"}, c.args...)
			addr, wait, _ := startConformClient(t, args...)
			c.come(t, addr)
			visit(t, addr, "stopServer", faithfully)
			if r := wait(); r.code != c.code || !strings.Contains(r.out+r.err, c.text) {
				t.Errorf("%+v, want exit code %d and %q", r, c.code, c.text)
			}
		})
	}
}

// Ctrl-C ends a fuzzing server, which reports its results.
func TestInterruptedConformClient(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	addr, wait, interrupt := startConformClient(t, "-cases", "1.1.2", "-out", out)
	runCase(t, addr, "case=1&agent=good", faithfully)
	interrupt()
	if r := wait(); r.code != exitOK || !strings.Contains(r.out, "1 OK") {
		t.Errorf("%+v", r)
	}
	if verdicts := readIndex(t, out)["good"]; len(verdicts) != 1 {
		t.Errorf("index.json has %v", verdicts)
	}
}

// A browser gets the report at the address of the clients, and nothing else.
func TestReportInBrowser(t *testing.T) {
	addr, wait, _ := startConformClient(t, "-cases", "1.1.2")
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (status int, mediaType, body string) {
		t.Helper()
		r, err := web.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, r.Header.Get("Content-Type"), string(text)
	}
	if status, _, body := get("/"); status != 200 || !strings.Contains(body, "/updateReports") {
		t.Errorf("before there is a report: %d, %q", status, body)
	}
	if r := runWith(t, nil, "conform", "drive", "ws://"+addr); r.code != exitOK {
		t.Errorf("drive: %+v", r)
	}
	for path, want := range map[string]string{
		"/": "text/html", "/index.html": "text/html", "/index.json": "application/json",
		"/fibersock_case_1_1_2.html": "text/html", "/fibersock_case_1_1_2.json": "application/json",
	} {
		if status, mediaType, body := get(path); status != 200 || !strings.HasPrefix(mediaType, want) || body == "" {
			t.Errorf("%s: %d, %s, %d bytes", path, status, mediaType, len(body))
		}
	}
	for _, path := range []string{"/elsewhere.html", "/../conform_test.go", "/%2e%2e/conform_test.go", "//etc/passwd", "/.", "/index.html/.."} {
		if status, _, body := get(path); status == 200 && !strings.Contains(body, "fibersock") {
			t.Errorf("%s: %d, %.40q", path, status, body)
		}
	}
	visit(t, addr, "stopServer", faithfully)
	if r := wait(); r.code != exitOK || strings.Contains(r.out, "Report:") {
		t.Errorf("%+v", r)
	}
}

func TestDriveSaysWhereThereIsNoFuzzingServer(t *testing.T) {
	serving, _ := startServe(t)
	silent := startPeer(t, func(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	if r := runWith(t, nil, "conform", "drive", "ws://"+tcpserver.Refusing(t)); r.code != exitUnreachable {
		t.Errorf("no listener: %+v", r)
	}
	if r := runWith(t, nil, "conform", "drive", "ws://"+serving); r.code != exitRefused {
		t.Errorf("another server: %+v", r)
	}
	talking := startPeer(t, says(append([]byte{0x81, 4}, "\x1b[2J\x88\x00"...)))
	if r := runWith(t, nil, "conform", "drive", "ws://"+talking); r.code != exitRefused || strings.Contains(r.err, "\x1b") {
		t.Errorf("a server that says something else: %+v", r)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if code := run(ctx, []string{"conform", "drive", "ws://" + silent}, nil, io.Discard, io.Discard); code != exitInterrupted {
		t.Errorf("interrupted: exit code %d", code)
	}
}
