package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/tcpserver"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// startBridge runs `fibersock bridge` with a listener for the rest of the test,
// and returns the place where it listens and its notes.
func startBridge(t *testing.T, args ...string) (place string, notes *lineWriter) {
	t.Helper()
	ctx, interrupt := context.WithCancel(context.Background())
	notes = newLineWriter()
	code := make(chan exitCode, 1)
	go func() {
		code <- run(ctx, append([]string{"bridge"}, args...), strings.NewReader(""), io.Discard, notes)
	}()
	t.Cleanup(func() {
		interrupt()
		check.Equal(t, <-code, exitOK, "exit code of the interrupted bridge")
	})
	return notes.await(t, "listening on "), notes
}

// reverse is a server that reads to the end of its input and answers then, so
// that it needs a half close.
func reverse(nc *net.TCPConn) {
	b, err := io.ReadAll(nc)
	if err != nil {
		return
	}
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	nc.Write(b)
	nc.CloseWrite()
}

// binaryBytes returns random bytes, in which all values occur.
func binaryBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

// reversed returns b backwards.
func reversed(b []byte) []byte {
	c := bytes.Clone(b)
	for i, j := 0, len(c)-1; i < j; i, j = i+1, j-1 {
		c[i], c[j] = c[j], c[i]
	}
	return c
}

// Standard input ends, the server sees the end through two bridges, answers
// then, and its answer arrives whole: a half close through WebSocket.
func TestBridgeFromStdioHalfCloses(t *testing.T) {
	for _, listener := range []string{"ws-listen", "tcp-listen"} {
		place, _ := startBridge(t, "ws-listen:127.0.0.1:0", "tcp:"+tcpserver.Start(t, reverse))
		far := place
		if listener == "tcp-listen" { // and through one more hop
			place, _ := startBridge(t, far, "tcp-listen:127.0.0.1:0")
			far = "tcp:" + place
		}
		for _, size := range []int{0, 1, 300_000} {
			in := binaryBytes(size)
			var out, errs bytes.Buffer
			code := run(t.Context(), []string{"bridge", "-", far}, bytes.NewReader(in), &out, &errs)
			if code != exitOK || !bytes.Equal(out.Bytes(), reversed(in)) || errs.Len() > 0 {
				t.Errorf("%s, %d bytes: exit code %d, %d bytes arrived, %s", listener, size, code, out.Len(), errs.String())
			}
		}
	}
}

// As a ProxyCommand of ssh: a dialogue over pipes, in which the server speaks
// first, binary in both directions, ended by the end of standard input.
func TestBridgeAsProxyCommand(t *testing.T) {
	const banner = "SSH-2.0-test\r\n"
	place, _ := startBridge(t, "ws-listen:127.0.0.1:0", "tcp:"+tcpserver.Start(t, func(nc *net.TCPConn) {
		io.WriteString(nc, banner)
		io.Copy(nc, nc)
		nc.CloseWrite()
	}))
	inReader, in := io.Pipe()
	out, outWriter := io.Pipe()
	code := make(chan exitCode, 1)
	var errs bytes.Buffer
	go func() { code <- run(t.Context(), []string{"bridge", "-", place}, inReader, outWriter, &errs) }()
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); line != banner {
		t.Errorf("the banner is %q, %v", line, err)
	}
	for i := range 256 {
		packet := bytes.Repeat([]byte{byte(i)}, 1+i*37)
		check.OK(t, check.Err(in.Write(packet)))
		got := make([]byte, len(packet))
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, packet) {
			t.Fatalf("packet %d: %v", i, err)
		}
	}
	in.Close()
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("the output ends by %q, %v", rest, err)
	}
	if c := <-code; c != exitOK || errs.Len() > 0 {
		t.Errorf("exit code %d, %s", c, errs.String())
	}
}

// The server ends first while standard input is open: the command ends.
func TestBridgeEndsWithTheServer(t *testing.T) {
	s := &server.Server{Handler: server.Handler{Open: func(c *server.Conn) {
		c.SendText("text ")
		c.SendBinary(nil)
		c.SendBinary([]byte("and binary"))
		c.Close(wire.NormalClosure, "")
	}}}
	in, _ := io.Pipe()
	defer in.Close()
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"bridge", startServer(t, s), "-"}, in, &out, &errs)
	if code != exitOK || out.String() != "text and binary" || errs.Len() > 0 {
		t.Errorf("exit code %d, %q, %s", code, out.String(), errs.String())
	}
}

// Without the subprotocol the end of input is a Close, and messages that arrive
// before the server's are delivered.
func TestBridgeToAnotherServer(t *testing.T) {
	messages := make(chan string, 100)
	s := echoServer()
	s.Handler.Close = func(_ *server.Conn, code wire.StatusCode, _ string) { messages <- fmt.Sprint(int(code)) }
	url := startServer(t, s)
	in := binaryBytes(200_000)
	for _, args := range [][]string{{"-", url}, {"-no-half-close", url, "-"}} {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"bridge"}, args...), bytes.NewReader(in), &out, &errs)
		if code != exitOK || errs.Len() > 0 || <-messages != "1000" {
			t.Errorf("exit code %d, %s", code, errs.String())
		}
		if !bytes.HasPrefix(in, out.Bytes()) {
			t.Error("the output is no echo")
		}
	}
}

