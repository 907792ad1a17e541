// Command gorilla echoes with github.com/gorilla/websocket.
package main

import (
	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers/gorilla"
)

func main() {
	serve.Main(serve.Peer{
		Name:         "gorilla",
		Module:       gorilla.Library.Module,
		Loop:         "goroutines",
		Notes:        "net/http; buffers of the HTTP server, 4 KiB each; NextReader into a reused buffer, WriteMessage; broadcast: PreparedMessage",
		NoTakeover:   "the library has no context takeover",
		NoWindowBits: "the library's window has 15 bits always",
		Serve:        serve.Library(gorilla.Library, false),
	})
}
