package apis

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// TestBlockingServer shows the equivalent of a server with a blocking handler for
// each connection.
func TestBlockingServer(t *testing.T) {
	type report struct {
		timeout   error
		connected bool
		remote    string
		ended     error
		after     bool
	}
	reports := make(chan report, 2)
	var s server.Server
	// register path → handler(client) that runs for the connection's life in its own fiber
	s.Handlers = map[string]*server.Handler{"/room": {Serve: func(c *server.Conn) {
		var r report
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		_, r.timeout = c.Receive(ctx)
		cancel()
		r.connected, r.remote = c.State() == server.Open, c.RemoteAddr().String()
		c.SendText("ready")
		for m, err := range c.Messages(context.Background()) {
			if err != nil {
				r.ended = err
				break
			}
			s.Broadcast(m.Opcode, m.Payload)
		}
		r.after = c.State() == server.Open
		reports <- r
	}}}
	url := start(t, &s)
	alice := dial(t, url+"/room", nil)
	bob := dial(t, url+"/room", nil)
	want(t, alice, wire.Text, "ready")
	want(t, bob, wire.Text, "ready")

	t.Run("register path", func(t *testing.T) {
		var refused *client.HandshakeError
		if _, err := client.Dial(t.Context(), url+"/elsewhere", nil); !errors.As(err, &refused) || refused.Response.Status != 404 {
			t.Errorf("another path: %v", err)
		}
	})

	t.Run("broadcast to all", func(t *testing.T) {
		alice.SendText("hello, everyone")
		want(t, alice, wire.Text, "hello, everyone")
		want(t, bob, wire.Text, "hello, everyone")
	})

	t.Run("receive(timeout), connected, remote address", func(t *testing.T) {
		alice.Close(wire.NormalClosure, "")
		r := <-reports
		if !errors.Is(r.timeout, context.DeadlineExceeded) {
			t.Errorf("the receive with a timeout returned %v", r.timeout)
		}
		if !r.connected || r.after || r.ended != nil {
			t.Errorf("connected %t, at the end %t, %v", r.connected, r.after, r.ended)
		}
		if r.remote != alice.LocalAddr().String() {
			t.Errorf("remote address %s, want %s", r.remote, alice.LocalAddr())
		}
	})

	t.Run("removed on exit", func(t *testing.T) {
		for c := range s.Conns() {
			if c.RemoteAddr().String() != bob.LocalAddr().String() {
				t.Errorf("still there: %s", c.RemoteAddr())
			}
		}
		bob.CloseNow()
		if r := <-reports; r.ended == nil {
			t.Error("the handler was not told that its connection was lost")
		}
	})
}
