package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/fibersock/fibersock/internal/test/pty"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// seat is a pseudo-terminal with `fibersock connect` in it.
type seat struct {
	*pty.Terminal
	interrupt context.CancelFunc
	exit      chan exitCode
}

// sitDownAt runs `fibersock connect` in a pseudo-terminal of 80 columns, and
// waits for the prompt.
func sitDownAt(t *testing.T, args ...string) seat {
	t.Helper()
	t.Setenv("TERM", "xterm")
	s := seat{Terminal: pty.Open(t, 80, 24), exit: make(chan exitCode, 1)}
	ctx, interrupt := context.WithCancel(t.Context())
	s.interrupt = interrupt
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		s.exit <- run(ctx, append([]string{"connect"}, args...), s.Slave, s.Slave, s.Slave)
	}()
	t.Cleanup(func() {
		interrupt()
		<-exited
	})
	s.AwaitText("\n> ▮")
	return s
}

// leave waits for the exit code and checks that the terminal is as before.
func (s seat) leave(t *testing.T, want exitCode) {
	t.Helper()
	if code := <-s.exit; code != want {
		t.Errorf("exit code %d, want %d", code, want)
	}
	if !s.LineMode() {
		t.Error("the terminal is not restored")
	}
	s.Await("the marks of a paste are off", func(string) bool {
		return strings.Count(s.Output(), enablePaste) == 1 && strings.Count(s.Output(), disablePaste) == 1
	})
}

// talkingServer returns a server that reports received texts, and say, which
// sends a text to its only client.
func talkingServer(t *testing.T) (url string, received chan string, say func(string)) {
	received = make(chan string, 100)
	conns := make(chan *server.Conn, 1)
	url = startServer(t, &server.Server{Handler: server.Handler{
		Open:    func(c *server.Conn) { conns <- c },
		Message: func(_ *server.Conn, op wire.Opcode, p []byte) { received <- op.String() + " " + string(p) },
	}})
	return url, received, func(text string) {
		c := <-conns
		c.SendText(text)
		conns <- c
	}
}

func TestTypedLineSurvivesMessages(t *testing.T) {
	url, received, say := talkingServer(t)
	s := sitDownAt(t, url)
	first := "Connected to " + url + ". /help lists the commands, Ctrl-D closes."
	s.Type("hello wrld")
	s.AwaitScreen(first, "> hello wrld▮")
	say("news")
	s.AwaitScreen(first, "< news", "> hello wrld▮")
	s.Type(left + left + left)
	s.AwaitScreen(first, "< news", "> hello w▮rld")
	say("more \x1b[31mnews")
	s.AwaitScreen(first, "< news", `< more \x1b[31mnews`, "> hello w▮rld")
	s.Type("o\r")
	if got := <-received; got != "text hello world" {
		t.Errorf("received %q", got)
	}
	s.AwaitScreen(first, "< news", `< more \x1b[31mnews`, "> hello world", "> ▮")
	s.Type(up)
	s.AwaitScreen(first, "< news", `< more \x1b[31mnews`, "> hello world", "> hello world▮")
	s.Type("\x17there" + home + "\x0c")
	s.AwaitScreen("> ▮hello there")
	s.Type("\x15\x0b\x04")
	s.leave(t, exitOK)
}

func TestKeysOfATerminalNeverSendEscapeSequences(t *testing.T) {
	url, received, _ := talkingServer(t)
	s := sitDownAt(t, url)
	s.Type("a" + up + down + left + right + home + end + del + "\x1b[5~\x1bOP\x1b[15;2~\x1b[[A\x1b[1;5D\x1b[Zb\r")
	if got := <-received; got != "text ba" {
		t.Errorf("received %q", got)
	}
	for _, c := range []struct{ keys, want string }{
		{"日本語" + left + left + "\x7f\r", "text 本語"},
		{"e\u0301a" + left + "\x7f\r", "text a"},
		{"🙂\xff\xf0\r", "text 🙂"},
		{"\x1b[200~{\n\t\"a\": 1\r}\x1b[201~\r", "text {\n\t\"a\": 1\n}"},
		{"one\x1b\rtwo\r", "text one\ntwo"},
		{"//slash\r", "text /slash"},
		{"/bin\t00 ff\r", "binary \x00\xff"},
		{"/text \r", "text "},
		{"\x12mi\x7fssing\x07" + up + "\r", "text "},
		{"\x12本\r", "text 本語"},
	} {
		s.Type(c.keys)
		if got := <-received; got != c.want {
			t.Errorf("%q sent %q, want %q", c.keys, got, c.want)
		}
	}
	s.Type("/quit\r")
	s.leave(t, exitOK)
}

