package sockets_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/client/sockets"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// With Options.Reconnect a name keeps a connection. The history, Receive and
// the handler go on with the next one. Close ends it.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := serve(t, server.Handler{
			Open: func(c *server.Conn) { c.SendText("hello") },
			Message: func(c *server.Conn, op wire.Opcode, p []byte) {
				if string(p) == "end" {
					c.Close(wire.ServiceRestart, "")
					return
				}
				c.Send(op, p)
			},
		})
		lost := 0
		var set sockets.Set
		connect(t, &set, "x", &sockets.Options{Config: cfg, Reconnect: &client.ReconnectConfig{
			Lost:      func(client.Outage) { lost++ },
			Subscribe: func(_ context.Context, c *client.Conn) error { return c.SendText("subscribe") },
		}})
		handled := collect(t, &set)
		wantText(t, &set, "x", "hello")
		wantText(t, &set, "x", "subscribe")
		check.OK(t, set.Send("x", "end"))
		synctest.Wait()
		var closed *client.CloseError
		if e := wantNotOpen(t, "Send in between", set.Send("x", "y"), "x"); !errors.As(e, &closed) || closed.Code != wire.ServiceRestart {
			t.Errorf("Send in between: %v", e)
		}
		if info, err := set.Info("x"); err != nil || info.Connected || !errors.As(info.Err, &closed) || info.Reconnects != 0 {
			t.Errorf("Info in between: %+v, %v", info, err)
		}
		check.OK(t, set.OnMessage("x", func(m client.Message) { *handled = append(*handled, m.Text()) }))
		start := time.Now()
		for _, want := range []string{"hello", "subscribe"} { // Receive waits for the next connection
			if m, err := set.Receive("x", time.Minute); err != nil || m.Text() != want {
				t.Errorf("received %q, %v, want %q", m.Text(), err, want)
			}
		}
		if took := time.Since(start); took < 5*time.Second || took > 30*time.Second {
			t.Errorf("the next connection opened after %v", took)
		}
		if info, err := set.Info("x"); err != nil || !info.Connected || info.Err != nil || info.Reconnects != 1 || lost != 1 {
			t.Errorf("Info after it: %+v, %v; lost %d", info, err, lost)
		}
		if list, err := set.Messages("x", 0); err != nil || len(list) != 4 {
			t.Errorf("%d messages in the history, %v", len(list), err)
		}
		synctest.Wait()
		check.Slices(t, *handled, []string{"hello", "subscribe", "hello", "subscribe"}, "handled")
		check.OK(t, set.Close("x"))
	})
}

// Connect returns with the first connection, after any number of tries, or when
// its context ends, or after a refusal that is permanent. Then the name is not
// in use.
func TestConnectWithReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := serve(t, echo)
		failures := 3
		dial := cfg.DialContext.(client.DialFunc)
		cfg.DialContext = client.DialFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
			if failures--; failures >= 0 {
				return nil, errors.New("no network")
			}
			return dial(ctx, network, addr)
		})
		opts := &sockets.Options{Config: cfg, Reconnect: new(client.ReconnectConfig)}
		var set sockets.Set
		connect(t, &set, "x", opts)
		check.OK(t, set.Send("x", "hello"))
		wantText(t, &set, "x", "hello")

		failures = 1 << 30
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := set.Connect(ctx, "y", "ws://server.example/", opts); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Connect: %v", err)
		}
		opts.Header = map[string][]string{"X": {"a\nb"}}
		if _, err := set.Connect(t.Context(), "y", "ws://server.example/", opts); !client.Permanent(err) {
			t.Errorf("Connect: %v", err)
		}
		check.Slices(t, set.Names(), []string{"x"}, "names")
	})
}

// Close ends a name that waits for its next connection, or for its first.
func TestCloseBetweenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := serve(t, server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Close(wire.TryAgainLater, "") }})
		opts := &sockets.Options{Config: cfg, Reconnect: new(client.ReconnectConfig)}
		var set sockets.Set
		connect(t, &set, "x", opts)
		check.OK(t, set.Send("x", "end"))
		synctest.Wait()
		received := make(chan error, 1)
		go func() { received <- check.Err(set.Receive("x", -1)) }()
		synctest.Wait()
		check.OK(t, set.Close("x"))
		wantNotOpen(t, "Receive", <-received, "x")

		opts.Config = &client.Config{DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") })}
		connected := make(chan error, 1)
		go func() { connected <- check.Err(set.Connect(t.Context(), "y", "ws://server.example/", opts)) }()
		time.Sleep(time.Minute)
		check.OK(t, set.Close("y"))
		wantNotOpen(t, "Connect", <-connected, "y")
	})
}

// A handler that panics between two connections ends the name.
func TestHandlerPanicsBetweenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := serve(t, server.Handler{Open: func(c *server.Conn) {
			c.SendText("hello")
			c.Close(wire.TryAgainLater, "")
		}})
		opts := &sockets.Options{Config: cfg, Reconnect: new(client.ReconnectConfig)}
		var set sockets.Set
		check.Must(t, check.Err(set.Connect(t.Context(), "x", "ws://server.example/", opts)))
		synctest.Wait()
		check.OK(t, set.OnMessage("x", func(client.Message) { panic("in the handler") }))
		synctest.Wait()
		var panicked *client.PanicError
		if e := wantNotOpen(t, "Send", set.Send("x", "y"), "x"); !errors.As(e, &panicked) {
			t.Errorf("Send: %v", e)
		}
		check.OK(t, set.Close("x"))
	})
}
