// Chat sends every message to all clients:
//
//	go run ./examples/chat
//	go run ./cmd/fibersock connect ws://localhost:8080/ # in some other terminals
package main

import (
	"log"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	chat := new(server.Server)
	chat.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
		if err := chat.Broadcast(op, p); err != nil {
			log.Print(err)
		}
	}
	log.Fatal(chat.ListenAndServe("localhost:8080"))
}
