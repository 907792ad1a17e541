package httpupgrade_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

func ExampleHandler() {
	s := &server.Server{Handler: server.Handler{
		Message: func(c *server.Conn, op wire.Opcode, p []byte) { c.Send(op, p) },
	}}
	mux := http.NewServeMux()
	mux.Handle("/ws", httpupgrade.Handler(s))
	hs := httptest.NewServer(mux) // or http.ListenAndServe
	defer hs.Close()

	ctx := context.Background()
	defer s.Shutdown(ctx) // hs does not know the connections of s
	c, err := client.Dial(ctx, strings.Replace(hs.URL, "http", "ws", 1)+"/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx, wire.NormalClosure, "")
	c.SendText("hello")
	m, err := c.Receive(ctx)
	fmt.Println(m.Text(), err)
	// Output: hello <nil>
}
