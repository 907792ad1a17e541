package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// The tests of this file break the connection at every byte of every operation.

// operation is a call of a program on a connection.
type operation struct {
	name string
	do   func(ctx context.Context, c *client.Conn) error
}

// got returns err, or an error if value is not want.
func got[T comparable](value, want T, err error) error {
	if err == nil && value != want {
		err = fmt.Errorf("got %v, want %v", value, want)
	}
	return err
}

// operations are the calls of a program on one connection, in order. The server
// echoes.
var operations = []operation{
	{"SendText", func(_ context.Context, c *client.Conn) error { return c.SendText("Hello") }},
	{"Receive", func(ctx context.Context, c *client.Conn) error {
		m, err := c.Receive(ctx)
		return got(m.Text(), "Hello", err)
	}},
	{"SendBinary", func(_ context.Context, c *client.Conn) error { return c.SendBinary([]byte("\x00\xff")) }},
	{"ReceiveInto", func(ctx context.Context, c *client.Conn) error {
		_, b, err := c.ReceiveInto(ctx, nil)
		return got(string(b), "\x00\xff", err)
	}},
	{"SendJSON", func(_ context.Context, c *client.Conn) error { return c.SendJSON(42) }},
	{"ReceiveJSON", func(ctx context.Context, c *client.Conn) error {
		var v int
		err := c.ReceiveJSON(ctx, &v)
		return got(v, 42, err)
	}},
	{"NextWriter", func(_ context.Context, c *client.Conn) error {
		w, err := c.NextWriter(wire.Text)
		if err != nil {
			return err
		}
		for _, piece := range []string{"Hel", "lo"} {
			if _, err := io.WriteString(w, piece); err != nil {
				return err
			}
			if err := w.Flush(); err != nil {
				return err
			}
		}
		return w.Close()
	}},
	{"NextReader", func(ctx context.Context, c *client.Conn) error {
		_, r, err := c.NextReader(ctx)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(r)
		return got(string(b), "Hello", err)
	}},
	{"Pong", func(_ context.Context, c *client.Conn) error { return c.SendPong([]byte("a")) }},
	{"Ping", func(ctx context.Context, c *client.Conn) error {
		_, err := c.Ping(ctx)
		return err
	}},
	{"Send", func(_ context.Context, c *client.Conn) error { return c.Send(wire.Text, []byte("Hello")) }},
	{"Messages", func(ctx context.Context, c *client.Conn) error {
		for m, err := range c.Messages(ctx) {
			return got(m.Text(), "Hello", err)
		}
		return c.Err()
	}},
}

// closings are the ways to end the connection, if it has not ended before.
var closings = map[string]operation{
	"closed by the client": {"Close", func(ctx context.Context, c *client.Conn) error {
		return c.Close(wire.NormalClosure, "bye")
	}},
	"closed by the server": {"Receive", func(ctx context.Context, c *client.Conn) error {
		if err := c.SendText("close"); err != nil {
			return err
		}
		_, err := c.Receive(ctx)
		var closed *client.CloseError
		if errors.As(err, &closed) && closed.Reason == "enough" {
			return nil
		}
		return err
	}},
}

// program dials, runs all operations and closes. It returns the first error,
// and checks that all later errors are of the same kind.
func program(t *testing.T, closing operation, cfg *client.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, "ws://server.example/", cfg)
	if err != nil {
		return fmt.Errorf("Dial: %w", err)
	}
	defer c.CloseNow()
	all := append(slices.Clone(operations), closing)
	for _, op := range all {
		if first := op.do(ctx, c); first != nil {
			wantTyped(t, c, op.name, first)
			for _, op := range all {
				if err := op.do(ctx, c); !errors.Is(first, context.DeadlineExceeded) {
					wantTyped(t, c, op.name, err)
				}
			}
			c.CloseNow()
			for _, op := range all {
				wantTyped(t, c, op.name, op.do(context.Background(), c))
			}
			return fmt.Errorf("%s: %w", op.name, first)
		}
	}
	return nil
}

