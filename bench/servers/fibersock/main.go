// Command fibersock echoes with this repository's package server.
package main

import (
	"net"

	"github.com/fibersock/fibersock/bench/internal/serve"
	"github.com/fibersock/fibersock/permessage"
	"github.com/fibersock/fibersock/server"
	"github.com/fibersock/fibersock/wire"
)

func main() {
	serve.Main(serve.Peer{
		Name:   "fibersock",
		Module: "github.com/fibersock/fibersock",
		UTF8:   true,
		Loop:   loop,
		Notes:  "Handler.Message and Send; defaults, heartbeat included; broadcast: Server.Broadcast; topics: Topics" + behind,
		Serve:  run,
	})
}

// All defaults, except for the limit of messages and the backlog: broadcasts
// must not fail because the benchmark reads slowly.
func run(ln net.Listener, o serve.Options) error {
	s := &server.Server{
		Limits:     server.Limits{Message: int64(o.MaxMessage)},
		MaxBacklog: 64 << 20,

		BatchedSends: batchedSends,
	}
	if o.Deflate {
		s.Compression = compression(o)
	}
	if o.Topics {
		s.Handler.Message = publish(new(server.Topics))
		return listen(s, ln)
	}
	s.Handler.Message = func(c *server.Conn, op wire.Opcode, p []byte) {
		serve.BlockIfAsked(op == wire.Binary, p)
		if o.Broadcast {
			_ = s.Broadcast(op, p) // a received message is valid
			return
		}
		serve.Compute(o.Work)
		_ = c.Send(op, p) // a connection that is lost is reported to the server
	}
	return listen(s, ln)
}

// compression returns package permessage's defaults, but for the mode and the
// window that o asks for.
func compression(o serve.Options) *permessage.Deflate {
	d := &permessage.Deflate{WindowBits: o.WindowBits}
	if !o.Takeover {
		d.Mode = permessage.NoContextTakeover
	}
	return d
}

// publish returns a handler that subscribes clients to the topics they name, and
// sends other messages to the subscribers of the sender's topic.
func publish(topics *server.Topics) func(c *server.Conn, op wire.Opcode, p []byte) {
	return func(c *server.Conn, op wire.Opcode, p []byte) {
		if name, ok := serve.TopicOf(op == wire.Binary, p); ok {
			c.SetValue(name)
			_ = topics.Subscribe(c, name) // a connection that is lost is reported to the server
			return
		}
		if name, ok := server.Value[string](c); ok {
			_, _ = topics.Publish(name, op, p) // a received message is valid
		}
	}
}
