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

// Upgrade is for http.Handlers that authenticate the client.
func ExampleUpgrade() {
	s := &server.Server{Handler: server.Handler{
		Open: func(c *server.Conn) { c.Sendf("hello, %v", c.Value()) },
	}}
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, ok := r.BasicAuth()
		if !ok {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		httpupgrade.Upgrade(s, w, r, user) // returns at once
	}))
	defer hs.Close()

	ctx := context.Background()
	defer s.Shutdown(ctx)
	c, err := client.Dial(ctx, strings.Replace(hs.URL, "http://", "ws://ann:secret@", 1), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(wire.NormalClosure, "")
	m, err := c.Receive(ctx)
	fmt.Println(m.Text(), err)
	// Output: hello, ann <nil>
}

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
	defer c.Close(wire.NormalClosure, "")
	c.SendText("hello")
	m, err := c.Receive(ctx)
	fmt.Println(m.Text(), err)
	// Output: hello <nil>
}

// Accept is for code that receives by itself, such as a handler written for
// gorilla/websocket or coder/websocket.
func ExampleAccept() {
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := httpupgrade.Accept(w, r, &httpupgrade.Options{
			Subprotocols: []string{"chat"},
			Header:       http.Header{"X-Room": {"1"}},
		})
		if err != nil {
			return // the client has an answer
		}
		defer c.CloseNow()
		for m, err := range c.Messages(r.Context()) {
			if err != nil {
				log.Print(err)
				return
			}
			c.Sendf("%s, %s", c.Subprotocol(), m.Text())
		}
	}))
	defer hs.Close()

	ctx := context.Background()
	c, err := client.Dial(ctx, strings.Replace(hs.URL, "http", "ws", 1), &client.Config{Subprotocols: []string{"chat"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(wire.NormalClosure, "")
	c.SendText("hello")
	m, err := c.Receive(ctx)
	fmt.Println(m.Text(), err)
	// Output: chat, hello <nil>
}
