// Package fibersock is the entry to WebSocket (RFC 6455) in Go: packages
// [github.com/fibersock/fibersock/server] and
// [github.com/fibersock/fibersock/client], which need only the standard
// library. This package has no declarations.
//
// A chat, which sends every message to all clients:
//
//	package main
//
//	import (
//		"log"
//
//		"github.com/fibersock/fibersock/server"
//		"github.com/fibersock/fibersock/wire"
//	)
//
//	func main() {
//		chat := new(server.Server)
//		chat.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
//			if err := chat.Broadcast(op, p); err != nil {
//				log.Print(err)
//			}
//		}
//		log.Fatal(chat.ListenAndServe("localhost:8080"))
//	}
//
// A client, which sends a message and prints the reply:
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//
//		"github.com/fibersock/fibersock/client"
//		"github.com/fibersock/fibersock/wire"
//	)
//
//	func main() {
//		ctx := context.Background()
//		c, err := client.Dial(ctx, "ws://localhost:8080/", nil)
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer c.Close(wire.NormalClosure, "")
//		if err := c.SendText("Hello, 世界"); err != nil {
//			log.Fatal(err)
//		}
//		m, err := c.Receive(ctx)
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Println(m.Text())
//	}
//
// # Packages
//
//   - [github.com/fibersock/fibersock/server]: event handlers or one blocking
//     handler for each connection.
//   - [github.com/fibersock/fibersock/server/httpupgrade]: the server as an
//     http.Handler.
//   - [github.com/fibersock/fibersock/client]: Dial and a blocking connection.
//   - [github.com/fibersock/fibersock/client/sockets]: connections by name.
//   - [github.com/fibersock/fibersock/permessage]: compression (RFC 7692).
//   - [github.com/fibersock/fibersock/wstest]: connections in memory, faults
//     and scripted peers for tests.
//   - [github.com/fibersock/fibersock/endpoint],
//     [github.com/fibersock/fibersock/handshake] and
//     [github.com/fibersock/fibersock/wire]: the protocol without a socket.
//
// The command [github.com/fibersock/fibersock/cmd/fibersock] connects a
// terminal to a server, serves an echo and a chat, and judges implementations.
package fibersock
