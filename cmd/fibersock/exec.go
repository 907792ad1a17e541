package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"time"
	"unicode/utf8"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// Limits of the processes of serve -exec.
const (
	defaultProcesses = 64
	maxLine          = 1 << 20         // bytes of a line of standard output
	maxErrorLine     = 1 << 10         // bytes of a line of standard error in the log; the rest is cut
	maxErrors        = 64 << 10        // bytes of standard error in the log, for each connection
	processGrace     = 2 * time.Second // between the request to end and the kill
)

// executor runs a process for each connection: each message is a line of its
// standard input, and each line of its standard output a message.
type executor struct {
	command string
	log     *slog.Logger
	running callGroup
}

// process is the process of one connection.
type process struct {
	*executor
	conn   *server.Conn
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	stderr io.ReadCloser
}

// serve runs a process for c until it exits or c ends. It is Handler.Serve.
func (e *executor) serve(c *server.Conn) {
	if !e.running.begin() {
		return
	}
	defer e.running.end()
	p := &process{executor: e, conn: c}
	if err := p.start(); err != nil {
		e.log.Error("cannot start the command", "peer", c.RemoteAddr(), "error", err)
		c.Close(wire.InternalError, "cannot start the command")
		return
	}
	p.run()
}

// start starts the process in a group of its own.
func (p *process) start() (err error) {
	p.cmd = shell(p.command)
	p.cmd.Env = append(os.Environ(), environment(p.conn)...)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
		return err
	}
	if p.stderr, err = p.cmd.StderrPipe(); err != nil {
		return err
	}
	return p.cmd.Start()
}

// environment returns the variables that tell the command about its client,
// with names of CGI (RFC 3875). The values are the client's text.
func environment(c *server.Conn) []string {
	host, port, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		host, port = c.RemoteAddr().String(), ""
	}
	return []string{
		"REMOTE_ADDR=" + host, "REMOTE_PORT=" + port,
		"REQUEST_URI=" + c.Request().Target, "PATH_INFO=" + c.Path(), "QUERY_STRING=" + c.Query(),
		"HTTP_ORIGIN=" + c.Header().Get("Origin"), "SEC_WEBSOCKET_PROTOCOL=" + c.Subprotocol(),
	}
}

// run moves messages and lines until the process has exited, and ends the
// connection. If the connection ends first, it ends the process and its group.
func (p *process) run() {
	exited := make(chan *os.ProcessState, 1)
	received, sent, logged := make(chan struct{}), make(chan error, 1), make(chan struct{})
	go func() {
		state, _ := p.cmd.Process.Wait()
		exited <- state
	}()
	go func() {
		defer close(received)
		p.receive()
	}()
	go func() { sent <- p.send() }()
	go func() {
		defer close(logged)
		p.logErrors()
	}()

	var state *os.ProcessState
	var failure error
	var kill <-chan time.Time
	ended, output := received, sent
	end := func() { // terminates the process
		p.stdin.Close()
		if kill == nil {
			terminateGroup(p.cmd.Process)
			kill = time.After(processGrace)
		}
	}
	for running := true; running; {
		select {
		case state = <-exited:
			running = false
		case <-ended:
			ended = nil
			end()
		case failure = <-output:
			if output = nil; failure != nil {
				end()
			}
		case <-kill:
			killGroup(p.cmd.Process)
		}
	}
	killGroup(p.cmd.Process) // its children
	p.stdin.Close()
	// A process that has left the group may hold the pipes open.
	late := time.AfterFunc(processGrace, func() {
		p.stdout.Close()
		p.stderr.Close()
	})
	if output != nil {
		failure = <-output
	}
	<-logged
	late.Stop()
	p.stdout.Close()
	p.stderr.Close()
	code, reason := exitStatus(state, failure)
	p.conn.Close(code, reason) // it may have ended
	<-received
	p.log.Info("process", "peer", p.conn.RemoteAddr(), "pid", p.cmd.Process.Pid, "state", state.String())
}

// exitStatus returns the code and reason of the Close after a process.
func exitStatus(state *os.ProcessState, failure error) (wire.StatusCode, string) {
	switch {
	case failure != nil:
		return wire.InternalError, failure.Error()
	case state == nil || !state.Success():
		return wire.InternalError, state.String()
	}
	return wire.NormalClosure, ""
}

// receive writes each message and a line end to standard input until the
// connection ends. Messages that the process does not read are discarded.
func (p *process) receive() {
	broken := false
	for {
		m, err := p.conn.Receive(context.Background())
		if err != nil {
			return
		}
		if !broken {
			_, err := p.stdin.Write(append(m.Payload, '\n'))
			broken = err != nil
		}
	}
}

// send sends each line of standard output as a message, until its end or the
// end of the connection. The error is for a line that is too long.
func (p *process) send() error {
	lines := bufio.NewScanner(p.stdout)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		op := wire.Text
		if !utf8.Valid(lines.Bytes()) {
			op = wire.Binary
		}
		if p.conn.Send(op, lines.Bytes()) != nil {
			return nil // run notices the end of the connection
		}
	}
	if err := lines.Err(); err == bufio.ErrTooLong {
		return fmt.Errorf("line of the command exceeds %d bytes", maxLine)
	}
	return nil
}

// logErrors logs the lines of standard error, up to maxErrors bytes, and
// discards the rest.
func (p *process) logErrors() {
	r := bufio.NewReaderSize(p.stderr, maxErrorLine)
	for room := maxErrors; ; {
		line, prefix, err := r.ReadLine()
		if err != nil {
			return
		}
		for cut := prefix; cut && err == nil; {
			_, cut, err = r.ReadLine()
		}
		switch before := room; {
		case before <= 0:
			continue
		default:
			room -= len(line) + 1
		}
		p.log.Warn("standard error", "peer", p.conn.RemoteAddr(), "pid", p.cmd.Process.Pid, "line", string(line), "cut", prefix)
		if room <= 0 {
			p.log.Warn("standard error is not logged any more", "peer", p.conn.RemoteAddr(), "pid", p.cmd.Process.Pid, "limit", maxErrors)
		}
	}
}
