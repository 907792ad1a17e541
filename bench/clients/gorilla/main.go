// Command gorilla measures the client of github.com/gorilla/websocket.
package main

import (
	"bytes"
	"context"

	"github.com/gorilla/websocket"

	"github.com/fibersock/fibersock/bench/clients/internal/measure"
)

func main() {
	measure.Main(measure.Client{
		Name:   "gorilla",
		Module: "github.com/gorilla/websocket",
		Notes:  "NextReader into a reused buffer, WriteMessage",
		Run:    run,
	})
}

// The documentation, "Overview": NextReader with a reader of one's own reads
// without ReadMessage's allocation. The buffers are the default, 4 KiB each.
func run(ctx context.Context, url string, s *measure.Session) error {
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, url, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	send := func(text bool, p []byte) error {
		if text {
			return conn.WriteMessage(websocket.TextMessage, p)
		}
		return conn.WriteMessage(websocket.BinaryMessage, p)
	}
	var message bytes.Buffer
	receive := func() (bool, []byte, error) {
		messageType, r, err := conn.NextReader()
		if err != nil {
			return false, nil, err
		}
		message.Reset()
		_, err = message.ReadFrom(r)
		return messageType == websocket.TextMessage, message.Bytes(), err
	}
	return measure.Blocking(s, send, receive)
}
