package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// startServer serves s for the rest of the test.
func startServer(t *testing.T, s *server.Server) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	startServerOn(t, s, ln)
	return "ws://" + ln.Addr().String() + "/"
}

// startServerOn serves s on ln for the rest of the test.
func startServerOn(t *testing.T, s *server.Server, ln net.Listener) {
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		<-served
	})
}

func echoServer() *server.Server {
	return &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
	}}
}

func TestEachLineIsAMessageAndEachReplyALine(t *testing.T) {
	url := startServer(t, echoServer())
	long := strings.Repeat("long ", 100_000)
	for _, c := range []struct{ name, in, out, expect string }{
		{"lines", "one\ntwo\nthree\n", "one\ntwo\nthree\n", "3"},
		{"the last line without its end", "one\ntwo", "one\ntwo\n", "2"},
		{"empty lines are messages", "\n\n", "\n\n", "2"},
		{"line ends of other systems", "one\r\ntwo\r\n", "one\ntwo\n", "2"},
		{"a slash is no command in a pipe", "/quit\n", "/quit\n", "1"},
		{"control characters in a pipe stay", "\x1b[31m\n", "\x1b[31m\n", "1"},
		{"a line larger than any buffer", long + "\n", long + "\n", "1"},
		{"more than buffers between the two hold", strings.Repeat(long+"\n", 20), strings.Repeat(long+"\n", 20), "20"},
	} {
		r := runWith(t, strings.NewReader(c.in), "connect", "-expect", c.expect, url)
		if r.code != exitOK || r.out != c.out || r.err != "" {
			t.Errorf("%s: exit code %d, %.60q, %s", c.name, r.code, r.out, r.err)
		}
	}
}

// 6455-7.4-e: a client closes with 1000 when it is finished.
func TestClosesNormallyAtTheEndOfInput(t *testing.T) {
	codes := make(chan wire.StatusCode, 1)
	s := echoServer()
	s.Handler.Close = func(_ *server.Conn, code wire.StatusCode, _ string) { codes <- code }
	url := startServer(t, s)
	for args, want := range map[string]wire.StatusCode{"-expect 1": 1000, "-wait 100ms": 1000, "-wait 0s": 1000, "-binary -wait 0s": 1000, "-close 4000 -expect 1": 4000, "-close 1001 -wait 0s": 1001} {
		r := runWith(t, strings.NewReader("hello\n"), append([]string{"connect", url}, strings.Fields(args)...)...)
		if code := <-codes; r.code != exitOK || code != want {
			t.Errorf("%s: exit code %d, the server saw %v; %s", args, r.code, code, r.err)
		}
	}
}

