// Command fasthttp echoes with github.com/fasthttp/websocket, the fork of
// gorilla/websocket for valyala/fasthttp.
package main

import (
	"net"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/interop/peers"
	"github.com/fibersock/fibersock/interop/peers/gorilla"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "fasthttp",
		Module: "github.com/fasthttp/websocket",
		Loop:   "goroutines",
		Notes: "fasthttp " + serve.Version("github.com/valyala/fasthttp") +
			"; default buffers, 4 KiB each; NextReader into a reused buffer, WriteMessage; broadcast: PreparedMessage",
		NoTakeover:   "the library has no context takeover",
		NoWindowBits: "the library's window has 15 bits always",
		Serve:        serve.Library(peers.Library{Serve: run, Prepare: gorilla.Prepare(websocket.NewPreparedMessage)}, false),
	})
}

// The documentation of FastHTTPUpgrader: without sizes, pooled buffers are
// used; a WriteBufferPool is for few writes on many connections.
func run(ln net.Listener, o peers.Options, h peers.Handler) error {
	upgrader := websocket.FastHTTPUpgrader{EnableCompression: o.Deflate}
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		// A refusal has been answered when it is returned.
		_ = upgrader.Upgrade(ctx, func(c *websocket.Conn) { _ = gorilla.Run[*websocket.PreparedMessage](c, o, h) })
	}}
	return s.Serve(ln)
}