// wantTyped checks that err is one of the documented errors of Conn: the end of
// the connection, or that of the context.
func wantTyped(t *testing.T, c *client.Conn, what string, err error) {
	t.Helper()
	var closed *client.CloseError
	var lost *client.LostError
	var late *client.TimeoutError
	switch {
	case errors.As(err, &closed), errors.As(err, &lost), errors.As(err, &late), err == client.ErrClosed:
		if !errors.Is(err, net.ErrClosed) || c.State() != client.Closed {
			t.Errorf("%s returned %v, the state is %v", what, err, c.State())
		}
	case errors.Is(err, context.DeadlineExceeded):
	default:
		t.Errorf("%s returned %v", what, err)
	}
}

// echoing starts a server that listens on ln until the test ends.
func echoing(t *testing.T, ln net.Listener) {
	s := &server.Server{
		Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			if string(p) == "close" {
				c.Close(wire.NormalClosure, "enough")
				return
			}
			c.Send(op, p)
		}},
		Log: func(error) {},
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		<-served
	})
}

// direction is a direction of the transport.
type direction struct {
	plan func(f wstest.Faults) wstest.Plan
	flow func(l *wstest.Link) *wstest.Flow
}

var directions = map[string]direction{
	"to the server": {func(f wstest.Faults) wstest.Plan { return wstest.Plan{ToServer: f} }, func(l *wstest.Link) *wstest.Flow { return l.ToServer }},
	"to the client": {func(f wstest.Faults) wstest.Plan { return wstest.Plan{ToClient: f} }, func(l *wstest.Link) *wstest.Flow { return l.ToClient }},
}

// cuts are the ways to cut a connection, with the allowed errors of an
// operation. The kernel answers a write to a closed peer with a reset.
var cuts = map[string]struct {
	cut    func(n int64) wstest.Cut
	causes []error
}{
	"reset": {wstest.ResetAt, []error{wstest.ErrReset}},
	"end":   {wstest.EndAt, []error{io.EOF, io.ErrUnexpectedEOF, wstest.ErrReset}},
	"stall": {wstest.StallAt, []error{context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, wstest.ErrReset}},
}

// lastClose is the size of a Close, the last frame to the server. The client
// does not wait for its delivery if it is an answer.
const lastClose = int64(len("\x88\x88key.") + len("\x03\xe8enough"))

// A connection is cut at every byte, in every way. The operation that notices
// returns the cause, all others return the same, and no goroutine is left, or
// the bubble would not end (6455-7.1.7-a, T-C14, T-C15).
func TestEveryOperationIsCutAtEveryByte(t *testing.T) {
	for name, closing := range closings {
		for kind, c := range cuts {
			for where, way := range directions {
				check.Bubble(t, name+"/"+kind+"/"+where, func(t *testing.T) {
					var f wstest.Faults
					ln := wstest.Listen(func(int) wstest.Plan { return way.plan(f) })
					echoing(t, ln)
					cfg := &client.Config{DialContext: client.DialFunc(ln.DialContext)}
					check.Must(t, program(t, closing, cfg))
					length := way.flow(ln.Link(0)).Read()
					for at := range length {
						f.Cut = c.cut(at)
						start := time.Now()
						err := program(t, closing, cfg)
						var closed *client.CloseError // by a server that timed out
						var late *client.TimeoutError // the client has
						expected := kind == "stall" && (errors.As(err, &closed) || errors.As(err, &late)) ||
							slices.ContainsFunc(c.causes, func(cause error) bool { return errors.Is(err, cause) })
						if err != nil && !expected {
							t.Errorf("%v: %v", f.Cut, err)
						}
						if err == nil && at < length-lastClose {
							t.Errorf("%v: no error", f.Cut)
						}
						if took := time.Since(start); took > 2*time.Minute {
							t.Errorf("%v: took %v", f.Cut, took)
						}
					}
				})
			}
		}
	}
}

// This test repeats it over TCP, where the kernel sends the reset.
func TestEveryOperationIsCutOverTCP(t *testing.T) {
	ln := listenTCP(t)
	echoing(t, ln)
	for name, closing := range closings {
		for where, way := range directions {
			t.Run(name+"/"+where, func(t *testing.T) {
				const each = 5 // bytes
				relay, err := wstest.NewRelay(ln.Addr().String(), func(n int) wstest.Plan {
					var f wstest.Faults
					if n > 0 {
						f.Cut = wstest.ResetAt(int64(n-1) * each)
					}
					return way.plan(f)
				})
				check.Must(t, err)
				defer relay.Close()
				cfg := &client.Config{DialContext: client.DialFunc(func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, relay.Addr())
				})}
				check.Must(t, program(t, closing, cfg))
				for at := int64(0); at < way.flow(relay.Link(0)).Read(); at += each {
					err := program(t, closing, cfg)
					if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
						t.Errorf("reset at %d: %v", at, err)
					}
				}
			})
		}
	}
}

