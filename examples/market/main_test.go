package main

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/handshake"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wstest"
)

// A connection that is lost is replaced, the subscription is repeated, and the
// snapshot has the trades that the client has missed.
func TestClientSurvivesLostConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExchange()
		ln := wstest.Serve(t, &e.server)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		type shown struct {
			trade
			volume int
		}
		trades, ended := make(chan shown), make(chan error)
		go func() {
			ended <- follow(ctx, "ws://exchange.example/", &client.Config{DialContext: client.DialFunc(ln.DialContext)}, []string{"ACME"}, func(b *book, t trade) {
				trades <- shown{t, b.volumes["ACME"]}
			})
		}()
		for i := range 3 {
			synctest.Wait()
			time.Sleep(time.Minute) // the client has connected
			check.Must(t, e.trade(trade{"OTHR", 1, 1000}))
			check.Must(t, e.trade(trade{"ACME", 100, 1}))
			check.Equal(t, <-trades, shown{trade{"ACME", 100, 1}, 10*i + 1}, "trade")
			ln.Link(i).Reset()
			synctest.Wait()
			check.Must(t, e.trade(trade{"ACME", 90, 9})) // nobody is told
		}
		cancel()
		check.Is(t, <-ended, context.Canceled, "follow")
	})
}

func TestClientEndsWhenItIsRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExchange()
		e.server.Authorize = func(*handshake.Request, *handshake.ServerAnswer) error {
			return &handshake.Error{Status: http.StatusForbidden}
		}
		ln := wstest.Serve(t, &e.server)
		err := follow(t.Context(), "ws://exchange.example/", &client.Config{DialContext: client.DialFunc(ln.DialContext)}, nil, nil)
		var refused *client.HandshakeError
		if !errors.As(err, &refused) || refused.Response.Status != http.StatusForbidden {
			t.Errorf("%v, want a refusal with 403", err)
		}
	})
}
