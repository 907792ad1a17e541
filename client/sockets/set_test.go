package sockets_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/client/sockets"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// serve runs a server until the end of the test, and returns the way to it.
func serve(t *testing.T, h server.Handler) *client.Config {
	ln := wstest.Listen(nil)
	s := &server.Server{Handler: h, PingInterval: -1}
	go s.Serve(ln)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		check.OKf(t, s.Shutdown(ctx), "connections are left at the end")
	})
	return &client.Config{DialContext: client.DialFunc(ln.DialContext)}
}

// echo is the handler that echoes messages.
var echo = server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { _ = c.Send(op, p) }}

// connect opens a connection for name that lasts until the end of the test.
func connect(t *testing.T, set *sockets.Set, name string, opts *sockets.Options) {
	t.Helper()
	info, err := set.Connect(t.Context(), name, "ws://server.example/", opts)
	if err != nil || !info.Connected {
		t.Fatalf("Connect: %+v, %v", info, err)
	}
	t.Cleanup(func() { set.Close(name) })
}

// withSet runs a test in a bubble of testing/synctest, with a set that has the
// connection "x" to a server with the handler h.
func withSet(t *testing.T, h server.Handler, opts sockets.Options, test func(t *testing.T, set *sockets.Set)) {
	synctest.Test(t, func(t *testing.T) {
		opts.Config = serve(t, h)
		var set sockets.Set
		connect(t, &set, "x", &opts)
		test(t, &set)
	})
}

// collect handles the messages of "x". The messages are in the list when
// nothing happens any more.
func collect(t *testing.T, set *sockets.Set) *[]string {
	t.Helper()
	handled := new([]string)
	check.Must(t, set.OnMessage("x", func(m client.Message) { *handled = append(*handled, m.Text()) }))
	return handled
}

// wantText receives a message at once.
func wantText(t *testing.T, set *sockets.Set, name, want string) {
	t.Helper()
	if m, err := set.Receive(name, time.Second); err != nil || m.Opcode != wire.Text || m.Text() != want {
		t.Errorf("received %q, %v, want %q", m.Text(), err, want)
	}
}

// wantNotOpen checks the error of a call on a connection that is not open.
func wantNotOpen(t *testing.T, what string, err error, name string) *sockets.Error {
	t.Helper()
	var e *sockets.Error
	if !errors.As(err, &e) || e.Name != name || !errors.Is(err, sockets.ErrNotOpen) || errors.Is(err, sockets.ErrNotFound) {
		t.Fatalf("%s: %v, want %q not open", what, err, name)
	}
	if want := fmt.Sprintf("connection %q is not open", name); !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want a text with %s", what, err, want)
	}
	return e
}

// calls makes each call that needs a connection.
func calls(set *sockets.Set, name string) map[string]error {
	result := map[string]error{
		"Send":      set.Send(name, "x"),
		"OnMessage": set.OnMessage(name, func(client.Message) {}),
	}
	_, result["Receive"] = set.Receive(name, -1)
	_, result["Ping"] = set.Ping(name)
	return result
}

func TestConnectNeedsURL(t *testing.T) {
	var set sockets.Set
	info, err := set.Connect(t.Context(), "x", "", nil)
	if !errors.Is(err, sockets.ErrURLRequired) || !strings.Contains(err.Error(), "URL is required") || info != (sockets.Info{}) {
		t.Errorf("%+v, %v", info, err)
	}
	if names := set.Names(); len(names) != 0 {
		t.Errorf("names in use: %q", names)
	}
}

func TestConnectThatFailsLeavesNoName(t *testing.T) {
	var set sockets.Set
	refused := errors.New("refused")
	_, err := set.Connect(t.Context(), "x", "ws://server.example/", &sockets.Options{Config: &client.Config{
		DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) { return nil, refused }),
	}})
	check.Is(t, err, refused, "Connect")
	check.Is(t, check.Err(set.Info("x")), sockets.ErrNotFound, "Info")
}

