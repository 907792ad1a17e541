// Routes has an echo server beside the other routes of net/http:
//
//	go run ./examples/routes
//	go run ./cmd/fibersock connect ws://localhost:8080/echo # in another terminal
package main

import (
	"fmt"
	"log"
	"net/http"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	echo := &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			c.Send(op, p) // fails only if the connection has ended
		},
	}}
	http.Handle("/echo", httpupgrade.Handler(echo))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "WebSocket is at /echo")
	})
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}
