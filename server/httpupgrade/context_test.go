package httpupgrade_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

type contextKey struct{}

// Values that middleware stores in the context of the request are seen by
// Authorize and CheckOrigin, and in Serve and after Accept by Conn.Context,
// which ends with the connection and not with the request.
func TestContextOfTheRequest(t *testing.T) {
	s := echoServer()
	seen := make(chan any, 10)
	s.Authorize = func(r *handshake.Request, _ *handshake.ServerAnswer) error {
		seen <- r.Context().Value(contextKey{})
		return nil
	}
	serveEcho := func(c *server.Conn) {
		seen <- c.Context().Value(contextKey{})
		if m, err := c.Receive(c.Context()); err == nil { // after the request has ended
			c.Send(m.Opcode, m.Payload)
		}
		if _, err := c.Receive(c.Context()); err != nil {
			<-c.Context().Done()
		}
		seen <- c.Context().Err()
	}
	s.Handlers = map[string]*server.Handler{"/serve": {Serve: serveEcho}, "/accept": {}}
	hs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), contextKey{}, "ann"))
		if r.URL.Path == "/serve" {
			check.OK(t, httpupgrade.Upgrade(s, w, r, nil))
			return
		}
		c, err := httpupgrade.Accept(w, r, &httpupgrade.Options{Server: s})
		if err != nil {
			t.Error(err)
			return
		}
		go serveEcho(c)
	}), s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, path := range []string{"/serve", "/accept"} {
		c, err := client.Dial(ctx, wsURL(hs.URL)+path, nil)
		check.Must(t, err)
		check.Equal(t, within(t, seen), any("ann"), "%s: the value in Authorize", path)
		check.Equal(t, within(t, seen), any("ann"), "%s: the value in Serve", path)
		check.OK(t, c.SendText("Hello"))
		m, err := c.Receive(ctx)
		if err != nil || m.Text() != "Hello" {
			t.Errorf("%s: %q, %v", path, m.Text(), err)
		}
		check.OK(t, c.Close(wire.NormalClosure, ""))
		check.Equal(t, within(t, seen), any(context.Canceled), "%s: the end", path)
	}
}
