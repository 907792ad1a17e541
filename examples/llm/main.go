// Llm streams the answers of a language model to a page, token by token. The
// page can stop an answer, and continues it after a lost connection: the answer
// belongs to a session, not to a connection. The model is a parrot.
//
//	go run ./examples/llm
package main

import (
	"context"
	_ "embed"
	"flag"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("addr", "localhost:8080", "address")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%v/", ln.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	mux.Handle("GET /session", httpupgrade.Handler(newServer(&sessions{model: parrot})))
	log.Fatal(http.Serve(ln, mux))
}

// A model calls emit with each token of its answer, until ctx ends.
type model func(ctx context.Context, prompt string, emit func(token string)) error

// parrot repeats the prompt.
func parrot(ctx context.Context, prompt string, emit func(token string)) error {
	for _, word := range strings.Fields(prompt) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
			emit(word + " ")
		}
	}
	return nil
}

// An opening is the first message of a client.
type opening struct {
	Session string `json:"session"` // "" for a new one
	After   int    `json:"after"`   // the number of the last event that the client has
}

// A command is each further message.
type command struct {
	Prompt string `json:"prompt"`
	Cancel bool   `json:"cancel"`
}

// newServer returns a server with a goroutine for each connection, which reads
// commands, and another one, which writes events.
func newServer(all *sessions) *server.Server {
	return &server.Server{
		Limits: server.Limits{Message: 64 << 10},
		Handler: server.Handler{Serve: func(c *server.Conn) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var first opening
			if err := c.ReceiveJSON(ctx, &first); err != nil {
				c.Close(wire.UnsupportedData, "the first message is no opening")
				return
			}
			s := all.enter(first.Session)
			if s == nil {
				c.Close(4004, "there is no such session, or there are too many")
				return
			}
			defer all.leave(s)
			if err := c.SendJSON(event{Kind: "session", Text: s.id}); err != nil {
				return
			}
			go stream(ctx, c, s, first.After)
			for {
				var next command
				if err := c.ReceiveJSON(ctx, &next); err != nil {
					c.Close(wire.UnsupportedData, "the message is no command") // without effect if the connection has ended
					return
				}
				if next.Cancel {
					s.stop()
				}
				if next.Prompt != "" {
					s.ask(all.model, next.Prompt)
				}
			}
		}},
	}
}

// stream sends the events of a session behind a number, and then new ones. Send
// waits for a client that reads slowly; the model does not.
func stream(ctx context.Context, c *server.Conn, s *session, after int) {
	for {
		events, changed := s.since(after)
		for _, e := range events {
			if err := c.SendJSON(e); err != nil {
				return
			}
			after = e.Number
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