// The bytes of a message that is larger than any buffer arrive before its end.
func TestBridgeDoesNotAssembleMessages(t *testing.T) {
	place, _ := startBridge(t, "ws-listen:127.0.0.1:0", "tcp:"+tcpserver.Start(t, func(nc *net.TCPConn) { io.Copy(nc, nc) }))
	c := dial(t, place, nil)
	w, err := c.NextWriter(wire.Binary)
	check.Must(t, err)
	got := ""
	for i := range 50 {
		check.Must(t, check.Err(io.WriteString(w, fmt.Sprint(i))))
		check.Must(t, w.Flush())
		for want := fmt.Sprint(i); want != ""; { // the echo of this piece
			m, err := c.Receive(t.Context())
			check.Must(t, err)
			got += m.Text()
			want = strings.TrimPrefix(want, m.Text())
		}
	}
	check.Must(t, w.Close())
	if !strings.HasPrefix(got, "0123456789101112") {
		t.Errorf("got %q", got)
	}
}

// A side that does not read stops the other one: only a bounded number of bytes
// fits between them, and all of them arrive later.
func TestBridgeHasBackpressure(t *testing.T) {
	t.Parallel()
	release, started := make(chan struct{}), make(chan struct{})
	const size = 64 << 20
	received := make(chan int64, 1)
	slow := tcpserver.Start(t, func(nc *net.TCPConn) {
		check.OK(t, nc.SetReadBuffer(64<<10))
		close(started)
		<-release
		n, _ := io.Copy(io.Discard, nc)
		received <- n
	})
	far, _ := startBridge(t, "ws-listen:127.0.0.1:0", "tcp:"+slow)
	near, _ := startBridge(t, "tcp-listen:127.0.0.1:0", far)
	nc, err := net.Dial("tcp", near)
	check.Must(t, err)
	defer nc.Close()
	<-started
	sent := make(chan int64, 100_000)
	go func() {
		defer close(sent)
		b := binaryBytes(64 << 10)
		for n := 0; n < size; n += len(b) {
			if _, err := nc.Write(b); err != nil {
				return
			}
			sent <- int64(len(b))
		}
		nc.(*net.TCPConn).CloseWrite()
	}()
	var before int64
	for blocked := false; !blocked; { // no write has returned for a second
		select {
		case n, open := <-sent:
			if !open {
				t.Fatalf("all %d bytes were accepted without a reader", size)
			}
			before += n
		case <-time.After(time.Second):
			blocked = true
		}
	}
	close(release)
	for n := range sent {
		before += n
	}
	if n := <-received; n != size || before != size {
		t.Errorf("%d bytes arrived, %d were sent", n, before)
	}
}

// A connection that breaks on one side is a failure on the other one, and not
// an end.
func TestBridgePassesFailuresOn(t *testing.T) {
	broken := tcpserver.Start(t, func(nc *net.TCPConn) {
		nc.Read(make([]byte, 1))
		nc.SetLinger(0)
	})
	far, notes := startBridge(t, "ws-listen:127.0.0.1:0", "tcp:"+broken)
	c := dial(t, far, &client.Config{Subprotocols: []string{halfClose}})
	check.Equal(t, c.Subprotocol(), halfClose, "subprotocol")
	check.OK(t, c.SendBinary([]byte("x")))
	_, err := c.Receive(t.Context())
	var closed *client.CloseError
	if !errors.As(err, &closed) || closed.Code != wire.InternalError {
		t.Errorf("the client got %v", err)
	}
	notes.await(t, "the connection broke")

	near, _ := startBridge(t, "tcp-listen:127.0.0.1:0", far)
	nc, err := net.Dial("tcp", near)
	check.Must(t, err)
	defer nc.Close()
	check.OK(t, check.Err(nc.Write([]byte("x"))))
	if n, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the client of TCP read %d bytes, %v; want a reset", n, err)
	}
	var out, errs bytes.Buffer
	in, w := io.Pipe()
	go io.WriteString(w, "x")
	if code := run(t.Context(), []string{"bridge", "-", far}, in, &out, &errs); code != exitPeerClosed || !strings.Contains(errs.String(), "1011") {
		t.Errorf("stdio: exit code %d, %s", code, errs.String())
	}
	in.Close()
}

