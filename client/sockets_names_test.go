package client_test

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
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// watched is a connection that says when it is closed.
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
		opts := &client.SocketOptions{Config: &client.Config{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				record("dial " + address)
				nc, err := cfg.DialContext(ctx, network, address)
				return &watched{Conn: nc, closed: func() { record("close " + address) }}, err
			},
		}}
		var sockets client.Sockets
		connect(t, &sockets, "x", opts)
		send(t, &sockets, "x", "not received of the older connection")
		if _, err := sockets.Connect(t.Context(), "x", "ws://new.example/", opts); err != nil {
			t.Fatal(err)
		}
		if want := []string{"dial server.example:80", "close server.example:80", "dial new.example:80"}; !slices.Equal(events, want) {
			t.Errorf("%q, want %q", events, want)
		}
		if code := <-codes; code != wire.NormalClosure {
			t.Errorf("the server was told %v", code)
		}
		wantMessages(t, &sockets, "x", -1, nil)
		send(t, &sockets, "x", "of the new one")
		wantText(t, &sockets, "x", "of the new one")
	})
}

func TestReceiveOnReplacedConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := &client.SocketOptions{Config: serve(t, echo)}
		var sockets client.Sockets
		connect(t, &sockets, "x", opts)
		received := make(chan error)
		go func() {
			_, err := sockets.Receive("x", -1)
			received <- err
		}()
		synctest.Wait()
		connect(t, &sockets, "x", opts)
		wantNotOpen(t, "Receive", <-received, "x")
	})
}

func TestConnectThatCannotBeginLeavesTheOlderConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sockets client.Sockets
		connect(t, &sockets, "x", &client.SocketOptions{Config: serve(t, echo)})
		for _, url := range []string{"", "ftp://server.example/", "ws://server.example/#fragment"} {
			if _, err := sockets.Connect(t.Context(), "x", url, nil); err == nil {
				t.Errorf("%q was dialed", url)
			}
		}
		if !sockets.IsConnected("x") {
			t.Error("the older connection has ended")
		}
	})
}

// heldUp is a DialContext that says when it is called, and goes on when it is
// let, whatever becomes of the context.
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
		later func(*testing.T, *client.Sockets, *client.Config) error
		want  []string // names in use after it
	}{
		{"Connect", func(t *testing.T, sockets *client.Sockets, cfg *client.Config) error {
			connect(t, sockets, "x", &client.SocketOptions{Config: cfg})
			return nil
		}, []string{"x"}},
		{"Close", func(_ *testing.T, sockets *client.Sockets, _ *client.Config) error {
			return sockets.Close("x")
		}, nil},
		{"CloseAll", func(t *testing.T, sockets *client.Sockets, _ *client.Config) error {
			return sockets.CloseAll(t.Context())
		}, nil},
	} {
		for _, heeds := range []string{"a dial that heeds its context", "a dial that does not"} {
			t.Run(c.name+", "+heeds, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := serve(t, echo)
					held := &heldUp{dial: cfg.DialContext, called: make(chan struct{}), goOn: make(chan struct{})}
					dial := held.DialContext
					if heeds == "a dial that heeds its context" {
						dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
							close(held.called)
							<-ctx.Done()
							return nil, ctx.Err()
						}
					}
					var sockets client.Sockets
					connected := make(chan error)
					go func() {
						_, err := sockets.Connect(context.Background(), "x", "ws://server.example/", &client.SocketOptions{
							Config: &client.Config{DialContext: dial},
						})
						connected <- err
					}()
					<-held.called
					if info, err := sockets.Info("x"); err != nil || info.Connected {
						t.Errorf("while it is dialed: %+v, %v", info, err)
					}
					for call, err := range calls(&sockets, "x") {
						wantNotOpen(t, call, err, "x")
					}
					if err := c.later(t, &sockets, cfg); err != nil {
						t.Error(err)
					}
					close(held.goOn)
					err := <-connected
					wantNotOpen(t, "Connect", err, "x")
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("Connect: %v", err)
					}
					if names := sockets.Names(); !slices.Equal(names, c.want) || sockets.IsConnected("x") != (c.want != nil) {
						t.Errorf("names in use: %q, want %q", names, c.want)
					}
				})
			})
		}
	}
}