// T-G11: the operations succeed with bytes that are written and arrive
// together, one by one or late.
func TestOperationsUnderFaultsThatLoseNothing(t *testing.T) {
	faults := map[string]wstest.Faults{
		"one by one":  {Split: wstest.Sizes(1)},
		"in pieces":   {Split: wstest.RandomSizes(20)},
		"no room":     {Buffer: 1},
		"late":        {Latency: time.Second, Jitter: time.Second},
		"all of them": {Split: wstest.RandomSizes(3), Buffer: 7, Latency: time.Millisecond, Jitter: time.Millisecond},
	}
	for name, f := range faults {
		check.Bubble(t, name, func(t *testing.T) {
			seed := uint64(0)
			ln := wstest.Listen(func(int) wstest.Plan { return wstest.Plan{ToServer: f, ToClient: f, Seed: seed} })
			echoing(t, ln)
			for _, name := range slices.Sorted(maps.Keys(closings)) {
				for seed = range 20 {
					check.OKf(t, program(t, closings[name], &client.Config{DialContext: client.DialFunc(ln.DialContext)}), "%s, seed %d", name, seed)
				}
			}
		})
	}
}

// The server stops reading at any byte. The blocked write ends after its
// timeout, and the connection with it; also the write of a Ping and of a Close
// (T-C08, 6455-7.1.7-a).
func TestWriteThatStallsAtEveryByte(t *testing.T) {
	writes := map[string]func(ctx context.Context, c *client.Conn) error{
		"Send": func(_ context.Context, c *client.Conn) error { return c.SendText("Hello") },
		"Ping": func(ctx context.Context, c *client.Conn) error {
			_, err := c.Ping(ctx)
			return err
		},
		"Close": func(ctx context.Context, c *client.Conn) error { return c.Close(wire.NormalClosure, "bye") },
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			for room := 1; room < len("\x81\x85key.")+len("Hello"); room++ {
				synctest.Test(t, func(t *testing.T) {
					ours, theirs := wstest.Pipe(wstest.Plan{ToServer: wstest.Faults{Buffer: room}})
					go wstest.NewServer(theirs).Play("open")
					c, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
						DialContext:  client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil }),
						WriteTimeout: 2 * time.Second,
					})
					check.Must(t, err)
					start := time.Now()
					err = write(t.Context(), c)
					if name == "Close" && errors.Is(err, context.DeadlineExceeded) && time.Since(start) == client.DefaultCloseTimeout {
						return // every frame was buffered, and no answer arrived
					}
					var timeout *client.TimeoutError
					if !errors.As(err, &timeout) || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, net.ErrClosed) {
						t.Errorf("with room for %d bytes: %v", room, err)
					}
					if took := time.Since(start); took < 2*time.Second || took > 3*time.Second {
						t.Errorf("with room for %d bytes: took %v", room, took)
					}
					c.CloseNow()
				})
			}
		})
	}
}

// A clock that jumps by days ends no connection without a running time limit:
// no limit of an earlier call is left.
func TestLeapsOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := wstest.Pipe(wstest.Plan{})
		played := make(chan error, 1)
		go func() {
			p := wstest.NewServer(theirs)
			p.Timeout = -1
			played <- p.Play(`
				open
				expect text "Hello"
				wait 10000h
				send text more "Hel"
				wait 10000h
				send 80
				wait 10000h
				send 02 "lo"
				expect text "Hello"
				expect close 1000
				send close 1000
				hangup
			`)
		}()
		c, err := client.Dial(t.Context(), "ws://server.example/", &client.Config{
			DialContext:     client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return ours, nil }),
			AssemblyTimeout: -1,
			PingInterval:    -1,
		})
		check.Must(t, err)
		check.Must(t, c.SendText("Hello"))
		m, err := c.Receive(t.Context())
		check.Must(t, got(m.Text(), "Hello", err))
		time.Sleep(10000 * time.Hour)
		check.OK(t, c.SendText("Hello"))
		check.OK(t, c.Close(wire.NormalClosure, ""))
		check.OK(t, <-played)
	})
}
