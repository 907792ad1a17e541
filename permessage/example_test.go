package permessage_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"strings"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

// A server and a client compress their messages.
func Example() {
	deflate := new(permessage.Deflate)
	s := &server.Server{
		Compression: deflate,
		Handler:     server.Handler{Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) }},
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	c, err := client.Dial(context.Background(), "ws://"+ln.Addr().String(), &client.Config{Compression: deflate})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	fmt.Println(c.Compression())
	if err := c.SendText(strings.Repeat("all work and no play ", 100)); err != nil {
		log.Fatal(err)
	}
	m, err := c.Receive(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(m.Payload), "bytes received")
	sent := s.Stats().Sent
	fmt.Println(sent.DecodedBytes, "bytes sent, less than 100 on the wire:", sent.EncodedBytes < 100)
	// Output:
	// permessage-deflate; server_max_window_bits=12; client_max_window_bits=12
	// 2100 bytes received
	// 2100 bytes sent, less than 100 on the wire: true
}
