// Market is a client of market data: it connects again when the connection is
// lost, with growing random waits, subscribes again, and asks for a snapshot,
// because it has missed changes. The exchange is in the same program; it closes
// each connection after ten seconds.
//
//	go run ./examples/market
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"time"

	"github.com/fibersock/fibersock/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ln, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	e := newExchange()
	e.server.MaxLifetime = 10 * time.Second // for each connection, which is closed with 1001
	go e.run(ctx)
	go func() { log.Fatal(e.server.Serve(ln)) }()
	show := func(b *book, t trade) { fmt.Printf("%s %d, volume %d\n", t.Symbol, t.Price, b.volumes[t.Symbol]) }
	err = follow(ctx, "ws://"+ln.Addr().String()+"/", nil, []string{"ACME", "GOPH"}, show)
	if ctx.Err() == nil {
		log.Fatal(err)
	}
}

// A book is the state that the client builds from messages.
type book struct {
	volumes map[string]int
}

// follow calls show with each trade of the symbols, until ctx ends or the
// exchange refuses the client for good.
func follow(ctx context.Context, url string, cfg *client.Config, symbols []string, show func(*book, trade)) error {
	b := &book{volumes: make(map[string]int)}
	for c, err := range client.Reconnecting(ctx, url, &client.ReconnectConfig{
		Config:    cfg,
		MaxDelay:  5 * time.Second,
		Subscribe: func(ctx context.Context, c *client.Conn) error { return b.subscribe(ctx, c, symbols) },
		Lost:      func(o client.Outage) { log.Printf("connected again after %v: %v", o.Duration, o.Err) },
	}) {
		if err != nil {
			return err
		}
		if err := b.read(ctx, c, show); err != nil {
			c.Close(4000, "unexpected message")
			return err
		}
	}
	panic("unreachable: the last pair of the loop has an error")
}

// subscribe asks for symbols. The answer is a snapshot, which replaces the
// state: changes were missed while there was no connection.
func (b *book) subscribe(ctx context.Context, c *client.Conn, symbols []string) error {
	if err := c.SendJSON(subscription{symbols}); err != nil {
		return err
	}
	return c.ReceiveJSON(ctx, &b.volumes)
}

// read reads trades until the connection ends. The error is that of a message
// that is no trade.
func (b *book) read(ctx context.Context, c *client.Conn, show func(*book, trade)) error {
	for {
		var t trade
		switch err := c.ReceiveJSON(ctx, &t); {
		case err == nil:
			b.volumes[t.Symbol] += t.Size
			show(b, t)
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			return nil // the loop connects again
		default:
			return err
		}
	}
}