func TestUnknownNameIsNotFound(t *testing.T) {
	for _, name := range []string{"", "x", "a \"b\"\n"} {
		var set sockets.Set
		result := calls(&set, name)
		result["Close"] = set.Close(name)
		_, result["Messages"] = set.Messages(name, 0)
		_, result["Info"] = set.Info(name)
		for call, err := range result {
			var e *sockets.Error
			if !errors.As(err, &e) || e.Name != name || !errors.Is(err, sockets.ErrNotFound) {
				t.Errorf("%s: %v, want not found", call, err)
			}
			if want := fmt.Sprintf("websocket: connection %q not found", name); err.Error() != want {
				t.Errorf("%s: text %s, want %s", call, err, want)
			}
		}
		if set.IsConnected(name) {
			t.Error("IsConnected")
		}
	}
}

func TestHandlerMustBeFunction(t *testing.T) {
	var set sockets.Set
	err := set.OnMessage("x", nil)
	if !errors.Is(err, sockets.ErrHandler) || !strings.Contains(err.Error(), "handler must be a function") {
		t.Error(err)
	}
}

func TestConnectSendsHeaderAndTellsURLWithoutPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := make(chan *handshake.Request, 1)
		cfg := serve(t, server.Handler{Open: func(c *server.Conn) { requests <- c.Request() }})
		cfg.Header = map[string][]string{"X-Other": {"replaced"}}
		var set sockets.Set
		defer set.CloseAll(t.Context())
		info, err := set.Connect(t.Context(), "x", "http://me:secret@Server.example:80/a?b", &sockets.Options{
			Header: map[string][]string{"X-Token": {"t"}},
			Config: cfg,
		})
		want := sockets.Info{Name: "x", URL: "ws://server.example/a?b", Connected: true}
		if err != nil || info != want {
			t.Errorf("%+v, %v, want %+v", info, err, want)
		}
		h := (<-requests).Header
		if h.Get("X-Token") != "t" || h.Get("X-Other") != "" || h.Get("Authorization") != "Basic bWU6c2VjcmV0" {
			t.Errorf("header %v", h)
		}
		if now, err := set.Info("x"); err != nil || now != want || !set.IsConnected("x") {
			t.Errorf("later: %+v, %v", now, err)
		}
		if cfg.Header["X-Other"] == nil || cfg.HandshakeTimeout != 0 {
			t.Error("the program's Config was changed")
		}
	})
}

func TestConnectIsBoundedInTime(t *testing.T) {
	for _, c := range []struct {
		name string
		opts sockets.Options
		want time.Duration
	}{
		{"by default", sockets.Options{}, 10 * time.Second},
		{"by Timeout", sockets.Options{Timeout: 3 * time.Second, Config: &client.Config{HandshakeTimeout: time.Hour}}, 3 * time.Second},
		{"by Config", sockets.Options{Config: &client.Config{HandshakeTimeout: 4 * time.Second}}, 4 * time.Second},
	} {
		check.Bubble(t, c.name, func(t *testing.T) {
			cfg := client.Config{}
			if c.opts.Config != nil {
				cfg = *c.opts.Config
			}
			cfg.DialContext = client.DialFunc(func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
			c.opts.Config = &cfg
			var set sockets.Set
			start := time.Now()
			_, err := set.Connect(t.Context(), "x", "ws://server.example/", &c.opts)
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(start) != c.want {
				t.Errorf("%v after %v, want a timeout after %v", err, time.Since(start), c.want)
			}
		})
	}
}

func TestEachValueIsSentAsItsKindOfMessage(t *testing.T) {
	withSet(t, echo, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		type text string
		for _, c := range []struct {
			value   any
			opcode  wire.Opcode
			payload string
		}{
			{"grüß dich", wire.Text, "grüß dich"},
			{"", wire.Text, ""},
			{[]byte{0xff, 0}, wire.Binary, "\xff\x00"},
			{[]byte(nil), wire.Binary, ""},
			{[]byte(`{ "as": "it is" }`), wire.Binary, `{ "as": "it is" }`},
			{map[string]any{"b": []int{1}, "a": nil}, wire.Text, `{"a":null,"b":[1]}`},
			{text("quoted"), wire.Text, `"quoted"`},
			{nil, wire.Text, `null`},
			{1.5, wire.Text, `1.5`},
			{json.RawMessage(`{ "encoded": "already" }`), wire.Text, `{ "encoded": "already" }`},
		} {
			if err := set.Send("x", c.value); err != nil {
				t.Errorf("%#v: %v", c.value, err)
				continue
			}
			if m, err := set.Receive("x", 0); err != nil || m.Opcode != c.opcode || m.Text() != c.payload {
				t.Errorf("%#v was sent as %v %q, %v, want %v %q", c.value, m.Opcode, m.Text(), err, c.opcode, c.payload)
			}
		}
	})
}

