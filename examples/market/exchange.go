package main

import (
	"context"
	"encoding/json"
	"log"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A subscription is the message of a client. The answer is the volume of each
// symbol so far.
type subscription struct {
	Symbols []string `json:"symbols"`
}

// A trade is a message to the client.
type trade struct {
	Symbol string `json:"symbol"`
	Price  int    `json:"price"`
	Size   int    `json:"size"`
}

// An exchange has trades, and the connections that want those of a symbol.
type exchange struct {
	server server.Server

	mu      sync.Mutex
	volumes map[string]int
	wanted  map[*server.Conn]map[string]bool
}

func newExchange() *exchange {
	e := &exchange{volumes: make(map[string]int), wanted: make(map[*server.Conn]map[string]bool)}
	e.server.Limits = server.Limits{Message: 4 << 10}
	e.server.Handler = server.Handler{
		Message: e.subscribe,
		Close: func(c *server.Conn, code wire.StatusCode, reason string) {
			e.mu.Lock()
			defer e.mu.Unlock()
			delete(e.wanted, c)
		},
	}
	return e
}

// subscribe sends a snapshot. Under the lock no trade is lost between the
// snapshot and the first change.
func (e *exchange) subscribe(c *server.Conn, op wire.Opcode, p []byte) {
	var s subscription
	if err := json.Unmarshal(p, &s); err != nil {
		c.Close(wire.UnsupportedData, "the message is no subscription")
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	snapshot, wanted := make(map[string]int), make(map[string]bool)
	for _, symbol := range s.Symbols {
		snapshot[symbol], wanted[symbol] = e.volumes[symbol], true
	}
	if err := c.SendJSON(snapshot); err == nil {
		e.wanted[c] = wanted
	}
}

// trade sends a trade to the connections that want it.
func (e *exchange) trade(t trade) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.volumes[t.Symbol] += t.Size
	return server.Broadcast(func(yield func(*server.Conn) bool) {
		for c, wanted := range e.wanted {
			if wanted[t.Symbol] && !yield(c) {
				return
			}
		}
	}, wire.Text, text)
}

// run trades until ctx ends.
func (e *exchange) run(ctx context.Context) {
	ticks := time.NewTicker(time.Second / 5)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			symbol := []string{"ACME", "GOPH", "OTHR"}[rand.IntN(3)]
			if err := e.trade(trade{symbol, 90 + rand.IntN(20), 1 + rand.IntN(9)}); err != nil {
				log.Print(err)
			}
		}
	}
}
