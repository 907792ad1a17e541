package server_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// recorder records the calls of its handler.
type recorder struct {
	t     testing.TB
	lines chan string
	conns chan *server.Conn // open connections, in order
	err   atomic.Value      // the last argument of Error, a told
}

type told struct{ error }

func newRecorder(t testing.TB) *recorder {
	return &recorder{t: t, lines: make(chan string, 10000), conns: make(chan *server.Conn, 1000)}
}

// handler returns a handler that records all calls except Partial.
func (r *recorder) handler() server.Handler {
	return server.Handler{Open: r.open, Message: r.message, Error: r.error, Close: r.closed}
}

func (r *recorder) note(format string, args ...any) { r.lines <- fmt.Sprintf(format, args...) }

func (r *recorder) open(c *server.Conn) {
	r.conns <- c
	r.note("open")
}

func (r *recorder) message(_ *server.Conn, op wire.Opcode, p []byte) {
	r.note("%v %s", op, brief(p))
}

func (r *recorder) partial(_ *server.Conn, op wire.Opcode, p []byte, final bool) {
	more := "+"
	if final {
		more = "."
	}
	r.note("partial %v %s %s", op, brief(p), more)
}

func (r *recorder) error(c *server.Conn, err error) {
	if c.Err() != err {
		r.t.Errorf("Error got %v, Err returns %v", err, c.Err())
	}
	var failed *server.FailError
	var lost *server.LostError
	r.err.Store(told{err})
	switch {
	case errors.As(err, &failed):
		r.note("failed %d", failed.Code)
	case errors.As(err, &lost):
		r.note("lost")
	default:
		r.t.Errorf("Error got %v", err)
	}
}

func (r *recorder) closed(c *server.Conn, code wire.StatusCode, reason string) {
	if c.CloseCode() != code || c.CloseReason() != reason || c.State() != server.Closed || c.Err() == nil {
		r.t.Errorf("Close got %v %q, the connection has %v %q, %v, %v", code, reason, c.CloseCode(), c.CloseReason(), c.State(), c.Err())
	}
	r.note("close %d %q", code, reason)
}

// conn returns the connection that was opened next.
func (r *recorder) conn() *server.Conn {
	r.t.Helper()
	select {
	case c := <-r.conns:
		return c
	case <-time.After(patience):
		r.t.Fatal("no connection was opened")
		return nil
	}
}

// want waits for the next events and compares them.
func (r *recorder) want(lines ...string) {
	r.t.Helper()
	for _, want := range lines {
		select {
		case got := <-r.lines:
			if got != want {
				r.t.Fatalf("the handler got %s, want %s", got, want)
			}
		case <-time.After(patience):
			r.t.Fatalf("the handler did not get %s", want)
		}
	}
}

// wantNothing fails if the handler was called again.
func (r *recorder) wantNothing() {
	r.t.Helper()
	select {
	case got := <-r.lines:
		r.t.Fatalf("the handler got %s, want no event", got)
	default:
	}
}

// failure returns the error of the last call of Error.
func (r *recorder) failure() error {
	if err, ok := r.err.Load().(told); ok {
		return err.error
	}
	return nil
}

// echo sends each message back.
func echo(c *server.Conn, op wire.Opcode, p []byte) { _ = c.Send(op, p) }

// result returns the next value of a channel.
func result[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("no value received")
		panic("unreachable")
	}
}

// begin calls f on another goroutine, and returns the channel of its result.
func begin[T any](f func() T) <-chan T {
	result := make(chan T, 1)
	go func() { result <- f() }()
	return result
}

// same reports the error of a call that is not want.
func same(t testing.TB, err, want error, call string) {
	if err != want {
		t.Helper()
		t.Errorf("%s returned %v, want %v", call, err, want)
	}
}

// receives checks the next message of c.
func receives(t testing.TB, c *server.Conn, want string) {
	if m, err := c.Receive(t.Context()); err != nil || m.Text() != want {
		t.Helper()
		t.Errorf("received %q, %v, want %q", m.Text(), err, want)
	}
}

func wantState(t testing.TB, c *server.Conn, want server.State) {
	if got := c.State(); got != want {
		t.Helper()
		t.Errorf("the connection is %v, want %v", got, want)
	}
}