func TestRepliesAreAwaitedAfterTheEndOfInput(t *testing.T) {
	goOn := make(chan bool)
	s := &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			<-goOn
			for _, word := range strings.Fields(string(p)) {
				c.SendText(word)
			}
		},
	}}
	url := startServer(t, s)
	for _, args := range []string{"-expect 4", "-wait -1s -expect 4", "-wait 1m -expect 4"} {
		r := make(chan result, 1)
		go func() {
			r <- runWith(t, strings.NewReader("a b c d e\n"), append([]string{"connect", url}, strings.Fields(args)...)...)
		}()
		goOn <- true
		if r := <-r; r.code != exitOK || r.out != "a\nb\nc\nd\n" {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

func TestInputThatIsNotUTF8(t *testing.T) {
	url := startServer(t, echoServer())
	r := runWith(t, strings.NewReader("fine\n\xff\xfe\n"), "connect", url)
	if r.code != exitUsage || !strings.Contains(r.err, "message 2") || !strings.Contains(r.err, "-binary") {
		t.Errorf("as text: %+v", r)
	}
	r = runWith(t, strings.NewReader("\xff\xfe\n"), "connect", "-binary", "-expect", "1", url)
	if r.code != exitOK || r.out != "\xff\xfe\n" {
		t.Errorf("as binary: %+v", r)
	}
}

// recorderServer returns a server that sends its received messages to a
// channel.
func recorderServer(t *testing.T) (url string, messages chan string) {
	messages = make(chan string, 100)
	s := echoServer()
	s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) { messages <- fmt.Sprintf("%v %s", op, p) }
	s.Handler.Close = func(*server.Conn, wire.StatusCode, string) { close(messages) }
	return startServer(t, s), messages
}

// A binary file lost its line ends and was sent as a message for each byte of
// value 10 (websockets/wscat#12, vi/websocat#216).
func TestBinaryInputIsSentByteForByte(t *testing.T) {
	var in []byte
	for i := range 300_000 {
		in = append(in, byte(i), byte(i>>8), '\r', '\n')
	}
	url, messages := recorderServer(t)
	r := runWith(t, bytes.NewReader(in), "connect", "-binary", "-wait", "0s", url)
	if r.code != exitOK || r.err != "" {
		t.Errorf("%+v", r)
	}
	var got []byte
	for m := range messages {
		payload, binary := strings.CutPrefix(m, "binary ")
		if !binary || len(payload) > maxChunk {
			t.Errorf("received %.20q… of %d bytes", m, len(m))
		}
		got = append(got, payload...)
	}
	if !bytes.Equal(got, in) {
		t.Errorf("received %d bytes, sent %d", len(got), len(in))
	}
}

// A message of several lines, such as a frame of STOMP, could not be sent at
// all (websockets/wscat#135, vi/websocat#164 and #251).
func TestDelimiters(t *testing.T) {
	for _, c := range []struct {
		in, args string
		want     []string
	}{
		{"a\nb\x00c\r\n\x00", `-delimiter \0`, []string{"text a\nb", "text c\r\n"}},
		{"a\nb\x1e\x1ec", `-delimiter \x1e`, []string{"text a\nb", "text ", "text c"}},
		{"a\nb\n\nc\n", `-delimiter \n\n`, []string{"text a\nb", "text c\n"}},
		{"a--b-c--", `-delimiter --`, []string{"text a", "text b-c"}},
		{"a\nb\r\n\x00", `-delimiter=`, []string{"text a\nb\r\n\x00"}},
		{"", `-delimiter=`, nil},
		{"a\r\nb\n", `-binary -delimiter \n`, []string{"binary a\r", "binary b"}},
		{"\xff\x00", `-binary -delimiter=`, []string{"binary \xff\x00"}},
		{`a"b`, `-delimiter "`, []string{"text a", "text b"}},
		{`a\b`, `-delimiter \\`, []string{"text a", "text b"}},
	} {
		url, messages := recorderServer(t)
		r := runWith(t, strings.NewReader(c.in), append([]string{"connect", "-wait", "0s", url}, strings.Fields(c.args)...)...)
		var got []string
		for m := range messages {
			got = append(got, m)
		}
		if r.code != exitOK || !slices.Equal(got, c.want) {
			t.Errorf("%q with %s: received %q, want %q; %+v", c.in, c.args, got, c.want, r)
		}
	}
}

// akshaykhairmode/wscli#4
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	hosts := make(chan string, 1)
	s := echoServer()
	s.Handler.Open = func(c *server.Conn) { hosts <- c.Request().Host() + c.Path() }
	startServerOn(t, s, ln)
	r := runWith(t, strings.NewReader("hello\n"), "connect", "-expect", "1", "-unix", path, "ws://app.example/echo")
	if r.code != exitOK || r.out != "hello\n" || <-hosts != "app.example/echo" {
		t.Errorf("%+v", r)
	}
}

// events decodes -json's lines, without their time.
func events(t *testing.T, lines string) (list []map[string]any) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, err := time.Parse(time.RFC3339Nano, e["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(e, "time")
		list = append(list, e)
	}
	return list
}

