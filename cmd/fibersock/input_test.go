package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// writeFile writes a file for the rest of the test.
func writeFile(t *testing.T, content string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "file")
	check.Must(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}

func TestMessagesOfTheCommandLine(t *testing.T) {
	text, bytes := writeFile(t, "two\r\nlines\n"), writeFile(t, "\x00\xff")
	for _, c := range []struct {
		args []string
		in   string
		want []string
	}{
		{[]string{"-x", "one", "-x", "two"}, "not read\n", []string{"text one", "text two"}},
		{[]string{"-x", ""}, "", []string{"text "}},
		{[]string{"-x", "/ping", "-x", "//"}, "", []string{"text /ping", "text //"}},
		{[]string{"-x", "@" + text}, "", []string{"text two\r\nlines\n"}},
		{[]string{"-x", "@@home"}, "", []string{"text @home"}},
		{[]string{"-x", "@-"}, "a\nb\n", []string{"text a\nb\n"}},
		{[]string{"-x", "one", "-i"}, "two\nthree", []string{"text one", "text two", "text three"}},
		{[]string{"-binary", "-x", "@" + bytes, "-x", "\xfe"}, "", []string{"binary \x00\xff", "binary \xfe"}},
		{[]string{"-hex", "-x", "00 fF", "-x", "41", "-x", "@" + text}, "", []string{"binary \x00\xff", "binary A", "binary two\r\nlines\n"}},
		{[]string{"-hex"}, "4142\n\n 43 44 \n", []string{"binary AB", "binary ", "binary CD"}},
		{[]string{"-base64"}, "QUI=\nQUI\n_-8\n/+8=\n", []string{"binary AB", "binary AB", "binary \xff\xef", "binary \xff\xef"}},
		{[]string{"-hex", "-delimiter", ","}, "41,\n42", []string{"binary A", "binary B"}},
	} {
		url, received := recorderServer(t)
		r := runWith(t, strings.NewReader(c.in), append([]string{"connect", "-wait", "0s", url}, c.args...)...)
		var got []string
		for m := range received {
			got = append(got, m)
		}
		if r.code != exitOK || r.err != "" || !slices.Equal(got, c.want) {
			t.Errorf("%q: received %q, want %q; %+v", c.args, got, c.want, r)
		}
	}
}

func TestMessagesThatCannotBeSent(t *testing.T) {
	url := startServer(t, echoServer())
	binary := writeFile(t, "\xff")
	for _, c := range []struct {
		args []string
		in   string
		err  string
	}{
		{[]string{"-x", "@/does/not/exist"}, "", "/does/not/exist"},
		{[]string{"-x", "@" + binary}, "", "not UTF-8"},
		{[]string{"-x", "\xff"}, "", "-binary"},
		{[]string{"-hex", "-x", "abc"}, "", "not hexadecimal"},
		{[]string{"-base64", "-x", "a*"}, "", "not base64"},
		{[]string{"-hex"}, "00\nxy\n", "message 2 of the input: it is not hexadecimal"},
	} {
		r := runWith(t, strings.NewReader(c.in), append([]string{"connect", url}, c.args...)...)
		if r.code != exitUsage || !strings.Contains(r.err, c.err) {
			t.Errorf("%q: %+v, want %q", c.args, r, c.err)
		}
	}
}

// zeros has no end, as /dev/zero. It counts the bytes that are read.
type zeros struct{ read int64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += int64(len(p))
	return len(p), nil
}

