package sockets_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/client/sockets"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// watched is a connection that reports its Close.
type watched struct {
	net.Conn
	closed func()
	once   sync.Once
}

func (w *watched) Close() error {
	w.once.Do(w.closed)
	return w.Conn.Close()
}

func TestConnectClosesTheOlderConnectionFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		codes := make(chan wire.StatusCode, 2)
		cfg := serve(t, server.Handler{
			Message: echo.Message,
			Close:   func(_ *server.Conn, code wire.StatusCode, _ string) { codes <- code },
		})
		var mu sync.Mutex
		var events []string
		record := func(event string) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, event)
		}
		opts := &sockets.Options{Config: &client.Config{
			DialContext: client.DialFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
				record("dial " + address)
				nc, err := cfg.DialContext.(client.DialFunc)(ctx, network, address)
				return &watched{Conn: nc, closed: func() { record("close " + address) }}, err
			}),
		}}
		var set sockets.Set
		connect(t, &set, "x", opts)
		send(t, &set, "x", "not received of the older connection")
		check.Must(t, check.Err(set.Connect(t.Context(), "x", "ws://new.example/", opts)))
		check.Slices(t, events, []string{"dial server.example:80", "close server.example:80", "dial new.example:80"}, "")
		if code := <-codes; code != wire.NormalClosure {
			t.Errorf("the server received the code %v", code)
		}
		wantMessages(t, &set, "x", -1, nil)
		send(t, &set, "x", "of the new one")
		wantText(t, &set, "x", "of the new one")
	})
}

func TestReceiveOnReplacedConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := &sockets.Options{Config: serve(t, echo)}
		var set sockets.Set
		connect(t, &set, "x", opts)
		received := make(chan error)
		go func() {
			_, err := set.Receive("x", -1)
			received <- err
		}()
		synctest.Wait()
		connect(t, &set, "x", opts)
		wantNotOpen(t, "Receive", <-received, "x")
	})
}

func TestConnectThatCannotBeginLeavesTheOlderConnection(t *testing.T) {
	withSet(t, echo, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		for _, url := range []string{"", "ftp://server.example/", "ws://server.example/#fragment"} {
			if _, err := set.Connect(t.Context(), "x", url, nil); err == nil {
				t.Errorf("%q was dialed", url)
			}
		}
		if !set.IsConnected("x") {
			t.Error("the older connection has ended")
		}
	})
}

// heldUp is a DialContext that closes called when it is called, and returns
// after goOn is closed. It ignores the context.
type heldUp struct {
	dial   func(context.Context, string, string) (net.Conn, error)
	called chan struct{}
	goOn   chan struct{}
}

func (h *heldUp) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	close(h.called)
	<-h.goOn
	return h.dial(context.Background(), network, address)
}

func TestConnectGivesUpForALaterCallOfTheSameName(t *testing.T) {
	for _, c := range []struct {
		name  string
		later func(*testing.T, *sockets.Set, *client.Config) error
		want  []string // names in use after it
	}{
		{"Connect", func(t *testing.T, set *sockets.Set, cfg *client.Config) error {
			connect(t, set, "x", &sockets.Options{Config: cfg})
			return nil
		}, []string{"x"}},
		{"Close", func(_ *testing.T, set *sockets.Set, _ *client.Config) error {
			return set.Close("x")
		}, nil},
		{"CloseAll", func(t *testing.T, set *sockets.Set, _ *client.Config) error {
			return set.CloseAll(t.Context())
		}, nil},
	} {
		for _, heeds := range []string{"a dial that heeds its context", "a dial that does not"} {
			check.Bubble(t, c.name+", "+heeds, func(t *testing.T) {
				cfg := serve(t, echo)
				held := &heldUp{dial: cfg.DialContext.(client.DialFunc), called: make(chan struct{}), goOn: make(chan struct{})}
				dial := held.DialContext
				if heeds == "a dial that heeds its context" {
					dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
						close(held.called)
						<-ctx.Done()
						return nil, ctx.Err()
					}
				}
				var set sockets.Set
				connected := make(chan error)
				go func() {
					_, err := set.Connect(context.Background(), "x", "ws://server.example/", &sockets.Options{
						Config: &client.Config{DialContext: client.DialFunc(dial)},
					})
					connected <- err
				}()
				<-held.called
				if info, err := set.Info("x"); err != nil || info.Connected {
					t.Errorf("while it is dialed: %+v, %v", info, err)
				}
				for call, err := range calls(&set, "x") {
					wantNotOpen(t, call, err, "x")
				}
				check.OK(t, c.later(t, &set, cfg))
				close(held.goOn)
				err := <-connected
				wantNotOpen(t, "Connect", err, "x")
				check.Is(t, err, net.ErrClosed, "Connect")
				if names := set.Names(); !slices.Equal(names, c.want) || set.IsConnected("x") != (c.want != nil) {
					t.Errorf("names in use: %q, want %q", names, c.want)
				}
			})
		}
	}
}

