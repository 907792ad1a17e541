// Command fibersock measures this repository's package client.
package main

import (
	"context"

	"github.com/fibersock/fibersock/bench/clients/internal/measure"
	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	measure.Main(measure.Client{
		Name:   "fibersock",
		Module: "github.com/fibersock/fibersock",
		UTF8:   true,
		Notes:  "ReceiveInto a reused buffer, Send; checks the text it sends too",
		Run:    run,
	})
}

func run(ctx context.Context, url string, s *measure.Session) error {
	conn, err := client.Dial(ctx, url, &client.Config{Limits: client.Limits{Message: -1}})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	op := wire.Binary
	if s.Text {
		op = wire.Text
	}
	ctx = context.Background() // costs nothing per message
	var buf []byte
	for next := s.First(); err == nil; next, err = s.Next(op == wire.Text, buf) {
		if err := conn.Send(op, next); err != nil {
			return err
		}
		if op, buf, err = conn.ReceiveInto(ctx, buf[:0]); err != nil {
			return err
		}
	}
	return err
}
