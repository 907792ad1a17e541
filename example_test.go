package fibersock_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A server that echoes messages, and a client.
func Example() {
	echo := &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			c.Send(op, p) // fails only if the connection has ended
		},
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go echo.Serve(ln)
	ctx := context.Background()
	defer echo.Shutdown(ctx)

	c, err := client.Dial(ctx, "ws://"+ln.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(wire.NormalClosure, "")
	if err := c.SendText("Hello, 世界"); err != nil {
		log.Fatal(err)
	}
	m, err := c.Receive(ctx)
	fmt.Println(m.Text(), err)
	// Output: Hello, 世界 <nil>
}