func TestInputWithoutEndIsReadUpToALimit(t *testing.T) {
	url := startServer(t, echoServer())
	long := writeFile(t, strings.Repeat("x", 4<<10+1))
	for args, want := range map[string]string{
		"connect -max-send 4K -x @- " + url:            "-x \"@-\": standard input exceeds -max-send (4096)",
		"connect -max-send 4K -x @" + long + " " + url: long + " exceeds -max-send (4096)",
		"connect -max-send 4K -delimiter EMPTY " + url: "standard input: the input exceeds -max-send (4096)",
		"connect -max-send 4K " + url:                  "standard input: the line exceeds -max-send (4096)",
		"connect -max-send 4K -delimiter ab " + url:    "standard input: the text up to the next delimiter exceeds -max-send (4096)",
		"replay -max-send 4K - " + url:                 "standard input, line 1: the line exceeds -max-send (4096)",
		"replay -max-send 4K " + long + " " + url:      long + ", line 1: the line exceeds -max-send (4096)",
		"frame -max-input 4K -raw":                     "standard input exceeds -max-input (4096)",
		"frame -max-input 4K":                          "standard input exceeds -max-input (4096)",
	} {
		fields := strings.Fields(args)
		for i := range fields {
			if fields[i] == "EMPTY" {
				fields[i] = ""
			}
		}
		in := new(zeros)
		if r := runWith(t, in, fields...); r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
		if in.read > 64<<10 {
			t.Errorf("%s: %d bytes were read", args, in.read)
		}
	}
	if r := runWith(t, nil, "connect", "-wait", "0s", "-max-send", "4097", "-x", "@"+long, url); r.code != exitOK {
		t.Errorf("a file as long as the limit: %+v", r)
	}
	var tooLong *inputLimitError
	if _, err := (inputLimit{3, "-o"}).readAll(new(zeros), "it"); !errors.As(err, &tooLong) || tooLong.limit.size != 3 {
		t.Errorf("%v", err)
	}
	if b, err := (inputLimit{-1, "-o"}).readAll(strings.NewReader("abc"), "it"); err != nil || string(b) != "abc" {
		t.Errorf("no limit: %q, %v", b, err)
	}
	if _, err := readKeyPair("/dev/zero", "/dev/zero"); err == nil {
		t.Error("a certificate without end")
	}
}

func TestReplayWaitsForRecordedMessagesOnly(t *testing.T) {
	t.Parallel()
	url := startServer(t, &server.Server{Handler: server.Handler{Message: func(*server.Conn, wire.Opcode, []byte) {}}})
	file := writeFile(t, `{"time":"2026-01-02T03:04:05Z","direction":"out","type":"text","text":"a"}`)
	if r := runWith(t, nil, "replay", file, url); r.code != exitOK || r.err != "" {
		t.Errorf("%+v", r) // with a remark about missing replies, if it waited for one
	}
}

