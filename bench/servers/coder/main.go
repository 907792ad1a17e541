// Command coder echoes with github.com/coder/websocket.
package main

import (
	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers/coder"
)

func main() {
	serve.Main(serve.Peer{
		Name:         "coder",
		Module:       coder.Library.Module,
		Loop:         "goroutines",
		Notes:        "net/http; Reader into a reused buffer, Write, with a context that does not end; broadcast: a loop of Write",
		NoWindowBits: "the library's window has 15 bits always",
		Serve:        serve.Library(coder.Library, false),
	})
}
