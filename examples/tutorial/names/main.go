// Names is the chat of docs/tutorial.md with names: its second step.
//
//	go run ./examples/tutorial/names
//	go run ./cmd/fibersock connect 'ws://localhost:8080/?name=ada' # in another terminal
package main

import (
	"cmp"
	"fmt"
	"log"
	"net/url"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	log.Fatal(newChat().ListenAndServe("localhost:8080"))
}

// newChat returns a server that sends each text to all clients, behind the name
// of its sender.
func newChat() *server.Server {
	chat := new(server.Server)
	say := func(format string, args ...any) {
		if err := chat.Broadcast(wire.Text, fmt.Appendf(nil, format, args...)); err != nil {
			log.Print(err)
		}
	}
	chat.Handler = server.Handler{
		Open: func(c *server.Conn) {
			query, _ := url.ParseQuery(c.Query())
			c.SetValue(cmp.Or(query.Get("name"), "somebody"))
			say("%q is here", c.Value())
		},
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			if op == wire.Text {
				say("%q: %s", c.Value(), p)
			}
		},
		Close: func(c *server.Conn, code wire.StatusCode, reason string) {
			say("%q has left", c.Value())
		},
	}
	return chat
}