func TestLongLinesScrollAndFollowTheTerminalSize(t *testing.T) {
	url, received, _ := talkingServer(t)
	s := sitDownAt(t, url)
	long := strings.Repeat("0123456789", 10)
	s.Type(long)
	s.AwaitText("\n> " + long[len(long)-77:] + "▮")
	s.Resize(40, 24)
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	s.AwaitText("\n> " + long[len(long)-37:] + "▮")
	s.Type(home)
	s.AwaitText("\n> ▮" + long[:37])
	s.Type("\r")
	if got := <-received; got != "text "+long {
		t.Errorf("received %q", got)
	}
	s.interrupt()
	s.leave(t, exitInterrupted)
}

func TestTerminalIsRestoredWhenTheServerCloses(t *testing.T) {
	typed := make(chan bool)
	url := startServer(t, &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) {
		<-typed
		c.Close(4000, "bye")
	}}})
	s := sitDownAt(t, url)
	s.Type("unfinished")
	s.AwaitText("> unfinished▮")
	typed <- true
	s.leave(t, exitPeerClosed)
	s.Await("no prompt", func(screen string) bool {
		return strings.Contains(screen, "fibersock: closed by the peer with 4000") && !strings.Contains(screen, "unfinished")
	})
}

// With a terminal that obeys no sequences, or without standard error on it, the
// terminal edits the lines.
func TestPlainLinesOfATerminal(t *testing.T) {
	url, received, _ := talkingServer(t)
	t.Setenv("TERM", "dumb")
	p := pty.Open(t, 80, 24)
	exit := make(chan exitCode, 1)
	go func() { exit <- run(t.Context(), []string{"connect", url}, p.Slave, p.Slave, p.Slave) }()
	p.AwaitText("> ▮")
	if !p.LineMode() {
		t.Error("the terminal does not edit lines")
	}
	p.Type("helloo\x7f\r")
	if got := <-received; got != "text hello" {
		t.Errorf("received %q", got)
	}
	p.Type("\x04")
	if code := <-exit; code != exitOK || strings.Contains(p.Output(), "\x1b") {
		t.Errorf("exit code %d, %q", code, p.Output())
	}
}

// startCommand starts `fibersock` as a process of its own with a pseudo-terminal
// that controls it, so that keys send signals.
func startCommand(t *testing.T, p *pty.Terminal, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Slave, p.Slave, p.Slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

func TestSignalsOfATerminalRestoreIt(t *testing.T) {
	url, received, _ := talkingServer(t)
	p := pty.Open(t, 80, 24)
	cmd := startCommand(t, p, url)
	p.AwaitText("\n> ▮")
	p.Type("half a l")
	p.AwaitText("\n> half a l▮") // the kernel drops unread input with a signal
	p.Type("\x1a")               // Ctrl-Z
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("not stopped: %v, %v", status, err)
	}
	if !p.LineMode() {
		t.Error("the terminal is not restored for the stop")
	}
	if err := syscall.Kill(cmd.Process.Pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.AwaitText("> half a l▮")
	p.Type("ine\r")
	if got := <-received; got != "text half a line" {
		t.Errorf("received %q", got)
	}
	p.AwaitText("\n> ▮")
	p.Type("\x03") // Ctrl-C
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != int(exitInterrupted) || !p.LineMode() {
		t.Errorf("exit code %d, line mode %t; %q", code, p.LineMode(), p.Output())
	}
}

// The first Ctrl-C closes and restores the terminal. A second one ends the
// process at once, when the server does not answer the Close.
func TestSecondInterruptFindsTheTerminalRestored(t *testing.T) {
	closing := make(chan bool, 1)
	addr := startPeer(t, func(nc net.Conn, r *bufio.Reader) {
		accept(nc, r)
		awaitClose(r)
		closing <- true
		io.Copy(io.Discard, r)
	})
	p := pty.Open(t, 80, 24)
	cmd := startCommand(t, p, addr)
	p.AwaitText("\n> ▮")
	p.Type("\x03")
	<-closing
	p.Await("the marks of a paste are off", func(string) bool { return strings.Contains(p.Output(), disablePaste) })
	if !p.LineMode() {
		t.Error("the terminal is not restored")
	}
	p.Type("\x03")
	cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended with %v", cmd.ProcessState)
	}
}