// 6455-5.6-c
func TestValueThatCannotBeSentLeavesConnectionOpen(t *testing.T) {
	withSet(t, echo, sockets.Options{}, func(t *testing.T, set *sockets.Set) {
		for _, v := range []any{"\xff", json.RawMessage("\xff")} {
			check.Is(t, set.Send("x", v), wire.ErrInvalidUTF8, "%q", v)
		}
		if err := set.Send("x", func() {}); err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("a function: %v", err)
		}
		check.OK(t, set.Send("x", "still there"))
		wantText(t, set, "x", "still there")
	})
}

func TestConnectionThatHasEndedIsNotOpen(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   func(*server.Conn)
		cause func(error) bool
		text  string
	}{
		{"closed by the server", func(c *server.Conn) { c.Close(wire.GoingAway, "bye") },
			func(err error) bool {
				var e *client.CloseError
				return errors.As(err, &e) && e.Code == wire.GoingAway && e.Reason == "bye"
			}, `websocket: connection "x" is not open: closed by the peer with ` + wire.GoingAway.String() + `: "bye"`},
		{"lost", func(c *server.Conn) { c.CloseNow() },
			func(err error) bool { return errors.Is(err, io.EOF) },
			`websocket: connection "x" is not open: connection lost without a closing handshake: EOF`},
		{"failed by the client", func(c *server.Conn) { c.Send(wire.Binary, make([]byte, 101)) },
			func(err error) bool { e := (*client.LimitError)(nil); return errors.As(err, &e) && e.Seen == 101 }, ""},
	} {
		check.Bubble(t, c.name, func(t *testing.T) {
			cfg := serve(t, server.Handler{Message: func(conn *server.Conn, _ wire.Opcode, _ []byte) { c.end(conn) }})
			cfg.Limits.Message = 100
			var set sockets.Set
			connect(t, &set, "x", &sockets.Options{Config: cfg})
			check.Must(t, set.Send("x", "end"))
			synctest.Wait()
			for call, err := range calls(&set, "x") {
				e := wantNotOpen(t, call, err, "x")
				if !c.cause(err) || !errors.Is(err, net.ErrClosed) || e.Cause == nil {
					t.Errorf("%s: %v, which has another cause", call, err)
				}
				if c.text != "" && err.Error() != c.text {
					t.Errorf("%s: text %s, want %s", call, err, c.text)
				}
			}
			info, err := set.Info("x")
			if err != nil || info.Connected || !c.cause(info.Err) || set.IsConnected("x") {
				t.Errorf("Info: %+v, %v", info, err)
			}
			if list, err := set.Messages("x", 0); err != nil || len(list) != 0 {
				t.Errorf("Messages: %v, %v", list, err)
			}
			check.OKf(t, set.Close("x"), "Close")
			check.Is(t, set.Close("x"), sockets.ErrNotFound, "second Close")
		})
	}
}