func TestFormsOfReceivedMessages(t *testing.T) {
	url := startServer(t, &server.Server{Handler: server.Handler{
		Open: func(c *server.Conn) {
			c.SendText("text")
			c.SendBinary([]byte("\x00\xff"))
			c.SendBinary(nil)
			c.SendText("end")
			c.Close(wire.NormalClosure, "")
		},
	}})
	for args, want := range map[string]string{
		"":        "text\n\x00\xffend\n",
		"-n":      "text\x00\xffend",
		"-hex":    "text\n00ff\n\nend\n",
		"-base64": "text\nAP8=\n\nend\n",
		"-hex -n": "text00ffend",
	} {
		if r := runWith(t, strings.NewReader(""), append([]string{"connect", "-wait", "-1s", url}, strings.Fields(args)...)...); r.out != want {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	p := sitDown(t, "-hex", url)
	<-p.exit
	if got, want := p.screen.String(), "< text\n< 00ff\n< \n< end\n"; got != want {
		t.Errorf("on a terminal: %q, want %q", got, want)
	}
}

func TestUntilEndsWithTheMessageThatMatches(t *testing.T) {
	url := startServer(t, &server.Server{Handlers: map[string]*server.Handler{
		"/stays": {Open: func(c *server.Conn) { c.SendText("a1"); c.SendText("b22"); c.SendText("c333") }},
		"/ends":  {Open: func(c *server.Conn) { c.SendText("a1"); c.Close(wire.NormalClosure, "") }},
	}})
	for _, c := range []struct {
		path, args string
		code       exitCode
		out, err   string
	}{
		{"stays", `-until ^b`, exitOK, "a1\nb22\n", ""},
		{"stays", `-until x -wait 5ms`, exitTimeout, "", "matches -until, then none for 5ms (-wait)"},
		{"ends", `-until b`, exitPeerClosed, "a1\n", "none of 1 message matches -until"},
		{"ends", `-until a`, exitOK, "a1\n", ""},
	} {
		r := runWith(t, strings.NewReader(""), append([]string{"connect", url + c.path}, strings.Fields(c.args)...)...)
		if r.code != c.code || !strings.Contains(r.err, c.err) || c.out != "" && r.out != c.out {
			t.Errorf("%s %s: %+v, want exit code %d, %q, %q", c.path, c.args, r, c.code, c.out, c.err)
		}
	}
}

// inMemory runs connect with connections to s in memory until ctx ends, and
// returns the result and the time that it took in the bubble of the test. Dials
// fail before a time of refused.
func inMemory(t *testing.T, ctx context.Context, s *server.Server, refused time.Duration, input io.Reader, args ...string) (r result, duration time.Duration) {
	t.Helper()
	ln := wstest.Listen(nil)
	start := time.Now()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	defer func() { s.Shutdown(t.Context()); <-served }()
	flags, o := connectFlags()
	o.dialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if time.Since(start) < refused {
			return nil, syscall.ECONNREFUSED
		}
		return ln.DialContext(ctx, network, addr)
	}
	_, err := parse(flags, args)
	check.Must(t, err)
	check.Must(t, o.check(flags))
	check.Must(t, o.prepare(input))
	var out, errs bytes.Buffer
	std := newStreams(input, &out, &errs)
	r.code = o.run(ctx, "ws://any.example/", std, func(s *session) source { return o.source(std, s.out) })
	r.out, r.err = out.String(), errs.String()
	return r, time.Since(start)
}

// Replies later than a second were lost with exit code 0.
func TestRepliesThatAreDueAreAwaited(t *testing.T) {
	for _, c := range []struct {
		name, in string
		args     []string
		delays   []time.Duration // of the replies
		out      string
		err      string
		duration time.Duration
	}{
		{"a late reply", "q\n", nil, []time.Duration{9 * time.Second}, "1\n", "", 10 * time.Second},
		{"the second is late", "q\nq\n", nil, []time.Duration{0, 9 * time.Second}, "1\n2\n", "", 10 * time.Second},
		{"none", "q\n", nil, nil, "", "no message for 10s after the end of input; sent 1 message, received 0", 10 * time.Second},
		{"one is missing", "q\nq\n", nil, []time.Duration{0}, "1\n", "sent 2 messages, received 1. -wait", 10 * time.Second},
		{"no question", "", nil, []time.Duration{9 * time.Second}, "1\n", "", 10 * time.Second},
		{"more than were sent", "q\n", nil, []time.Duration{0, 500 * time.Millisecond}, "1\n2\n", "", 1500 * time.Millisecond},
		{"as long as -wait says", "q\n", []string{"-wait", "3s"}, []time.Duration{4 * time.Second}, "", "", 3 * time.Second},
		{"-expect", "q\n", []string{"-expect", "2"}, []time.Duration{time.Second, 9 * time.Second}, "1\n2\n", "", 10 * time.Second},
		{"parts of a stream", "q", []string{"-binary"}, []time.Duration{0}, "1\n", "", time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &server.Server{Handler: server.Handler{Serve: func(conn *server.Conn) {
				for i, delay := range c.delays {
					time.Sleep(delay)
					conn.Sendf("%d", i+1)
				}
				for {
					if _, err := conn.Receive(t.Context()); err != nil {
						return
					}
				}
			}}}
			r, duration := inMemory(t, t.Context(), s, 0, strings.NewReader(c.in), c.args...)
			if r.code != exitOK || r.out != c.out || !strings.Contains(r.err, c.err) || (r.err == "") != (c.err == "") || duration != c.duration {
				t.Errorf("%s: %+v after %v, want %q, %q, %v", c.name, r, duration, c.out, c.err, c.duration)
			}
		})
	}
}

