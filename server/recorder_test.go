package server_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/internal/test/sockbuf"
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

// patience is the limit of every wait in a test. No wait comes near it.
const patience = 2 * time.Minute

// loops starts a server on each loop, on a TCP port of the loopback interface.
// Every test of a listening server runs on all of them: see eachLoop.
var loops = map[string]starter{
	"goroutines": func(t *testing.T, s *server.Server) *running {
		return serve(t, s, plainListener{listenTCP(t)})
	},
	"system's": func(t *testing.T, s *server.Server) *running {
		return serve(t, s, listenTCP(t))
	},
}

// withTLS returns starters and more: one for wrapped connections, which the
// server does not recognize as sockets, and, if this build has TLS, those with
// TLS.
func withTLS(starters map[string]starter) map[string]starter {
	all := make(map[string]starter)
	maps.Copy(all, starters)
	all["wrapped"] = func(t *testing.T, s *server.Server) *running {
		return serve(t, s, wrappingListener{listenTCP(t)})
	}
	addTLS(all)
	return all
}

// withServeTLS returns starters and, if this build has TLS, the one for
// ServeTLS: for long tests to which the other forms of TLS make no difference.
func withServeTLS(starters map[string]starter) map[string]starter {
	few := maps.Clone(starters)
	if start := withTLS(nil)["TLS"]; start != nil {
		few["TLS"] = start
	}
	return few
}

// hiding maps the name of a loop to a function that hides the type of a listener
// from the other loop.
var hiding = map[string]func(net.Listener) net.Listener{
	"goroutines": func(ln net.Listener) net.Listener { return plainListener{ln} },
	"system's":   func(ln net.Listener) net.Listener { return ln },
}

type starter func(t *testing.T, s *server.Server) *running

// eachLoop runs test on each of the loops.
func eachLoop(t *testing.T, test func(t *testing.T, start starter)) {
	each(t, loops, test)
}

// each runs test as a subtest for each value.
func each[V any](t *testing.T, values map[string]V, test func(t *testing.T, v V)) {
	for name, v := range values {
		t.Run(name, func(t *testing.T) { test(t, v) })
	}
}

// eachAtOnce is each with all subtests at the same time, for tests that wait
// for real time. It counts as one test for -parallel.
func eachAtOnce[V any](t *testing.T, values map[string]V, test func(t *testing.T, v V)) {
	var all sync.WaitGroup
	for name, v := range values {
		all.Go(func() { t.Run(name, func(t *testing.T) { test(t, v) }) })
	}
	all.Wait()
}

// eachBubble is each in bubbles.
func eachBubble[V any](t *testing.T, values map[string]V, test func(t *testing.T, v V)) {
	for name, v := range values {
		check.Bubble(t, name, func(t *testing.T) { test(t, v) })
	}
}

// plainListener hides the type of a listener, and so the epoll loop.
type plainListener struct{ net.Listener }

// wrappingListener wraps connections in a struct, as netutil.LimitListener
// does. It hides their type.
type wrappingListener struct{ net.Listener }

func (l wrappingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{nc}, nil
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	ln, err := sockbuf.Listen()
	check.Must(t, err)
	return ln
}

// running is a server that accepts connections.
type running struct {
	*server.Server
	addr   string
	dialer func() (net.Conn, error)
	log    *reports
	served chan error // the result of Serve
}

// serve lets s accept connections of ln until the test ends.
func serve(t *testing.T, s *server.Server, ln net.Listener) *running {
	t.Helper()
	return serveBy(t, s, ln, s.Serve)
}

// serveBy is serve with another method than Serve.
func serveBy(t *testing.T, s *server.Server, ln net.Listener, serve func(net.Listener) error) *running {
	t.Helper()
	r := &running{Server: s, addr: ln.Addr().String(), log: new(reports), served: make(chan error, 1)}
	if s.Log == nil {
		s.Log = r.log.add
	}
	r.dialer = func() (net.Conn, error) { return sockbuf.Dial(r.addr) }
	if pipes, ok := ln.(*pipeListener); ok {
		r.dialer = pipes.dial
	}
	go func() { r.served <- serve(ln) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

// stop shuts the server down, at once if its clients do not answer, and checks
// that no connection is left.
func (r *running) stop(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.Shutdown(ctx) // tests of the result call it themselves
	if t.Failed() {
		t.Logf("the server's statistics: %+v", r.Stats())
	}
	select {
	case err := <-r.served:
		if err != server.ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	case <-time.After(patience):
		t.Error("Serve does not return")
	}
	eventually(t, "no connection after Shutdown, which may have aborted some", func() bool {
		for range r.Conns() {
			return false
		}
		return true
	})
	for _, err := range r.log.take() {
		if _, refused := err.(*server.RefusedError); !refused {
			t.Errorf("reported: %v", err)
			var failure *server.PanicError
			if errors.As(err, &failure) {
				t.Logf("%s", failure.Stack)
			}
		}
	}
}

// reports records the errors that Server.Log receives.
type reports struct {
	mu   sync.Mutex // guards the fields below
	errs []error
}

func (l *reports) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

// take returns the reports since the last take.
func (l *reports) take() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	errs := l.errs
	l.errs = nil
	return errs
}

// takeOne returns the only report, which must be of type E.
func takeOne[E error](t *testing.T, l *reports) E {
	t.Helper()
	var want E
	errs := l.take()
	if len(errs) != 1 || !errors.As(errs[0], &want) {
		t.Errorf("reported: %v, want one %T", errs, want)
	}
	return want
}

// panics returns the number of reports of a panic with value.
func (l *reports) panics(value any) (n int) {
	for _, err := range l.take() {
		var p *server.PanicError
		if errors.As(err, &p) && p.Value == value {
			n++
		}
	}
	return n
}

// pipeListener accepts the pipes that dial makes, for tests in a synctest
// bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- ours:
		return theirs, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
