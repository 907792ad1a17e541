package httpupgrade_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

// echoUntilClosed echoes all messages, and returns the error of Receive.
func echoUntilClosed(ctx context.Context, c *server.Conn) error {
	for {
		m, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		if err := c.Send(m.Opcode, m.Payload); err != nil {
			return err
		}
	}
}

// Accept returns an open connection. The response has the header and the
// subprotocol of the options, which replace those of the server and of w.
// Conn.Value is that of the options.
func TestAcceptWithOptions(t *testing.T) {
	s := &server.Server{Subprotocols: []string{"a"}, Authorize: func(_ *handshake.Request, a *handshake.ServerAnswer) error {
		a.Header = map[string][]string{"X-Authorize": {"1"}}
		return nil
	}}
	ended := make(chan error, 1)
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Middleware", "1")
		w.Header().Set("X-Both", "middleware")
		c, err := httpupgrade.Accept(w, r, &httpupgrade.Options{
			Server:       s,
			Subprotocols: []string{"b"},
			Header:       http.Header{"X-Own": {"1", "2"}, "x-both": {"own"}},
			Value:        "somebody",
		})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		if c.Value() != "somebody" || c.Subprotocol() != "b" || c.Path() != "/x" {
			t.Errorf("the connection has %v, %q, %q", c.Value(), c.Subprotocol(), c.Path())
		}
		ended <- echoUntilClosed(r.Context(), c)
	}), s)
	c, err := client.Dial(t.Context(), wsURL(hs.URL)+"/x", &client.Config{Subprotocols: []string{"a", "b"}})
	check.Must(t, err)
	if got := c.Subprotocol(); got != "b" {
		t.Errorf("the subprotocol is %q", got)
	}
	for name, want := range map[string][]string{"X-Authorize": {"1"}, "X-Middleware": {"1"}, "X-Both": {"own"}, "X-Own": {"1", "2"}} {
		if got := c.Response().Header.Values(name); !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	check.Must(t, c.SendText("Hello"))
	if m, err := c.Receive(t.Context()); err != nil || m.Text() != "Hello" {
		t.Errorf("received %q, %v", m.Text(), err)
	}
	check.OK(t, c.Close(wire.NormalClosure, "bye"))
	var closed *server.CloseError
	if err := within(t, ended); !errors.As(err, &closed) || closed.Reason != "bye" {
		t.Errorf("Receive returned %v", err)
	}
}

// Without options the connection belongs to DefaultServer, with and without
// TLS.
func TestAcceptWithoutOptions(t *testing.T) {
	open := func() int64 { return httpupgrade.DefaultServer.Stats().Open }
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := httpupgrade.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		if n := open(); n != 1 {
			t.Errorf("DefaultServer has %d connections", n)
		}
		_ = echoUntilClosed(r.Context(), c)
	}))
	defer hs.Close()
	checkEcho(t, wsURL(hs.URL), nil)
	for deadline := time.Now().Add(time.Minute); open() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection does not end")
		}
	}
}

// Accept returns the reason of a refusal, which the client has received.
func TestAcceptReturnsWhyItHasRefused(t *testing.T) {
	returned := make(chan error, 1)
	s := new(server.Server)
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := httpupgrade.Accept(w, r, &httpupgrade.Options{Server: s})
		if c != nil {
			t.Errorf("Accept returned a connection, and %v", err)
		}
		returned <- err
	}), s)
	resp, err := http.Get(hs.URL)
	check.Must(t, err)
	resp.Body.Close()
	var refused *handshake.Error
	if err := within(t, returned); resp.StatusCode != 426 || !errors.As(err, &refused) || refused.Status != 426 {
		t.Errorf("status %d, Accept returned %v", resp.StatusCode, err)
	}
	var failed *client.HandshakeError
	cfg := &client.Config{Header: map[string][]string{"Origin": {"https://evil.example"}}}
	if _, err := client.Dial(t.Context(), wsURL(hs.URL), cfg); !errors.As(err, &failed) || failed.Response.Status != 403 {
		t.Errorf("another origin: %v", err)
	}
	if err := within(t, returned); !errors.As(err, &refused) || refused.Status != 403 {
		t.Errorf("another origin: Accept returned %v", err)
	}
}
