package server_test

import (
	"context"
	"net"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

func TestSmoke(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }}}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	ctx := context.Background()
	c, err := client.Dial(ctx, "ws://"+ln.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendText("héllo"); err != nil {
		t.Fatal(err)
	}
	m, err := c.Receive(ctx)
	if err != nil || m.Text() != "héllo" {
		t.Fatal(m, err)
	}
	big := make([]byte, 5<<20)
	go c.SendBinary(big)
	m, err = c.Receive(ctx)
	if err != nil || len(m.Payload) != len(big) {
		t.Fatal(len(m.Payload), err)
	}
	rtt, err := c.Ping(ctx)
	t.Log(rtt, err)
	if err := c.Close(ctx, wire.NormalClosure, "bye"); err != nil {
		t.Fatal(err)
	}
	t.Log(s.Shutdown(ctx), <-served)
}
