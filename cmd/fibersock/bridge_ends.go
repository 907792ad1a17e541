package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// bridgeEnd is a connection to one side of a bridge. One goroutine reads from
// it and one writes to it.
type bridgeEnd interface {
	io.Reader // io.EOF is the end of the peer's direction
	io.Writer

	// CloseWrite passes the end of the other direction on. Reading continues.
	CloseWrite() error

	// Over reports, after io.EOF, whether the peer cannot receive any more.
	Over() bool

	// Close ends the connection in order, after both directions have ended.
	Close() error

	// Abort ends the connection, so that the peer sees a failure: a reset, or a
	// Close with the code and reason.
	Abort(code wire.StatusCode, reason string)
}

// streamEnd is a connection of TCP or a unix socket.
type streamEnd struct{ net.Conn }

func (e streamEnd) CloseWrite() error {
	return e.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

func (e streamEnd) Over() bool { return false }

func (e streamEnd) Abort(wire.StatusCode, string) {
	if tcp, ok := e.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) // a reset
	}
	e.Conn.Close()
}

// stdioEnd is standard input and output.
type stdioEnd struct {
	std  streams
	once sync.Once
}

func (e *stdioEnd) Read(b []byte) (int, error)  { return e.std.in.Read(b) }
func (e *stdioEnd) Write(b []byte) (int, error) { return e.std.out.Write(b) }

// CloseWrite closes standard output, so that its reader sees the end.
func (e *stdioEnd) CloseWrite() (err error) {
	e.once.Do(func() {
		if c, ok := e.std.out.(io.Closer); ok {
			err = c.Close()
		}
	})
	return err
}

func (e *stdioEnd) Over() bool { return false }

func (e *stdioEnd) Close() error { return e.CloseWrite() }

func (e *stdioEnd) Abort(wire.StatusCode, string) { e.CloseWrite() }

// execEnd is standard input and output of a command.
type execEnd struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	exited chan error
}

// startExec starts a command of the shell in a process group of its own. Its
// standard error is written to errs.
func startExec(command string, errs io.Writer) (*execEnd, error) {
	e := &execEnd{cmd: shell(command), exited: make(chan error, 1)}
	e.cmd.Stderr = errs
	e.cmd.WaitDelay = processGrace // a child that has left the group may keep standard error open
	var err error
	if e.stdin, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	r, w, err := os.Pipe() // Wait would close a StdoutPipe before it is read
	if err != nil {
		return nil, err
	}
	e.stdout, e.cmd.Stdout = r, w
	err = e.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	go func() { e.exited <- e.cmd.Wait() }()
	return e, nil
}

func (e *execEnd) Read(b []byte) (int, error)  { return e.stdout.Read(b) }
func (e *execEnd) Write(b []byte) (int, error) { return e.stdin.Write(b) }
func (e *execEnd) Over() bool                  { return false }

// CloseWrite closes standard input. It may be closed already: by Wait, if the
// command has ended. Close returns its exit code then.
func (e *execEnd) CloseWrite() error {
	if err := e.stdin.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Close waits for the command. It terminates the process group after
// processGrace, and kills it after twice that time.
func (e *execEnd) Close() error {
	defer e.stdout.Close()
	e.stdin.Close()
	terminate, kill := time.AfterFunc(processGrace, func() { terminateGroup(e.cmd.Process) }), time.AfterFunc(2*processGrace, func() { killGroup(e.cmd.Process) })
	defer terminate.Stop()
	defer kill.Stop()
	return <-e.exited
}

func (e *execEnd) Abort(wire.StatusCode, string) {
	killGroup(e.cmd.Process)
	e.stdin.Close()
	<-e.exited
	e.stdout.Close()
}

// messageConn is the methods that a *client.Conn and a *server.Conn have in
// common, as far as a bridge uses them.
type messageConn interface {
	NextReader(ctx context.Context) (wire.Opcode, io.Reader, error)
	Send(op wire.Opcode, p []byte) error

	// startClose sends a Close with 1000 and does not wait for the peer's.
	startClose() error

	// close performs the closing handshake. It waits for CloseTimeout at most,
	// or returns at once if the connection ends by itself then.
	close(code wire.StatusCode, reason string) error
}

// clientMessages is a connection to a server.
type clientMessages struct{ *client.Conn }

func (c clientMessages) startClose() error { return c.SendClose(wire.NormalClosure, "") }

func (c clientMessages) close(code wire.StatusCode, reason string) error {
	return c.Conn.Close(code, reason)
}

// serverMessages is a connection to a client. The server completes the closing
// handshake by itself.
type serverMessages struct{ *server.Conn }

func (c serverMessages) startClose() error { return c.Conn.Close(wire.NormalClosure, "") }

func (c serverMessages) close(code wire.StatusCode, reason string) error {
	return c.Conn.Close(code, reason)
}

// isNormalClose reports whether a connection ended by a Close without a failure
// code, of either side.
func isNormalClose(err error) bool {
	var closed *client.CloseError // the type is that of the server, too
	if errors.As(err, &closed) {
		switch closed.Code {
		case wire.NormalClosure, wire.GoingAway, wire.NoStatusReceived:
			return true
		}
		return false
	}
	return errors.Is(err, client.ErrClosed)
}

// messageEnd is a WebSocket connection. Bytes are the payload of its messages.
type messageEnd struct {
	conn      messageConn
	halfClose bool // an empty message is the end of a direction

	message io.Reader // of the message that is read; nil between messages
	read    bool      // the message had a byte
	ended   bool      // Read has returned io.EOF
	over    atomic.Bool
}

func newMessageEnd(conn messageConn, subprotocol string) *messageEnd {
	return &messageEnd{conn: conn, halfClose: subprotocol == halfClose}
}

// Read reads from the payload of messages. The end is the peer's Close, or its
// empty message.
func (e *messageEnd) Read(b []byte) (int, error) {
	if e.ended {
		return 0, io.EOF
	}
	for {
		if e.message == nil {
			_, r, err := e.conn.NextReader(context.Background())
			if err != nil {
				return 0, e.end(err)
			}
			e.message, e.read = r, false
		}
		n, err := e.message.Read(b)
		e.read = e.read || n > 0
		if err == io.EOF {
			err, e.message = nil, nil
			if n == 0 && !e.read && e.halfClose {
				e.ended = true
				go e.drain()
				return 0, io.EOF
			}
		}
		if err != nil {
			return n, e.end(err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// end returns the error of Read for the error of the connection.
func (e *messageEnd) end(err error) error {
	e.ended = true
	e.over.Store(true)
	if isNormalClose(err) {
		return io.EOF
	}
	return err
}

// drain reads after the peer's empty message, so that its Pings and its Close
// are answered.
func (e *messageEnd) drain() {
	for {
		if _, _, err := e.conn.NextReader(context.Background()); err != nil {
			e.over.Store(true)
			return
		}
	}
}

// Write sends b as a binary message.
func (e *messageEnd) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if err := e.conn.Send(wire.Binary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (e *messageEnd) CloseWrite() error {
	if e.halfClose {
		return e.conn.Send(wire.Binary, nil)
	}
	return unlessNormal(e.conn.startClose())
}

func (e *messageEnd) Over() bool { return e.over.Load() }

func (e *messageEnd) Close() error {
	return unlessNormal(e.conn.close(wire.NormalClosure, ""))
}

// unlessNormal returns err, nil if it is that of a normal Close.
func unlessNormal(err error) error {
	if err != nil && isNormalClose(err) {
		return nil
	}
	return err
}

func (e *messageEnd) Abort(code wire.StatusCode, reason string) { e.conn.close(code, reason) }
