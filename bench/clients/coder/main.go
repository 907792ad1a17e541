// Command coder measures the client of github.com/coder/websocket.
package main

import (
	"bytes"
	"context"

	"github.com/coder/websocket"

	"github.com/fibersock/fibersock/bench/clients/internal/measure"
)

func main() {
	measure.Main(measure.Client{
		Name:   "coder",
		Module: "github.com/coder/websocket",
		Notes:  "Reader into a reused buffer, Write, with a context that does not end",
		Run:    run,
	})
}

// The README, "Highlights": reads and writes that do not allocate, which are
// Reader and Write, not Read.
func run(ctx context.Context, url string, s *measure.Session) error {
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	ctx = context.Background() // costs nothing per message
	send := func(text bool, p []byte) error {
		if text {
			return conn.Write(ctx, websocket.MessageText, p)
		}
		return conn.Write(ctx, websocket.MessageBinary, p)
	}
	var message bytes.Buffer
	receive := func() (bool, []byte, error) {
		messageType, r, err := conn.Reader(ctx)
		if err != nil {
			return false, nil, err
		}
		message.Reset()
		_, err = message.ReadFrom(r)
		return messageType == websocket.MessageText, message.Bytes(), err
	}
	return measure.Blocking(s, send, receive)
}
