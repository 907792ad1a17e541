// Command xnet echoes with golang.org/x/net/websocket.
package main

import (
	"net"
	"net/http"

	"golang.org/x/net/websocket"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

func main() {
	serve.Main(serve.Peer{
		Name:      "xnet",
		Module:    "golang.org/x/net",
		Loop:      "goroutines",
		Notes:     "net/http; a Codec; each fragment comes as a message of its own; broadcast: a loop of Send",
		NoDeflate: "the package has no permessage-deflate",
		Serve:     run,
	})
}

type server struct {
	serve.Options
	room serve.Room[*websocket.Conn]
}

// The documentation of Server: in place of Handler for clients that send no
// Origin. It has nothing to say about speed.
func run(ln net.Listener, o serve.Options) error {
	s := &server{Options: o}
	return http.Serve(ln, websocket.Server{Handler: s.serve})
}

func (s *server) serve(conn *websocket.Conn) {
	defer conn.Close()
	conn.MaxPayloadBytes = s.MaxMessage
	answer := func(m message) error { return codec.Send(conn, m) }
	if s.Broadcast {
		s.room.Enter(conn)
		defer s.room.Leave(conn)
		answer = s.broadcast
	}
	for {
		var m message
		if codec.Receive(conn, &m) != nil {
			return
		}
		serve.Work(m.payloadType == websocket.BinaryFrame, m.payload)
		if answer(m) != nil {
			return
		}
	}
}

func (s *server) broadcast(m message) error {
	for _, conn := range s.room.Members() {
		// One that is lost ends where it is read.
		_ = codec.Send(conn, m)
	}
	return nil
}

type message struct {
	payload     []byte
	payloadType byte
}

// codec keeps the type that a message came with: websocket.Message decides by the
// type of the variable.
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
