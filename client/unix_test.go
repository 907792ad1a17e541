package client_test

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A server on a Unix socket: the URL has the host and the path of the request.
func TestUnixDialer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	check.Must(t, err)
	s := &server.Server{Handler: server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) {
		c.SendText(c.Request().Host() + c.Path() + " " + string(p))
	}}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ln)
	}()
	c, err := client.Dial(t.Context(), "ws://service.example/chat", &client.Config{DialContext: client.UnixDialer(path)})
	check.Must(t, err)
	check.Must(t, c.SendText("hello"))
	receiveWant(t, c, wire.Text, "service.example/chat hello")
	check.OK(t, c.Close(wire.NormalClosure, ""))
	check.OK(t, s.Shutdown(t.Context()))
	<-done

	_, err = client.Dial(t.Context(), "ws://service.example/chat", &client.Config{DialContext: client.UnixDialer(path)})
	var failed *net.OpError
	if !errors.As(err, &failed) || failed.Net != "unix" {
		t.Errorf("a socket that does not exist: %v", err)
	}
	checkErrorText(t, err)
}
