// Echo-server sends every message back to its sender:
//
//	go run ./examples/echo-server
package main

import (
	"log"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	s := &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			c.Send(op, p) // fails only if the connection has ended
		},
	}}
	log.Fatal(s.ListenAndServe("localhost:8080"))
}
