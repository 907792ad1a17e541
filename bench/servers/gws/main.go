// Command gws echoes with github.com/lxzan/gws, one message of a connection at
// a time, as in the README's echo server.
package main

import (
	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers/gws"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "gws",
		Module: gws.Library.Module,
		UTF8:   true,
		Loop:   "goroutines",
		Notes:  "net/http; CheckUtf8Enabled; not parallel; broadcast: Broadcaster",
		Serve:  serve.Library(gws.Library, false),
	})
}