func TestUnmetOffers(t *testing.T) {
	codes := make(chan wire.StatusCode, 1)
	s := echoServer()
	s.Subprotocols = []string{"chat"}
	s.Handler.Close = func(_ *server.Conn, code wire.StatusCode, _ string) { codes <- code }
	url := startServer(t, s)
	for _, c := range []struct {
		args string
		code exitCode
		sent wire.StatusCode
		err  string
	}{
		{"-subprotocol chat", exitOK, wire.NormalClosure, ""},
		{"-subprotocol x,y", exitRefused, wire.PolicyViolation, "none of the subprotocols x,y (-subprotocol)"},
		{"-compress", exitRefused, wire.MandatoryExtension, "permessage-deflate (-compress)"},
	} {
		r := runWith(t, strings.NewReader(""), append([]string{"connect", "-wait", "0s", url}, strings.Fields(c.args)...)...)
		if sent := <-codes; r.code != c.code || sent != c.sent || !strings.Contains(r.err, c.err) {
			t.Errorf("%s: %+v, closed with %v; want exit code %d, %v, %q", c.args, r, sent, c.code, c.sent, c.err)
		}
	}
}

func TestJSONErrorsHaveTheStatus(t *testing.T) {
	addr := startPeer(t, func(nc net.Conn, r *bufio.Reader) {
		line, _ := r.ReadString('\n')
		status := "503 Later"
		if strings.HasPrefix(line, "CONNECT") {
			status = "407 Who"
		}
		nc.Write([]byte("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n"))
	})
	for args, want := range map[string]float64{"": 503, "-proxy http://" + addr: 407} {
		r := runWith(t, strings.NewReader(""), append(strings.Fields("connect -json ws://"+addr), strings.Fields(args)...)...)
		if list := events(t, r.out); len(list) != 1 || list[0]["type"] != "error" || list[0]["status"] != want {
			t.Errorf("%s: %s, want status %v", args, r.out, want)
		}
	}
}

func TestRecordingIsReplayed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "recording")
	url := startServer(t, &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			if string(p) != "one" { // the second message; the recording has one order
				c.SendText("one")
				c.Send(op, p)
			}
		},
	}})
	r := runWith(t, strings.NewReader(""), "connect", "-record", file, "-x", "one", "-x", "zwei\n", "-expect", "2", url)
	if r.code != exitOK || r.out != "one\nzwei\n\n" {
		t.Fatalf("%+v", r)
	}
	text, err := os.ReadFile(file)
	check.Must(t, err)
	wantEvents(t, string(text),
		`{"type":"open","url":"`+url+`"}`,
		`{"direction":"out","size":3,"text":"one","type":"text"}`,
		`{"direction":"out","size":5,"text":"zwei\n","type":"text"}`,
		`{"direction":"in","size":3,"text":"one","type":"text"}`,
		`{"direction":"in","size":5,"text":"zwei\n","type":"text"}`,
		`{"code":1000,"direction":"out","reason":"","type":"close"}`,
	)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if r := runWith(t, bytes.NewReader(text), "replay", "-speed", "0", "-compare", "-", url); r.code != exitOK || r.out != "one\nzwei\n\n" {
		t.Errorf("from standard input: %+v", r)
	}
	other := startServer(t, &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, bytes.ToUpper(p)) },
	}})
	for _, c := range []struct {
		args []string
		code exitCode
		out  string
		err  string
	}{
		{[]string{"-speed", "100", file, url}, exitOK, "one\nzwei\n\n", ""},
		{[]string{"-compare", "-expect", "2", file, url}, exitOK, "one\nzwei\n\n", ""},
		{[]string{"-expect", "2", "-speed", "0", file, other}, exitOK, "ONE\nZWEI\n\n", ""},
		{[]string{"-compare", "-speed", "0", file, other}, exitDiffers, "", "message 1 differs"},
		{[]string{"-compare", "-expect", "1", file, url}, exitDiffers, "one\n", "1 message received, 2 in the recording"},
	} {
		r := runWith(t, strings.NewReader(""), append([]string{"replay"}, c.args...)...)
		if r.code != c.code || c.out != "" && r.out != c.out || !strings.Contains(r.err, c.err) {
			t.Errorf("%q: %+v, want exit code %d, %q, %q", c.args, r, c.code, c.out, c.err)
		}
	}
}

func TestReplayKeepsTheTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recording
		var start time.Time
		for _, line := range []string{
			`{"time":"2026-01-02T03:04:05.5Z","type":"open"}`,
			`{"time":"2026-01-02T03:04:06Z","direction":"out","type":"text","text":"a"}`,
			`{"time":"2026-01-02T03:04:07Z","direction":"in","type":"text","text":"b"}`,
			`{"time":"2026-01-02T03:04:08.5Z","direction":"out","type":"binary","data":"AAE="}`,
		} {
			check.Must(t, r.add([]byte(line), &start))
		}
		for speed, want := range map[float64]time.Duration{1: 3 * time.Second, 2: 1500 * time.Millisecond, 0: 0} {
			start := time.Now()
			next := r.source(speed, start, nil)
			for _, payload := range []string{"a", "\x00\x01"} {
				if m, ok, err := next(); !ok || err != nil || string(m.payload) != payload {
					t.Errorf("%q, %t, %v", m.payload, ok, err)
				}
			}
			if _, ok, err := next(); ok || err == nil {
				t.Errorf("more: %t, %v", ok, err)
			}
			if d := time.Since(start); d != want {
				t.Errorf("speed %v: %v, want %v", speed, d, want)
			}
		}
	})
}

func TestDifferencesToARecording(t *testing.T) {
	r := recording{received: []outgoing{{op: wire.Text, payload: []byte("a")}}}
	for _, c := range []struct {
		n       int
		op      wire.Opcode
		payload string
		want    string
	}{
		{1, wire.Text, "a", ""},
		{1, wire.Text, "b", "message 1 differs from the recording"},
		{1, wire.Binary, "a", "message 1 is binary, and text in the recording"},
		{2, wire.Text, "a", "message 2 is not in the recording"},
	} {
		if got := r.difference(c.n, c.op, []byte(c.payload)); got != c.want {
			t.Errorf("%d, %v, %q: %q, want %q", c.n, c.op, c.payload, got, c.want)
		}
	}
}

