package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/fibersock/fibersock/client/sockets"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

func ExampleSet() {
	// A server that echoes messages.
	echo := &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { _ = c.Send(op, p) },
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go echo.Serve(ln)
	ctx := context.Background()
	defer echo.Shutdown(ctx)

	var set sockets.Set
	defer set.CloseAll(ctx)
	info, err := set.Connect(ctx, "quotes", "ws://"+ln.Addr().String()+"/quotes", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.Name, info.Connected)

	for _, v := range []any{"subscribe", map[string]any{"symbol": "ACME"}} {
		if err := set.Send("quotes", v); err != nil {
			fmt.Println(err)
		}
		m, err := set.Receive("quotes", time.Minute)
		if err != nil {
			fmt.Println(err)
		}
		fmt.Println(m.Text())
	}

	history, _ := set.Messages("quotes", 0)
	fmt.Println(len(history), "messages in the history")

	if err := set.Close("quotes"); err != nil {
		fmt.Println(err)
	}
	err = set.Send("quotes", "anybody there?")
	fmt.Println(err, errors.Is(err, sockets.ErrNotFound))
	// Output:
	// quotes true
	// subscribe
	// {"symbol":"ACME"}
	// 2 messages in the history
	// websocket: connection "quotes" not found true
}
