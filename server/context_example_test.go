package server_test

import (
	"context"
	"fmt"

	"github.com/fibersock/fibersock/client"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
	"github.com/fibersock/fibersock/wstest"
)

// Work for a client ends with its connection.
func ExampleConn_Context() {
	ended := make(chan error)
	ln := wstest.Listen(nil)
	s := &server.Server{Handler: server.Handler{Serve: func(c *server.Conn) {
		ctx := c.Context() // for a query of a database, for example
		<-ctx.Done()
		ended <- context.Cause(ctx)
	}}}
	go s.Serve(ln)
	defer s.Shutdown(context.Background())

	c, err := client.Dial(context.Background(), "ws://any.example/", &client.Config{DialContext: client.DialFunc(ln.DialContext)})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Close(wire.NormalClosure, "not interested any more")
	fmt.Println(<-ended)
	// Output: websocket: closed by the peer with 1000 (normal closure): "not interested any more"
}

// Packages that know nothing of each other store values with one connection.
func ExampleKey() {
	var user server.Key[string] // a variable of a package
	handler := server.Handler{
		Open: func(c *server.Conn) { user.Set(c, "ann") },
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			if name, ok := user.Get(c); ok {
				c.Sendf("%s: %s", name, p)
			}
		},
	}
	_ = handler
}

func ExampleValue() {
	type user struct{ Name string }
	handler := server.Handler{
		Open: func(c *server.Conn) { c.SetValue(&user{Name: "ann"}) }, // or the value of httpupgrade.Upgrade
		Message: func(c *server.Conn, op wire.Opcode, p []byte) {
			if u, ok := server.Value[*user](c); ok {
				c.Sendf("%s: %s", u.Name, p)
			}
		},
	}
	_ = handler
}
