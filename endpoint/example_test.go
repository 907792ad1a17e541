package endpoint_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/wire"
)

// A client and a server exchange messages in memory: each writes to the buffer
// that the other one receives from.
func Example() {
	var toServer, toClient bytes.Buffer
	client := endpoint.New(&toServer, endpoint.Config{Role: endpoint.Client})
	server := endpoint.New(&toClient, endpoint.Config{Role: endpoint.Server})

	receive := func(name string, e *endpoint.Endpoint, in *bytes.Buffer) {
		for b := in.Next(in.Len()); ; {
			ev, n := e.Receive(time.Time{}, b)
			b = b[n:]
			switch ev.Kind {
			case endpoint.KindNone:
				return
			case endpoint.KindMessage:
				fmt.Printf("%s received a %v message: %s\n", name, ev.Opcode, ev.Payload)
			case endpoint.KindPing, endpoint.KindPong:
				fmt.Printf("%s received a Ping or Pong: %s\n", name, ev.Payload)
			case endpoint.KindClose, endpoint.KindFailed:
				fmt.Printf("%s: %v\n", name, ev.Err)
				return
			}
		}
	}

	client.SendText("Hello")
	client.Ping([]byte("still there?"))
	receive("server", server, &toServer)
	server.SendText("Hello, client")
	receive("client", client, &toClient)
	client.Close(wire.NormalClosure, "done")
	receive("server", server, &toServer)
	receive("client", client, &toClient)
	fmt.Println(client.State(), server.State())
	// Output:
	// server received a text message: Hello
	// server received a Ping or Pong: still there?
	// client received a Ping or Pong: still there?
	// client received a text message: Hello, client
	// server: websocket: closed by the peer with 1000 (normal closure): "done"
	// client: websocket: closed by the peer with 1000 (normal closure)
	// closed closed
}