func TestReplayOfFilesThatAreNoRecordings(t *testing.T) {
	for content, want := range map[string]string{
		"\n{\n":                          "line 2: unexpected end",
		`{"type":"open","time":"today"}`: "line 1: parsing time",
		"{\"time\":\"2026-01-02T03:04:05Z\",\"type\":\"text\",\"text\":1}": "line 1: json",
		"": "has no messages",
		"{\"time\":\"2026-01-02T03:04:05Z\",\"type\":\"open\"}\n": "has no messages",
	} {
		if _, err := newConnectOptions().openRecording(writeFile(t, content), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	long := `{"time":"2026-01-02T03:04:05Z","direction":"out","type":"text","text":"` + strings.Repeat("x", 1<<20) + `"}`
	if r, err := newConnectOptions().openRecording(writeFile(t, long+"\n"+`{"time":"2026-01-02T03:04:05Z","type":"ping","data":""}`), nil); err != nil || len(r.sent) != 1 {
		t.Errorf("%v", err)
	}
}

func TestRecordingThatCannotBeWritten(t *testing.T) {
	r := runWith(t, strings.NewReader(""), "connect", "-record", t.TempDir(), "ws://localhost:1/")
	if r.code != exitUsage || !strings.Contains(r.err, "directory") {
		t.Errorf("%+v", r)
	}
	var out bytes.Buffer
	o := &output{recording: brokenOutput{}, std: streams{out: &out, err: &out}}
	if err := o.message("in", wire.Text, []byte("lost")); err == nil || !strings.Contains(err.Error(), "-record: disk full") {
		t.Errorf("%v", err)
	}
}

func TestCompleteURL(t *testing.T) {
	for short, want := range map[string]string{
		"":                          "",
		"ws://example.com/":         "ws://example.com/",
		"HTTPS://example.com":       "HTTPS://example.com",
		"localhost":                 "ws://localhost",
		"LocalHost/echo?a=b:c":      "ws://LocalHost/echo?a=b:c",
		"localhost:8080/echo":       "ws://localhost:8080/echo",
		":8080/echo":                "ws://localhost:8080/echo",
		"8080":                      "ws://localhost:8080",
		"127.0.0.1/x":               "ws://127.0.0.1/x",
		"[::1]":                     "ws://[::1]",
		"[::1]:443/x":               "wss://[::1]:443/x",
		"example.com":               "wss://example.com",
		"example.com/path:1":        "wss://example.com/path:1",
		"example.com:443":           "wss://example.com:443",
		"example.com:8080":          "ws://example.com:8080",
		"joe:secret@example.com/":   "wss://joe:secret@example.com/",
		"joe:secret@localhost:1/?x": "ws://joe:secret@localhost:1/?x",
		"/path":                     "wss:///path",
	} {
		if got := completeURL(short); got != want {
			t.Errorf("%q: %q, want %q", short, got, want)
		}
	}
}

// fibersock URL connects, also with flags in front and without a scheme.
func TestURLWithoutACommand(t *testing.T) {
	url := startServer(t, echoServer())
	addr := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/")
	_, port, _ := net.SplitHostPort(addr)
	for _, args := range [][]string{{url}, {addr}, {addr + "/echo"}, {"-n", url}, {"--k", url}, {"connect", addr}, {"http://" + addr}, {"localhost:" + port}} {
		r := runWith(t, strings.NewReader("hello"), append(args, "-expect", "1")...)
		if r.code != exitOK || strings.TrimSpace(r.out) != "hello" {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestSuggestions(t *testing.T) {
	for args, want := range map[string]string{
		"conect ws://localhost:1/":             `no command "conect"; did you mean "connect"?`,
		"servr":                                `did you mean "serve"?`,
		"frobnicate":                           "no command \"frobnicate\"\n",
		"connect -insecur ws://localhost:1/":   "-insecur; did you mean -insecure?",
		"connect --header x ws://localhost:1/": "-header; use -H",
		"connect -w 1 ws://localhost:1/":       "-w; use -wait",
		"-c ws://localhost:1/":                 "-c; use the URL without a flag",
		"connect -frobnicate ws://localhost:1": "-frobnicate\n",
		"serve -add x":                         "-add; did you mean -addr?",
	} {
		r := runWith(t, strings.NewReader(""), strings.Fields(args)...)
		if r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
	if d := distance("kitten", "sitting"); d != 3 {
		t.Errorf("%d", d)
	}
}

func TestClientCertificate(t *testing.T) {
	certFile, keyFile := certificate(t)
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	check.Must(t, err)
	certPEM, err := os.ReadFile(certFile)
	check.Must(t, err)
	keyPEM, err := os.ReadFile(keyFile)
	check.Must(t, err)
	both := writeFile(t, string(certPEM)+string(keyPEM))
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert})
	check.Must(t, err)
	startServerOn(t, echoServer(), ln)
	for _, c := range []struct {
		args string
		code exitCode
		err  string
	}{
		{"-k -cert " + certFile + " -key " + keyFile, exitOK, ""},
		{"-cacert " + certFile + " -cert " + both, exitOK, ""},
		{"-insecure", exitTLS, "certificate"},
		{"-k -key " + keyFile, exitUsage, "-cert is missing"},
		{"-k -cert " + certFile, exitUsage, "-cert " + certFile},
		{"-k -cert /does/not/exist", exitUsage, "/does/not/exist"},
	} {
		r := runWith(t, strings.NewReader("hello\n"), append(strings.Fields(c.args), "-expect", "1", "wss://"+ln.Addr().String())...)
		if r.code != c.code || !strings.Contains(r.err, c.err) || (r.out == "hello\n") != (c.code == exitOK) {
			t.Errorf("%s: %+v, want exit code %d, %q", c.args, r, c.code, c.err)
		}
	}
}

// A command that reads its input before it connects ends when it is interrupted
// although the input has no end.
func TestInterruptWhileInputIsRead(t *testing.T) {
	for _, args := range [][]string{{"frame"}, {"frame", "-raw"}, {"connect", "-x", "@-", "ws://localhost/"}, {"replay", "-", "ws://localhost/"}} {
		in, w := io.Pipe()
		ctx, interrupt := context.WithCancel(t.Context())
		go func() {
			w.Write([]byte("8")) // returns when the command reads
			interrupt()
		}()
		var out, errs bytes.Buffer
		if code := run(ctx, args, in, &out, &errs); code != exitInterrupted || out.Len()+errs.Len() > 0 {
			t.Errorf("%q: exit code %d, %q, %q", args, code, &out, &errs)
		}
		w.Close()
	}
}
