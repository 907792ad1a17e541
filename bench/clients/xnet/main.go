// Command xnet measures the client of golang.org/x/net/websocket.
package main

import (
	"context"
	neturl "net/url"
	"strings"

	"golang.org/x/net/websocket"

	"github.com/fibersock/fibersock/bench/clients/internal/measure"
)

func main() {
	measure.Main(measure.Client{
		Name:   "xnet",
		Module: "golang.org/x/net",
		Notes:  "a Codec",
		Run:    run,
	})
}

// The documentation has nothing to say about speed.
func run(ctx context.Context, url string, s *measure.Session) error {
	config, err := websocket.NewConfig(url, url)
	if err != nil {
		return err
	}
	// The package sends an Origin, and servers refuse one that is not their own.
	scheme := strings.Replace(config.Location.Scheme, "ws", "http", 1)
	config.Origin = &neturl.URL{Scheme: scheme, Host: config.Location.Host}
	conn, err := config.DialContext(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	send := func(text bool, p []byte) error {
		if text {
			return codec.Send(conn, message{p, websocket.TextFrame})
		}
		return codec.Send(conn, message{p, websocket.BinaryFrame})
	}
	receive := func() (bool, []byte, error) {
		var m message
		err := codec.Receive(conn, &m)
		return m.payloadType == websocket.TextFrame, m.payload, err
	}
	return measure.Blocking(s, send, receive)
}

type message struct {
	payload     []byte
	payloadType byte
}

// codec tells the type that a message came with, and sends bytes as text:
// websocket.Message decides by the type of the variable.
var codec = websocket.Codec{
	Marshal: func(v any) ([]byte, byte, error) {
		m := v.(message)
		return m.payload, m.payloadType, nil
	},
	Unmarshal: func(payload []byte, payloadType byte, v any) error {
		*v.(*message) = message{payload, payloadType}
		return nil
	},
}
