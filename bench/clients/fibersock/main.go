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
	send := func(text bool, p []byte) error {
		if text {
			return conn.Send(wire.Text, p)
		}
		return conn.Send(wire.Binary, p)
	}
	ctx = context.Background() // costs nothing per message
	var buf []byte
	receive := func() (bool, []byte, error) {
		op, p, err := conn.ReceiveInto(ctx, buf[:0])
		buf = p
		return op == wire.Text, p, err
	}
	return measure.Blocking(s, send, receive)
}