func wantEvents(t *testing.T, lines string, want ...string) {
	t.Helper()
	var got []string
	for _, e := range events(t, lines) {
		b, _ := json.Marshal(e) // with the keys in order
		got = append(got, string(b))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestJSONHasALineForEverything(t *testing.T) {
	s := &server.Server{Subprotocols: []string{"chat"}, Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			c.Send(op, p)
			c.Send(wire.Binary, []byte{1, 2, 3})
			c.Send(wire.Binary, nil)
			c.SendPing([]byte("?"))
			c.SendText("<\u009b31m\u202e\U000e0041>")
		},
	}}
	url := startServer(t, s)
	r := runWith(t, strings.NewReader("grüß dich\n"), "connect", "-json", "-subprotocol", "x", "-subprotocol", "chat", "-expect", "4", url)
	wantEvents(t, r.out,
		`{"subprotocol":"chat","type":"open","url":"`+url+`"}`,
		`{"direction":"out","size":11,"text":"grüß dich","type":"text"}`,
		`{"direction":"in","size":11,"text":"grüß dich","type":"text"}`,
		`{"data":"AQID","direction":"in","size":3,"type":"binary"}`,
		`{"data":"","direction":"in","size":0,"type":"binary"}`,
		`{"data":"Pw==","direction":"in","size":1,"type":"ping"}`,
		"{\"direction\":\"in\",\"size\":14,\"text\":\"\\u003c\u009b31m\u202e\U000e0041\\u003e\",\"type\":\"text\"}",
		`{"code":1000,"direction":"out","reason":"","type":"close"}`,
	)
	if want := `<\u009b31m\u202e\udb40\udc41>`; !strings.Contains(r.out, want) {
		t.Errorf("a terminal would obey %q; want %s in it", r.out, want)
	}
}

func TestJSONTellsHowItEnded(t *testing.T) {
	url := startServer(t, &server.Server{Handlers: map[string]*server.Handler{
		"/closed": {Open: func(c *server.Conn) { c.Close(4000, "bye") }},
		"/failed": {Open: func(c *server.Conn) { c.SendText("more than ten bytes") }},
		"/lost":   {Open: func(c *server.Conn) { c.CloseNow() }},
	}})
	for _, c := range []struct{ path, want, err string }{
		{"closed", `{"code":4000,"direction":"in","reason":"bye","type":"close"}`, ""},
		{"failed", `{"code":1009,"direction":"out","type":"close"}`, "-max-message"},
		{"lost", `{"code":1006,"type":"close"}`, "lost"},
		{"nowhere", `{"status":404,"type":"error"}`, "404"},
	} {
		input, pipe := io.Pipe()
		r := runWith(t, input, "connect", "-json", "-max-message", "10", url+c.path)
		pipe.Close()
		list := events(t, r.out)
		last := list[len(list)-1]
		if why, _ := last["error"].(string); !strings.Contains(why, c.err) || (why == "") != (c.err == "") {
			t.Errorf("%s: %q", c.path, why)
		}
		delete(last, "error")
		if b, _ := json.Marshal(last); string(b) != c.want {
			t.Errorf("%s: %s, want %s", c.path, b, c.want)
		}
	}
}

