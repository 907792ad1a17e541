package apis

import (
	"context"
	"net"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// start serves s on a loopback address and returns its URL.
func start(t *testing.T, s *server.Server) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // abort open connections
		s.Shutdown(ctx)
		if err := <-served; err != server.ErrServerClosed {
			t.Error(err)
		}
	})
	return "ws://" + ln.Addr().String()
}

// echo sends every message back.
func echo(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }

// dial connects to url.
func dial(t *testing.T, url string, cfg *client.Config) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// want receives a message and compares it.
func want(t *testing.T, c *client.Conn, op wire.Opcode, payload string) {
	t.Helper()
	m, err := c.Receive(t.Context())
	if err != nil || m.Opcode != op || m.Text() != payload {
		t.Fatalf("received %v %q, %v; want %v %q", m.Opcode, m.Payload, err, op, payload)
	}
}