// T-C14: of many connections that are opened for one name, only the last one
// stays open.
func TestConcurrentConnectsOfOneNameLeaveOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		cfg := serve(t, server.Handler{
			Open:    func(*server.Conn) { open.Add(1) },
			Close:   func(*server.Conn, wire.StatusCode, string) { open.Add(-1) },
			Message: echo.Message,
		})
		var set sockets.Set
		var calls sync.WaitGroup
		for i := range 50 {
			calls.Go(func() {
				if i%10 == 9 {
					_ = set.Close("x") // may find no connection
				}
				_, err := set.Connect(t.Context(), "x", "ws://server.example/", &sockets.Options{Config: cfg})
				if err != nil && !errors.Is(err, sockets.ErrNotOpen) {
					t.Errorf("Connect: %v", err)
				}
			})
		}
		calls.Wait()
		synctest.Wait()
		if n := open.Load(); n != 1 || !set.IsConnected("x") {
			t.Errorf("%d connections are open, connected: %t", n, set.IsConnected("x"))
		}
		send(t, &set, "x", "hello")
		wantText(t, &set, "x", "hello")
		check.OK(t, set.CloseAll(t.Context()))
		synctest.Wait() // for the server to say so
		if n := open.Load(); n != 0 {
			t.Errorf("%d connections are open at the end", n)
		}
	})
}

func TestSocketsAreSafeForConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 200
		opts := &sockets.Options{Config: serve(t, echo), MaxHistory: 10 * messages}
		var set sockets.Set
		var users sync.WaitGroup
		names := []string{"a", "b", "c"}
		for _, name := range names {
			connect(t, &set, name, opts)
		}
		for _, name := range names {
			var handled atomic.Int32
			check.Must(t, set.OnMessage(name, func(client.Message) { handled.Add(1) }))
			for range 2 {
				users.Go(func() {
					for i := range messages {
						check.OKf(t, set.Send(name, i), "Send")
					}
				})
				users.Go(func() {
					for range messages {
						check.OKf(t, check.Err(set.Receive(name, 0)), "Receive")
					}
				})
				users.Go(func() {
					for range 20 {
						_, err1 := set.Messages(name, -1)
						_, err2 := set.Info(name)
						_, err3 := set.Ping(name)
						err4 := set.OnMessage(name, func(client.Message) { handled.Add(1) })
						if err := errors.Join(err1, err2, err3, err4); err != nil || !set.IsConnected(name) || !slices.Equal(set.Names(), names) {
							t.Errorf("Messages, Info, Ping, OnMessage: %v", err)
						}
					}
				})
			}
			t.Cleanup(func() {
				if n := handled.Load(); n != 2*messages {
					t.Errorf("%d of %d messages were handled", n, 2*messages)
				}
			})
		}
		users.Wait()
		synctest.Wait()
		for _, name := range names {
			wantDropped(t, &set, name, 0, 0)
		}
	})
}

func TestCloseWhileTheConnectionIsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := &sockets.Options{Config: serve(t, echo)}
		var set sockets.Set
		connect(t, &set, "x", opts)
		check.Must(t, set.OnMessage("x", func(client.Message) {}))
		wantEnd := func(call string, err error) {
			if !errors.Is(err, sockets.ErrNotOpen) && !errors.Is(err, sockets.ErrNotFound) {
				t.Errorf("%s: %v", call, err)
			}
		}
		var users sync.WaitGroup
		closing := make(chan struct{})
		users.Go(func() {
			var err error
			for n := 0; err == nil; n++ {
				if n == 100 {
					close(closing)
				}
				err = set.Send("x", "hello")
			}
			wantEnd("Send", err)
		})
		users.Go(func() {
			var err error
			for err == nil {
				_, err = set.Receive("x", -1)
			}
			wantEnd("Receive", err)
		})
		users.Go(func() {
			var err error
			for err == nil {
				_, err = set.Ping("x")
			}
			wantEnd("Ping", err)
		})
		<-closing
		check.OKf(t, set.Close("x"), "Close")
		users.Wait()
	})
}
