// Command gws-parallel echoes with github.com/lxzan/gws, several messages of a
// connection at once.
package main

import (
	"net"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/bench/servers/internal/gwsecho"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "gws-parallel",
		Module: "github.com/lxzan/gws",
		UTF8:   true,
		Loop:   "goroutines",
		Notes:  "net/http; CheckUtf8Enabled; ParallelEnabled, a goroutine for each message, replies in any order; broadcast: Broadcaster",
		// The README, "Best Practice": ParallelEnabled.
		Serve: func(ln net.Listener, o serve.Options) error { return gwsecho.Serve(ln, o, true) },
	})
}
