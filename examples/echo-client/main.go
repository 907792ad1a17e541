// Echo-client sends a message to a WebSocket server and prints the reply:
//
//	go run ./examples/echo-server # in another terminal
//	go run ./examples/echo-client
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	ctx := context.Background()
	c, err := client.Dial(ctx, "ws://localhost:8080/", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(wire.NormalClosure, "")
	if err := c.SendText("Hello, 世界"); err != nil {
		log.Fatal(err)
	}
	m, err := c.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Text())
}
