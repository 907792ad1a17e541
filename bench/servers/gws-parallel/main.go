// Command gws-parallel echoes with github.com/lxzan/gws and its ParallelEnabled
// (the README, "Best Practice"): up to eight messages of a connection at a
// time.
package main

import (
	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers/gws"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "gws-parallel",
		Module: gws.Library.Module,
		UTF8:   true,
		Loop:   "goroutines",
		Notes:  "net/http; CheckUtf8Enabled; ParallelEnabled, a goroutine for each message, replies in any order; broadcast: Broadcaster",
		Serve:  serve.Library(gws.Library, true),
	})
}
