package main

import (
	"bytes"
	"net"
	"testing"

	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

func TestClientOfTheDocumentation(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server.Server{Handler: server.Handler{
		Open:    func(c *server.Conn) { c.SendPing([]byte("are you there?")) },
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
	}}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()

	u, err := handshake.ParseURL("ws://" + ln.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", u.Address())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := echo(nc, u, "κόσμε", &out); err != nil {
		t.Error(err)
	}
	nc.Close()
	const want = "κόσμε (FIN true, 10 bytes)\nclosed: 1000 (normal closure) \"\"\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != server.ErrServerClosed {
		t.Error(err)
	}
}
