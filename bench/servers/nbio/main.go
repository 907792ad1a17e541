// Command nbio echoes with github.com/lesismal/nbio, whose pollers own all
// connections.
package main

import (
	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers/nbio"
)

func main() {
	serve.Main(serve.Peer{
		Name:         "nbio",
		Module:       nbio.Library.Module,
		UTF8:         true,
		Loop:         "epoll",
		Notes:        "nbhttp, IOModNonBlocking, ReleaseWebsocketPayload, no keepalive; handlers on its pool of goroutines; TLS: its fork of crypto/tls; broadcast: a loop of WriteMessage",
		OwnTLS:       true,
		NoTakeover:   "the library has no context takeover",
		NoWindowBits: "the library's window has 15 bits always",
		Serve:        serve.Library(nbio.Library, false),
	})
}