func TestHandshakeIsShownWithoutItsSecrets(t *testing.T) {
	s := echoServer()
	url := startServer(t, s)
	withUser := strings.Replace(url, "//", "//joe:hunter2@", 1)
	r := runWith(t, strings.NewReader(""), "connect", "-v", "-wait", "0s", "-H", "Cookie: sid=hunter2", "-H", "X-Kind: try",
		"-origin", strings.Replace(strings.TrimSuffix(url, "/"), "ws:", "http:", 1), withUser)
	if r.code != exitOK || r.out != "" {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{
		"* connected to 127.0.0.1:", "> GET / HTTP/1.1\n", "> Authorization: Basic [not shown]\n", "> Cookie: [not shown]\n", "> X-Kind: try\n",
		"> Origin: http://127.0.0.1:", "> Sec-WebSocket-Key: ", "< HTTP/1.1 101 ", "< Sec-WebSocket-Accept: ", "Closed with 1000",
	} {
		if !strings.Contains(r.err, want) {
			t.Errorf("%q is missing in\n%s", want, r.err)
		}
	}
	if strings.Contains(r.err, "hunter2") {
		t.Errorf("a secret is shown:\n%s", r.err)
	}
}

// -H with Host replaces the host of the URL in the field Host, in any case of
// its name.
func TestHostOfTheRequest(t *testing.T) {
	hosts := make(chan string, 1)
	s := echoServer()
	s.Authorize = func(r *handshake.Request, _ *handshake.ServerAnswer) error {
		hosts <- r.Host()
		return nil
	}
	url := startServer(t, s)
	for _, name := range []string{"Host", "host"} {
		r := runWith(t, strings.NewReader(""), "connect", "-wait", "0s", "-H", name+": chat.example", url)
		check.Equal(t, r.code, exitOK, "exit code")
		check.Equal(t, <-hosts, "chat.example", "Host")
	}
	check.Equal(t, runWith(t, nil, "connect", "-H", "Host: a", "-H", "Host: b", url).code, exitUsage, "exit code with two values")
}

func TestRedact(t *testing.T) {
	for line, want := range map[string]string{
		"GET /?a:b HTTP/1.1":          "GET /?a:b HTTP/1.1",
		"Authorization: Bearer abc":   "Authorization: Bearer [not shown]",
		"authorization: abc":          "authorization: [not shown]",
		"PROXY-AUTHORIZATION:Basic x": "PROXY-AUTHORIZATION: Basic [not shown]",
		"Set-Cookie: a=b; Path=/":     "Set-Cookie: [not shown]",
		"X-Authorization-Hint: none":  "X-Authorization-Hint: none",
	} {
		if got := redact(line); got != want {
			t.Errorf("%q is shown as %q, want %q", line, got, want)
		}
	}
}

// 6455-5.5.2-c
func TestPingMeasuresRoundTrips(t *testing.T) {
	url := startServer(t, echoServer())
	input, pipe := io.Pipe()
	notes := newLineWriter()
	code := make(chan exitCode, 1)
	go func() {
		code <- run(t.Context(), []string{"connect", "-v", "-ping", "20ms", "-wait", "0s", url}, input, io.Discard, notes)
	}()
	notes.await(t, "round trip ")
	pipe.Close()
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d", c)
	}
}

// A server that answered each Ping with an empty Pong was given up after the
// first, although it was there (python-websockets/websockets PR 315,
// Simple-WebSocket-Server#103).
func TestAnyFrameAfterAPingIsASignOfLife(t *testing.T) {
	pings := make(chan bool, 10)
	addr := startPeer(t, func(nc net.Conn, r *bufio.Reader) {
		accept(nc, r)
		for range 2 {
			if awaitFrame(r, wire.Ping) != nil {
				return
			}
			pings <- true
			nc.Write(wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: wire.Pong}, nil))
		}
		nc.Write(closeFrame(1000, ""))
		awaitFrame(r, wire.Close)
	})
	input, pipe := io.Pipe()
	defer pipe.Close()
	r := runWith(t, input, "connect", "-ping", "300ms", "ws://"+addr)
	if r.code != exitOK || r.err != "" || len(pings) != 2 {
		t.Errorf("%d Pings, %+v", len(pings), r)
	}
}

// 6455-7.4-e
func TestInterruptClosesWithGoingAway(t *testing.T) {
	opened, codes := make(chan bool, 1), make(chan wire.StatusCode, 1)
	url := startServer(t, &server.Server{Handler: server.Handler{
		Open:  func(*server.Conn) { opened <- true },
		Close: func(_ *server.Conn, code wire.StatusCode, _ string) { codes <- code },
	}})
	ctx, interrupt := context.WithCancel(t.Context())
	input, pipe := io.Pipe()
	defer pipe.Close()
	exit := make(chan exitCode, 1)
	go func() { exit <- run(ctx, []string{"connect", url}, input, io.Discard, io.Discard) }()
	<-opened
	interrupt()
	// The client may not have seen the server's answer to its handshake yet;
	// then it hangs up.
	if code := <-codes; code != wire.GoingAway && code != wire.AbnormalClosure {
		t.Errorf("the server saw %v", code)
	}
	if got := <-exit; got != exitInterrupted {
		t.Errorf("exit code %d", got)
	}
}

