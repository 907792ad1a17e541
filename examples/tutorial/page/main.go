// Page is the chat of docs/tutorial.md with a web page: its last step.
//
//	go run ./examples/tutorial/page
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

//go:embed page.html
var page []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	chat := newChat()
	web := &http.Server{Addr: "localhost:8080", Handler: routes(chat)}
	context.AfterFunc(ctx, func() { web.Shutdown(context.Background()) })
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	bounded, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := chat.Shutdown(bounded); err != nil {
		log.Print(err) // some clients did not answer in time
	}
}

// routes returns the page and the chat.
func routes(chat *server.Server) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	mux.Handle("GET /chat", httpupgrade.Handler(chat))
	return mux
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
