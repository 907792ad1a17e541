// Command fasthttp echoes with github.com/fasthttp/websocket, the fork of
// gorilla/websocket for valyala/fasthttp.
package main

import (
	"net"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/bench/servers/internal/gorillaecho"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "fasthttp",
		Module: "github.com/fasthttp/websocket",
		Loop:   "goroutines",
		Notes: "fasthttp " + serve.Version("github.com/valyala/fasthttp") +
			"; default buffers, 4 KiB each; NextReader into a reused buffer, WriteMessage; broadcast: PreparedMessage",
		Serve: run,
	})
}

// The documentation of FastHTTPUpgrader: no sizes, so that pooled buffers are
// used, and no WriteBufferPool, which is for few writes on many connections.
func run(ln net.Listener, o serve.Options) error {
	s := &gorillaecho.Server[*websocket.PreparedMessage]{Options: o, Prepare: websocket.NewPreparedMessage}
	upgrader := websocket.FastHTTPUpgrader{EnableCompression: o.Deflate}
	h := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		// A refusal has been answered when it is returned.
		_ = upgrader.Upgrade(ctx, func(conn *websocket.Conn) { s.Serve(conn) })
	}}
	return h.Serve(ln)
}