// deaf returns a Config for a server that makes the opening handshake, reads on
// and never answers.
func deaf(t *testing.T) *client.Config {
	return &client.Config{DialContext: client.DialFunc(func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := wstest.Pipe(wstest.Plan{})
		go func() {
			check.OK(t, wstest.NewServer(theirs).Play("open"))
			io.Copy(io.Discard, theirs)
		}()
		return ours, nil
	})}
}

func TestPingWithoutPongIsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set sockets.Set
		connect(t, &set, "x", &sockets.Options{Config: deaf(t)})
		start := time.Now()
		_, err := set.Ping("x")
		wantTimeout(t, err, `websocket: connection "x": no Pong for 10s`)
		if time.Since(start) != 10*time.Second || !set.IsConnected("x") {
			t.Errorf("after %v, connected: %t", time.Since(start), set.IsConnected("x"))
		}
	})
}

// wantTimeout checks a timeout error and its text.
func wantTimeout(t *testing.T, err error, text string) {
	t.Helper()
	var e *client.TimeoutError
	if !errors.As(err, &e) || !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) || err.Error() != text {
		t.Fatalf("%v, want a timeout: %s", err, text)
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v is no timeout of a net.Error", err)
	}
}

// 6455-7.1.2-a
func TestCloseIsProperAndFreesName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		codes := make(chan wire.StatusCode, 1)
		cfg := serve(t, server.Handler{Close: func(_ *server.Conn, code wire.StatusCode, _ string) { codes <- code }})
		var set sockets.Set
		connect(t, &set, "x", &sockets.Options{Config: cfg})
		received := make(chan error)
		go func() {
			_, err := set.Receive("x", -1)
			received <- err
		}()
		synctest.Wait()
		check.OKf(t, set.Close("x"), "Close")
		if e := wantNotOpen(t, "Receive that waited", <-received, "x"); e.Cause != client.ErrClosed {
			t.Errorf("Receive that waited: cause %v", e.Cause)
		}
		if code := <-codes; code != wire.NormalClosure {
			t.Errorf("the server received the code %v", code)
		}
		check.Is(t, check.Err(set.Info("x")), sockets.ErrNotFound, "Info")
	})
}

// T-C10
func TestCloseOfSilentServerIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set sockets.Set
		connect(t, &set, "x", &sockets.Options{Config: deaf(t)})
		start := time.Now()
		err := set.Close("x")
		var e *sockets.Error
		if !errors.As(err, &e) || err.Error() != `websocket: connection "x": connection lost without a closing handshake: no Close of the server for 5s (CloseTimeout)` {
			t.Errorf("Close: %v", err)
		}
		if time.Since(start) != client.DefaultCloseTimeout {
			t.Errorf("Close took %v", time.Since(start))
		}
	})
}

func TestCloseAllClosesAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var goingAway atomic.Int32
		cfg := serve(t, server.Handler{Close: func(_ *server.Conn, code wire.StatusCode, _ string) {
			if code == wire.GoingAway {
				goingAway.Add(1)
			}
		}})
		var set sockets.Set
		for _, name := range []string{"c", "a", "b"} {
			connect(t, &set, name, &sockets.Options{Config: cfg})
		}
		connect(t, &set, "silent", &sockets.Options{Config: deaf(t)})
		connect(t, &set, "silent too", &sockets.Options{Config: deaf(t)})
		if names := set.Names(); !slices.Equal(names, []string{"a", "b", "c", "silent", "silent too"}) {
			t.Errorf("names in use: %q", names)
		}
		start := time.Now()
		ctx := check.Within(t, time.Second)
		err := set.CloseAll(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || strings.Count(err.Error(), "silent") != 2 || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		synctest.Wait() // for the server to say so
		if n := goingAway.Load(); n != 3 || len(set.Names()) != 0 {
			t.Errorf("%d closed with 1001, left are %q", n, set.Names())
		}
		connect(t, &set, "a", &sockets.Options{Config: cfg})
	})
}
