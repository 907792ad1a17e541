package server_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/server/httpupgrade"
	"github.com/fibersock/fibersock/wire"
)

// The functions of guide are the code blocks of docs/server.md. No test calls
// them.
var guide = []func(*server.Server, *http.ServeMux){
	func(*server.Server, *http.ServeMux) {
		s := &server.Server{Handler: server.Handler{
			Message: func(c *server.Conn, op wire.Opcode, p []byte) {
				c.Send(op, p) // p belongs to the server when Message returns
			},
		}}
		log.Fatal(s.ListenAndServe("localhost:8080"))
	},
	func(*server.Server, *http.ServeMux) {
		chat := &server.Handler{Serve: func(c *server.Conn) {
			for m, err := range c.Messages(context.Background()) {
				if err != nil {
					return
				}
				c.SendText("you said " + m.Text())
			}
		}}
		s := &server.Server{Handlers: map[string]*server.Handler{"/chat": chat}}
		_ = s
	},
	func(s *server.Server, mux *http.ServeMux) {
		mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
			user, _, ok := r.BasicAuth()
			if !ok {
				http.Error(w, "sign in first", http.StatusUnauthorized)
				return
			}
			httpupgrade.Upgrade(s, w, r, user)
		})
	},
	func(*server.Server, *http.ServeMux) {
		ln, err := net.Listen("tcp", ":443")
		if err != nil {
			log.Fatal(err)
		}
		hs := new(http.Server)
		log.Fatal(hs.ServeTLS(server.BelowTLS(ln), "cert.pem", "key.pem"))
	},
	func(_ *server.Server, mux *http.ServeMux) {
		mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
			c, err := httpupgrade.Accept(w, r, &httpupgrade.Options{Subprotocols: []string{"chat"}})
			if err != nil {
				return // the client has an answer
			}
			defer c.CloseNow()
			for {
				m, err := c.Receive(r.Context())
				if err != nil {
					return
				}
				c.Send(m.Opcode, m.Payload)
			}
		})
	},
	func(*server.Server, *http.ServeMux) {
		upload := &server.Handler{Serve: func(c *server.Conn) {
			c.SetLimits(0, -1) // no limit on a message
			_, r, err := c.NextReader(context.Background())
			if err != nil {
				return
			}
			n, err := io.Copy(io.Discard, r)
			if err == nil {
				c.Sendf("%d bytes", n)
			}
		}}
		_ = upload
	},
	func(s *server.Server, _ *http.ServeMux) {
		m, err := server.Prepare(wire.Text, []byte("the shop opens"))
		if err != nil {
			log.Fatal(err)
		}
		s.BroadcastPrepared(m)
	},
	func(*server.Server, *http.ServeMux) {
		s := &server.Server{
			Hosts:       []string{"chat.example.com"},
			Origins:     []string{"https://www.example.com"},
			Limits:      server.Limits{Message: 64 << 10, MessagesPerSecond: 100},
			MaxConns:    100_000,
			IdleTimeout: time.Hour,
			Log:         func(err error) { slog.Error("websocket", "err", err) },
		}
		_ = s
	},
	func(s *server.Server, _ *http.ServeMux) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			log.Print(err) // some clients did not answer in time
		}
	},
}

// The code blocks of docs/server.md are those of guide, and build.
func TestGuideShowsCodeThatBuilds(t *testing.T) {
	read := func(file string) string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	source := read("guide_test.go")
	blocks := strings.Split(read("../docs/server.md"), "```go\n")[1:]
	if len(blocks) != len(guide) {
		t.Errorf("docs/server.md has %d blocks of Go, guide_test.go %d functions", len(blocks), len(guide))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```\n")
		indented := strings.ReplaceAll("\n"+strings.TrimSuffix(block, "\n"), "\n", "\n\t\t")
		if !strings.Contains(source, indented) {
			t.Errorf("not in guide_test.go:\n%s", block)
		}
	}
}
