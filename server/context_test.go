package server_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// The context of a connection ends with it, and its cause is Err. In a handler
// for events and in Serve, before and after the end.
func TestContextEndsWithConnection(t *testing.T) {
	contexts, conns := make(chan context.Context, 2), make(chan *server.Conn, 2)
	open := func(c *server.Conn) {
		if c.Context() != c.Context() {
			t.Error("two contexts of one connection")
		}
		contexts <- c.Context()
		conns <- c
	}
	ln := wstest.Listen(nil)
	s := &server.Server{Handlers: map[string]*server.Handler{
		"/events": {Open: open},
		"/serve":  {Serve: func(c *server.Conn) { open(c); <-c.Context().Done() }},
	}}
	go s.Serve(ln)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	defer s.Shutdown(ctx)
	for _, path := range []string{"/events", "/serve"} {
		c, err := client.Dial(ctx, "ws://server.example"+path, &client.Config{DialContext: client.DialFunc(ln.DialContext)})
		check.Must(t, err)
		lifetime, conn := <-contexts, <-conns
		check.OKf(t, lifetime.Err(), "%s: while the connection is open", path)
		check.OK(t, c.Close(wire.NormalClosure, "bye"))
		select {
		case <-lifetime.Done():
		case <-ctx.Done():
			t.Fatal("the context does not end")
		}
		var closed *server.CloseError
		if cause := context.Cause(lifetime); !errors.As(cause, &closed) || closed.Reason != "bye" || cause != conn.Err() {
			t.Errorf("%s: the cause is %v", path, cause)
		}
	}
}

// A context that is requested after the end of the connection has ended.
func TestContextOfEndedConnection(t *testing.T) {
	conns := make(chan *server.Conn, 1)
	ln := wstest.Listen(nil)
	s := &server.Server{Handler: server.Handler{Close: func(c *server.Conn, _ wire.StatusCode, _ string) { conns <- c }}}
	go s.Serve(ln)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	defer s.Shutdown(ctx)
	c, err := client.Dial(ctx, "ws://server.example/", &client.Config{DialContext: client.DialFunc(ln.DialContext)})
	check.Must(t, err)
	check.OK(t, c.Close(wire.NormalClosure, ""))
	conn := <-conns
	check.Is(t, context.Cause(conn.Context()), conn.Err(), "the cause")
}

func TestTypedValue(t *testing.T) {
	type user struct{ name string }
	var c server.Conn
	if v, ok := server.Value[*user](&c); ok || v != nil {
		t.Errorf("%v without a value", v)
	}
	c.SetValue(&user{"ann"})
	if v, ok := server.Value[*user](&c); !ok || v.name != "ann" {
		t.Errorf("%v, %v", v, ok)
	}
	if v, ok := server.Value[string](&c); ok || v != "" {
		t.Errorf("%q of another type", v)
	}
	var ours client.Conn
	ours.SetValue(1)
	if v, ok := client.Value[int](&ours); !ok || v != 1 {
		t.Errorf("%v, %v", v, ok)
	}
	if _, ok := client.Value[string](&ours); ok {
		t.Error("a value of another type")
	}
}

// Keys of one type have values of their own, beside that of SetValue.
func TestKeys(t *testing.T) {
	var (
		c, other server.Conn
		a, b     server.Key[string]
		failure  server.Key[error]
		ours     client.Conn
		one, two client.Key[int]
	)
	if v, ok := a.Get(&c); ok || v != "" {
		t.Errorf("%q, %v without values", v, ok)
	}
	if v, ok := one.Get(&ours); ok || v != 0 {
		t.Errorf("%d, %v without values", v, ok)
	}
	c.SetValue("plain")
	for _, v := range []string{"first", "second"} {
		a.Set(&c, v)
		if got, ok := a.Get(&c); !ok || got != v {
			t.Errorf("%q, %v, want %q", got, ok, v)
		}
	}
	failure.Set(&c, nil)
	if v, ok := failure.Get(&c); !ok || v != nil {
		t.Errorf("%v, %v, want a stored nil", v, ok)
	}
	if v, ok := b.Get(&c); ok {
		t.Errorf("%q of another key", v)
	}
	if v, ok := a.Get(&other); ok {
		t.Errorf("%q of another connection", v)
	}
	check.Equal(t, c.Value(), any("plain"), "Value")
	one.Set(&ours, 1)
	two.Set(&ours, 2)
	if v, ok := one.Get(&ours); !ok || v != 1 {
		t.Errorf("%d, %v", v, ok)
	}
	if v, ok := two.Get(&ours); !ok || v != 2 {
		t.Errorf("%d, %v", v, ok)
	}
	check.Equal(t, ours.Value(), nil, "Value")
}
