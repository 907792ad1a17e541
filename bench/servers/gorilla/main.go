// Command gorilla echoes with github.com/gorilla/websocket.
package main

import (
	"net"
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/bench/servers/internal/gorillaecho"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "gorilla",
		Module: "github.com/gorilla/websocket",
		Loop:   "goroutines",
		Notes:  "net/http; buffers of the HTTP server, 4 KiB each; NextReader into a reused buffer, WriteMessage; broadcast: PreparedMessage",
		Serve:  run,
	})
}

// The documentation, "Buffers": no sizes, so that those of the HTTP server are
// used again, and no WriteBufferPool, which is for few writes on many connections.
func run(ln net.Listener, o serve.Options) error {
	s := &gorillaecho.Server[*websocket.PreparedMessage]{Options: o, Prepare: websocket.NewPreparedMessage}
	upgrader := websocket.Upgrader{EnableCompression: o.Deflate}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			s.Serve(conn)
		}
	}))
}