// brokenOutput is an output whose writes fail.
type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestOutputThatCannotBeWrittenEndsTheConnectionProperly(t *testing.T) {
	codes := make(chan wire.StatusCode, 1)
	s := echoServer()
	s.Handler.Close = func(_ *server.Conn, code wire.StatusCode, _ string) { codes <- code }
	url := startServer(t, s)
	for _, flag := range []string{"-json", "-wait=1h"} {
		input, pipe := io.Pipe()
		exit := make(chan exitCode, 1)
		var notes bytes.Buffer
		go func() { exit <- run(t.Context(), []string{"connect", flag, url}, input, brokenOutput{}, &notes) }()
		io.WriteString(pipe, "hello\n")
		if code := <-codes; code != wire.GoingAway {
			t.Errorf("%s: the server saw %v", flag, code)
		}
		if code := <-exit; code != exitUsage || !strings.Contains(notes.String(), "disk full") {
			t.Errorf("%s: exit code %d, %s", flag, code, notes.String())
		}
		pipe.Close()
	}
}

func TestInputThatCannotBeRead(t *testing.T) {
	url := startServer(t, echoServer())
	input, pipe := io.Pipe()
	pipe.CloseWithError(errors.New("disk on fire"))
	if r := runWith(t, input, "connect", url); r.code != exitUsage || !strings.Contains(r.err, "disk on fire") {
		t.Errorf("%+v", r)
	}
}

// A person is a user at a terminal, in front of `fibersock connect`.
type person struct {
	keyboard *io.PipeWriter
	screen   *bytes.Buffer // standard output; to be looked at after exit
	notes    *lineWriter   // standard error
	exit     chan exitCode
}

func sitDown(t *testing.T, args ...string) person {
	t.Helper()
	input, keyboard := io.Pipe()
	p := person{keyboard, new(bytes.Buffer), newLineWriter(), make(chan exitCode, 1)}
	std := streams{in: input, out: p.screen, err: p.notes, inTerminal: true, outTerminal: true}
	t.Setenv("TERM", "dumb") // the prompt is left on the screen, and lines are lines
	go func() { p.exit <- dispatch(t.Context(), append([]string{"connect"}, args...), std) }()
	t.Cleanup(func() { keyboard.Close() })
	p.notes.await(t, "Connected to ")
	return p
}

func (p person) types(line string) { io.WriteString(p.keyboard, line+"\n") }

