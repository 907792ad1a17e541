package apis

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// TestBlockingClient shows the equivalent of a blocking client.
func TestBlockingClient(t *testing.T) {
	headers := make(chan string, 1)
	var s server.Server
	s.Handler = server.Handler{
		Open: func(c *server.Conn) { headers <- c.Header().Get("X-Token") },
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			switch string(p) {
			case "ping me":
				c.SendPing([]byte("hello?"))
			case "close me":
				c.Close(4001, "as you wish")
			default:
				c.Send(op, p)
			}
		},
	}
	url := start(t, &s)

	var c *client.Conn
	t.Run("connect(url, timeout, headers)", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var err error
		c, err = client.Dial(ctx, url, &client.Config{
			Header:           map[string][]string{"X-Token": {"secret"}},
			HandshakeTimeout: 5 * time.Second,
			Control:          true, // Receive returns Ping, Pong and Close too
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := <-headers; got != "secret" {
			t.Errorf("the server saw the header %q", got)
		}
	})
	if c == nil {
		t.FailNow()
	}
	defer c.CloseNow()

	t.Run("send text", func(t *testing.T) {
		if err := c.SendText("grüß dich"); err != nil {
			t.Fatal(err)
		}
		want(t, c, wire.Text, "grüß dich")
	})

	t.Run("send bytes", func(t *testing.T) {
		if err := c.SendBinary([]byte{0, 0xff}); err != nil {
			t.Fatal(err)
		}
		want(t, c, wire.Binary, "\x00\xff")
	})

	t.Run("JSON values encoded automatically", func(t *testing.T) {
		type point struct{ X, Y int }
		if err := c.SendJSON(point{1, 2}); err != nil {
			t.Fatal(err)
		}
		var back point
		if err := c.ReceiveJSON(t.Context(), &back); err != nil || back != (point{1, 2}) {
			t.Errorf("got %v, %v", back, err)
		}
	})

	t.Run("receive(timeout), where a timeout is not a disconnect", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if err := c.SendText("still here"); err != nil {
			t.Fatal(err)
		}
		want(t, c, wire.Text, "still here")
	})

	t.Run("typed messages: ping", func(t *testing.T) {
		c.SendText("ping me")
		want(t, c, wire.Ping, "hello?")
	})

	t.Run("ping; typed messages: pong", func(t *testing.T) {
		if rtt, err := c.Ping(t.Context()); err != nil || rtt <= 0 {
			t.Fatalf("got %v, %v", rtt, err)
		}
		m, err := c.Receive(t.Context())
		if err != nil || m.Opcode != wire.Pong {
			t.Errorf("got %v, %v", m.Opcode, err)
		}
	})

	t.Run("pong", func(t *testing.T) {
		if err := c.SendPong([]byte("unasked")); err != nil {
			t.Error(err)
		}
	})

	t.Run("ready state", func(t *testing.T) {
		if c.State() != client.Open {
			t.Errorf("got %v", c.State())
		}
	})

	t.Run("remote address", func(t *testing.T) {
		if got := "ws://" + c.RemoteAddr().String(); got != url {
			t.Errorf("got %s, want %s", got, url)
		}
	})

	t.Run("typed messages: close with code and reason", func(t *testing.T) {
		c.SendText("close me")
		m, err := c.Receive(t.Context())
		if err != nil || m.Opcode != wire.Close || m.Code != 4001 || m.Reason != "as you wish" {
			t.Fatalf("got %+v, %v", m, err)
		}
		var closed *client.CloseError
		if _, err := c.Receive(t.Context()); !errors.As(err, &closed) || closed.Code != 4001 {
			t.Errorf("afterwards: %v", err)
		}
		if c.State() != client.Closed {
			t.Errorf("state is %v", c.State())
		}
	})

	t.Run("close", func(t *testing.T) {
		c := dial(t, url, nil)
		<-headers
		if err := c.Close(wire.NormalClosure, "bye"); err != nil {
			t.Error(err)
		}
		if err := c.SendText("too late"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("sending afterwards: %v", err)
		}
	})
}