// T-C14: of many connections that are opened for one name, none is left but the
// last one.
func TestConcurrentConnectsOfOneNameLeaveOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		cfg := serve(t, server.Handler{
			Open:    func(*server.Conn) { open.Add(1) },
			Close:   func(*server.Conn, wire.StatusCode, string) { open.Add(-1) },
			Message: echo.Message,
		})
		var sockets client.Sockets
		var calls sync.WaitGroup
		for i := range 50 {
			calls.Go(func() {
				if i%10 == 9 {
					_ = sockets.Close("x") // may find nothing
				}
				_, err := sockets.Connect(t.Context(), "x", "ws://server.example/", &client.SocketOptions{Config: cfg})
				if err != nil && !errors.Is(err, client.ErrSocketNotOpen) {
					t.Errorf("Connect: %v", err)
				}
			})
		}
		calls.Wait()
		synctest.Wait()
		if n := open.Load(); n != 1 || !sockets.IsConnected("x") {
			t.Errorf("%d connections are open, connected: %t", n, sockets.IsConnected("x"))
		}
		send(t, &sockets, "x", "hello")
		wantText(t, &sockets, "x", "hello")
		if err := sockets.CloseAll(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait() // for the server to say so
		if n := open.Load(); n != 0 {
			t.Errorf("%d connections are open at the end", n)
		}
	})
}

func TestSocketsAreSafeForConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 200
		opts := &client.SocketOptions{Config: serve(t, echo), MaxHistory: 10 * messages}
		var sockets client.Sockets
		var users sync.WaitGroup
		names := []string{"a", "b", "c"}
		for _, name := range names {
			connect(t, &sockets, name, opts)
		}
		for _, name := range names {
			var handled atomic.Int32
			if err := sockets.OnMessage(name, func(client.Message) { handled.Add(1) }); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				users.Go(func() {
					for i := range messages {
						if err := sockets.Send(name, i); err != nil {
							t.Errorf("Send: %v", err)
						}
					}
				})
				users.Go(func() {
					for range messages {
						if _, err := sockets.Receive(name, 0); err != nil {
							t.Errorf("Receive: %v", err)
						}
					}
				})
				users.Go(func() {
					for range 20 {
						_, err1 := sockets.Messages(name, -1)
						_, err2 := sockets.Info(name)
						_, err3 := sockets.Ping(name)
						err4 := sockets.OnMessage(name, func(client.Message) { handled.Add(1) })
						if err := errors.Join(err1, err2, err3, err4); err != nil || !sockets.IsConnected(name) || !slices.Equal(sockets.Names(), names) {
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
			wantDropped(t, &sockets, name, 0, 0)
		}
	})
}

func TestCloseWhileTheConnectionIsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := &client.SocketOptions{Config: serve(t, echo)}
		var sockets client.Sockets
		connect(t, &sockets, "x", opts)
		if err := sockets.OnMessage("x", func(client.Message) {}); err != nil {
			t.Fatal(err)
		}
		wantEnd := func(call string, err error) {
			if !errors.Is(err, client.ErrSocketNotOpen) && !errors.Is(err, client.ErrSocketNotFound) {
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
				err = sockets.Send("x", "hello")
			}
			wantEnd("Send", err)
		})
		users.Go(func() {
			var err error
			for err == nil {
				_, err = sockets.Receive("x", -1)
			}
			wantEnd("Receive", err)
		})
		users.Go(func() {
			var err error
			for err == nil {
				_, err = sockets.Ping("x")
			}
			wantEnd("Ping", err)
		})
		<-closing
		if err := sockets.Close("x"); err != nil {
			t.Errorf("Close: %v", err)
		}
		users.Wait()
	})
}
