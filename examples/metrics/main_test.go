package main

import (
	"context"
	"encoding/json"
	"expvar"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// talk serves a client that sends two messages and closes, and shuts s down.
func talk(s *server.Server) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(ln)
	ctx := context.Background()
	c, err := client.Dial(ctx, "ws://"+ln.Addr().String()+"/chat", nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"Hello", "goodbye"} {
		c.SendText(text)
		c.Receive(ctx)
	}
	c.Close(wire.NormalClosure, "that is all")
	s.Shutdown(ctx)
}

// The counters of a server, as JSON for a monitoring system.
func Example_expvar() {
	s := newServer(slog.New(slog.DiscardHandler))
	v := expvar.Func(func() any { return s.Stats() }) // a program publishes it
	talk(s)

	var seen struct {
		Accepted, Open int
		Ended          struct{ ByClient int }
		Received, Sent struct{ Messages, Bytes int }
	}
	json.Unmarshal([]byte(v.String()), &seen)
	fmt.Println("connections:", seen.Accepted, "accepted,", seen.Open, "open,", seen.Ended.ByClient, "closed by the client")
	fmt.Println("messages:   ", seen.Received.Messages, "received,", seen.Sent.Messages, "sent")
	fmt.Println("bytes:      ", seen.Received.Bytes, "received,", seen.Sent.Bytes, "sent")
	// Output:
	// connections: 1 accepted, 0 open, 1 closed by the client
	// messages:    2 received, 2 sent
	// bytes:       12 received, 12 sent
}

// The end of each connection, in the log.
func Example_slog() {
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	talk(newServer(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))))
	// Output:
	// level=INFO msg="connection closed" path=/chat code=1000 reason="that is all"
}
