// Command coder echoes with github.com/coder/websocket.
package main

import (
	"bytes"
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "coder",
		Module: "github.com/coder/websocket",
		Loop:   "goroutines",
		Notes:  "net/http; Reader into a reused buffer, Write, with a context that does not end; broadcast: a loop of Write",
		Serve:  run,
	})
}

type server struct {
	serve.Options
	accept websocket.AcceptOptions
	room   serve.Room[*websocket.Conn]
}

func run(ln net.Listener, o serve.Options) error {
	s := &server{Options: o}
	if o.Deflate {
		s.accept.CompressionMode = websocket.CompressionNoContextTakeover
	}
	return http.Serve(ln, s)
}

// The README, "Examples": not the request's context; "Highlights": reads and
// writes that do not allocate, which are Reader and Write, not Read.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &s.accept)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(int64(s.MaxMessage))
	answer := conn.Write
	if s.Broadcast {
		s.room.Enter(conn)
		defer s.room.Leave(conn)
		answer = s.broadcast
	}
	echo(context.Background(), conn, answer)
}

// echo calls answer with each message.
func echo(ctx context.Context, conn *websocket.Conn, answer func(context.Context, websocket.MessageType, []byte) error) {
	var message bytes.Buffer
	for {
		messageType, r, err := conn.Reader(ctx)
		if err != nil {
			return
		}
		message.Reset()
		if _, err := message.ReadFrom(r); err != nil {
			return
		}
		serve.Work(messageType == websocket.MessageBinary, message.Bytes())
		if answer(ctx, messageType, message.Bytes()) != nil {
			return
		}
	}
}

func (s *server) broadcast(ctx context.Context, messageType websocket.MessageType, p []byte) error {
	for _, conn := range s.room.Members() {
		// One that is lost ends where it is read.
		_ = conn.Write(ctx, messageType, p)
	}
	return nil
}
