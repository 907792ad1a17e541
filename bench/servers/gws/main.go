// Command gws echoes with github.com/lxzan/gws, one message of a connection after
// the other.
package main

import (
	"net"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/bench/servers/internal/gwsecho"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "gws",
		Module: "github.com/lxzan/gws",
		UTF8:   true,
		Loop:   "goroutines",
		Notes:  "net/http; CheckUtf8Enabled; not parallel; broadcast: Broadcaster",
		// As in the README's echo server: what does not block needs no ParallelEnabled.
		Serve: func(ln net.Listener, o serve.Options) error { return gwsecho.Serve(ln, o, false) },
	})
}
