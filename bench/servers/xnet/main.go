// Command xnet echoes with golang.org/x/net/websocket.
package main

import (
	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers/xnet"
)

func main() {
	serve.Main(serve.Peer{
		Name:      "xnet",
		Module:    xnet.Library.Module,
		Loop:      "goroutines",
		Notes:     "net/http; a Codec; each fragment comes as a message of its own; broadcast: a loop of Send",
		NoDeflate: "the package has no permessage-deflate",
		Serve:     serve.Library(xnet.Library, false),
	})
}