func TestBridgeThatCannotConnect(t *testing.T) {
	closed := tcpserver.Refusing(t)
	plain, _ := startServe(t)
	for args, want := range map[string]exitCode{
		"- tcp:" + closed:                 exitUnreachable,
		"- ws://" + closed + "/":          exitUnreachable,
		"- ws://" + plain + "/none":       exitRefused,
		"- wss://" + plain + "/echo":      exitTLS,
		"- unix:/does/not/exist":          exitUnreachable,
		"- tcp-listen:" + plain:           exitUnreachable,
		"unix-listen:/does/not/exist/x -": exitUnreachable,
	} {
		if r := runWith(t, strings.NewReader(""), append([]string{"bridge"}, strings.Fields(args)...)...); r.code != want || r.err == "" {
			t.Errorf("%s: %+v, want %d", args, r, want)
		}
	}
	// A listener tells its client.
	far, notes := startBridge(t, "ws-listen:127.0.0.1:0", "tcp:"+closed)
	c := dial(t, far, nil)
	_, err := c.Receive(t.Context())
	var end *client.CloseError
	if !errors.As(err, &end) || end.Code != wire.BadGateway {
		t.Errorf("the client got %v", err)
	}
	notes.await(t, "cannot connect")
}

func TestBridgeOfUnixSockets(t *testing.T) {
	dir := t.TempDir()
	echo := "tcp:" + tcpserver.Start(t, reverse)
	startBridge(t, "unix-listen:"+filepath.Join(dir, "far"), echo)
	place, _ := startBridge(t, "ws-listen:127.0.0.1:0", "unix:"+filepath.Join(dir, "far"))
	r := runWith(t, strings.NewReader("abc"), "bridge", "-v", "-json", "-", place)
	if r.code != exitOK || r.out != "cba" || !strings.Contains(r.err, `"sent":3,"received":3`) {
		t.Errorf("%+v", r)
	}
}

// With - on the other side a listener accepts one connection.
func TestBridgeOfStdioAndAListener(t *testing.T) {
	for _, listener := range []string{"tcp-listen:127.0.0.1:0", "ws-listen:127.0.0.1:0"} {
		notes := newLineWriter()
		var out bytes.Buffer
		code := make(chan exitCode, 1)
		go func() {
			code <- run(t.Context(), []string{"bridge", "-", listener}, strings.NewReader("from stdin"), &out, notes)
		}()
		place := notes.await(t, "listening on ")
		if !strings.HasPrefix(place, "ws:") {
			place = "tcp:" + place
		}
		r := runWith(t, strings.NewReader("from the client"), "bridge", "-", place)
		if c := <-code; c != exitOK || r.code != exitOK || r.out != "from stdin" || out.String() != "from the client" {
			t.Errorf("%s: exit code %d, %q; %+v", listener, c, out.String(), r)
		}
	}
}

// More clients than -max-connections wait.
func TestBridgeLimitsItsConnections(t *testing.T) {
	echo := tcpserver.Start(t, func(nc *net.TCPConn) { io.Copy(nc, nc) })
	place, _ := startBridge(t, "-max-connections", "1", "tcp-listen:127.0.0.1:0", "tcp:"+echo)
	talk := func(nc net.Conn) error {
		b := []byte("x")
		if _, err := nc.Write(b); err != nil {
			return err
		}
		return check.Err(io.ReadFull(nc, b))
	}
	first, err := net.Dial("tcp", place)
	check.Must(t, err)
	check.OK(t, talk(first))
	second, err := net.Dial("tcp", place)
	check.Must(t, err)
	defer second.Close()
	answered := make(chan error, 1)
	go func() { answered <- talk(second) }()
	check.OK(t, talk(first))
	select {
	case err := <-answered:
		t.Errorf("the second client was served beside the first one: %v", err)
	default:
	}
	first.Close()
	check.OK(t, <-answered)
}

func TestBridgeIsInterrupted(t *testing.T) {
	closed := make(chan wire.StatusCode, 1)
	url := startServer(t, &server.Server{Handler: server.Handler{
		Open:  func(c *server.Conn) { c.SendText("up\n") },
		Close: func(_ *server.Conn, code wire.StatusCode, _ string) { closed <- code },
	}})
	ctx, interrupt := context.WithCancel(t.Context())
	in, _ := io.Pipe()
	defer in.Close()
	code := make(chan exitCode, 1)
	out := newLineWriter()
	go func() { code <- run(ctx, []string{"bridge", "-", url}, in, out, io.Discard) }()
	out.await(t, "up")
	interrupt()
	check.Equal(t, <-code, exitInterrupted, "exit code")
	check.Equal(t, <-closed, wire.GoingAway, "code")
}

func TestCommandLineOfBridge(t *testing.T) {
	for args, want := range map[string]string{
		"bridge -":                                "two sides, not 1",
		"bridge - -":                              "one side may be -",
		"bridge - x":                              `"x" is not one of`,
		"bridge - tcp:localhost":                  "a host and a port",
		"bridge - unix:":                          "path",
		"bridge - ws://":                          "host",
		"bridge tcp-listen::1 ws-listen::2":       "one side may listen",
		"bridge -timeout 0s - tcp:a:1":            "-timeout",
		"bridge -max-connections 0 - tcp:a:1":     "-max-connections",
		"bridge -allow-origin *x - tcp:a:1":       "-allow-origin",
		"bridge -cacert x -k - wss://a":           "-cacert",
		"bridge -cacert /does/not/exist - wss://": "host",
	} {
		if r := runWith(t, nil, strings.Fields(args)...); r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v, want %q", args, r, want)
		}
	}
}