func TestCommandsOfATerminal(t *testing.T) {
	messages, pongs, ends := make(chan string, 10), make(chan string, 10), make(chan string, 1)
	url := startServer(t, &server.Server{Handler: server.Handler{
		Message: func(_ *server.Conn, op wire.Opcode, p []byte) { messages <- op.String() + " " + string(p) },
		Close:   func(_ *server.Conn, code wire.StatusCode, reason string) { ends <- code.String() + " " + reason },
		Control: func(_ *server.Conn, op wire.Opcode, p []byte) {
			if op == wire.Pong {
				pongs <- string(p)
			}
		},
	}})
	p := sitDown(t, "-v", url)
	for _, c := range []struct{ line, want string }{
		{"hello", "text hello"}, {"//slash", "text /slash"}, {"/binary 41 4243", "binary ABC"}, {"\n\nafter empty lines", "text after empty lines"},
		{"/text", "text "}, {"/text /a  b ", "text /a  b "}, {"/file " + writeFile(t, "two\nlines\n"), "text two\nlines\n"},
	} {
		p.types(c.line)
		if got := <-messages; got != c.want {
			t.Errorf("%q sent %q, want %q", c.line, got, c.want)
		}
	}
	for _, c := range []struct{ line, want string }{
		{"/ping", "round trip "}, {"/help", "Each line is sent"}, {"/fly\x1b", `no command "/fly\x1b"`},
		{"/state", "ws://127.0.0.1:"}, {"/state", "sent         7 messages, 47 bytes"}, {"/state", "received     0 messages, 0 bytes"}, {"/state", "round trip   "},
		{"/file /does/not/exist", "/does/not/exist"}, {"/text \xff", "UTF-8"}, {"/binary xyz", "hexadecimal"},
		{"/ping " + strings.Repeat("x", 126), "125"}, {"/ping hello", `< pong, 5 bytes: "hello"`},
		{"/close soon", "status code"}, {"/close 1005", "1005"}, {"/close 70000", "70000"},
		{"/close 1000 " + strings.Repeat("r", 124), "reason"}, {"bad \xff", "UTF-8"},
	} {
		p.types(c.line)
		p.notes.await(t, c.want)
	}
	p.types("/pong ")
	p.types("/pong alive")
	if first, second := <-pongs, <-pongs; first != "" || second != "alive" {
		t.Errorf("the server saw the Pongs %q and %q", first, second)
	}
	p.types("/close 4001 had enough")
	if got := <-ends; got != "4001 had enough" {
		t.Errorf("the server saw %q", got)
	}
	if code := <-p.exit; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestQuitAndEndOfInputOfATerminalCloseAtOnce(t *testing.T) {
	url := startServer(t, echoServer())
	for name, leave := range map[string]func(person){
		"/quit":  func(p person) { p.types("/quit") },
		"/close": func(p person) { p.types("/close") },
		"Ctrl-D": func(p person) { p.keyboard.Close() },
	} {
		p := sitDown(t, url)
		leave(p)
		p.notes.await(t, "Closed with 1000")
		if code := <-p.exit; code != exitOK {
			t.Errorf("%s: exit code %d", name, code)
		}
	}
}

func TestStateShowsTheNegotiation(t *testing.T) {
	s := echoServer()
	s.Subprotocols, s.Compression = []string{"chat"}, new(permessage.Deflate)
	p := sitDown(t, "-subprotocol", "chat", startServer(t, s))
	for _, want := range []string{"subprotocol  chat", "compression  permessage-deflate"} {
		p.types("/state")
		p.notes.await(t, want)
	}
	p.types("/quit")
	<-p.exit
}

// T-H06: a terminal shows the text of a server and does not execute it.
func TestTerminalShowsMessagesEscaped(t *testing.T) {
	red := "\x1b[31mred\nalert"
	url := startServer(t, &server.Server{Handler: server.Handler{
		Open: func(c *server.Conn) {
			c.SendText(red)
			c.Send(wire.Binary, []byte{0x1b, 0x5b})
			c.Send(wire.Binary, make([]byte, 100))
			c.Close(wire.NormalClosure, "\x1b[2J")
		},
	}})
	p := sitDown(t, url)
	p.notes.await(t, `Closed by the peer with 1000 (normal closure): "\x1b[2J"`)
	<-p.exit
	want := `< \x1b[31mred\nalert` + "\n< binary, 2 bytes: 1b 5b\n< binary, 100 bytes: " + strings.Repeat("00 ", 24) + "…\n"
	if got := p.screen.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p = sitDown(t, "-raw", url)
	<-p.exit
	if got := p.screen.String(); !strings.HasPrefix(got, "< "+red+"\n") {
		t.Errorf("-raw: %q", got)
	}
}

func TestPromptMakesRoomForMessages(t *testing.T) {
	t.Setenv("TERM", "xterm")
	var screen bytes.Buffer
	o := &output{interactive: true, std: streams{out: &screen, err: &screen, outTerminal: true}}
	o.ask()
	o.message("in", wire.Text, []byte("hello"))
	o.note("by the way")
	o.answered()
	o.ask()
	o.closed(&client.CloseError{Code: wire.NormalClosure}, nil, exitOK)
	o.note("too late")
	const erase = "\r\x1b[K"
	want := "> " + erase + "< hello\n> " + erase + "by the way\n> " + "> " + erase + "Closed by the peer with 1000 (normal closure)\n"
	if erased := eraseLine(); erased == erase && screen.String() != want {
		t.Errorf("got %q, want %q", screen.String(), want)
	}
}
