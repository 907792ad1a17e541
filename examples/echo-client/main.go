// Echo-client sends a message to a WebSocket server and prints the reply:
//
//	go run ./examples/echo-client ws://localhost:8080/
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	ctx := context.Background()
	c, err := client.Dial(ctx, os.Args[1], nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(wire.NormalClosure, "")
	c.SendText("Hello, 世界")
	m, err := c.Receive(ctx)
	fmt.Println(m.Text(), err)
}
