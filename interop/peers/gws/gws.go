// Package gws wraps github.com/lxzan/gws.
package gws

import (
	"context"
	"net"
	"net/http"

	"github.com/lxzan/gws"

	"github.com/fibersock/fibersock/interop/peers"
)

// Library is lxzan/gws, with its check of UTF-8.
var Library = peers.Library{
	Name:   "gws",
	Title:  "lxzan/gws",
	Module: "github.com/lxzan/gws",
	Serve:  serve,
	Dial:   dial,
	Prepare: func(text bool, p []byte) (peers.Prepared, error) {
		return prepared{gws.NewBroadcaster(opcode(text), p)}, nil
	},
}

func opcode(text bool) gws.Opcode {
	if text {
		return gws.OpcodeText
	}
	return gws.OpcodeBinary
}

func compression(o peers.Options) gws.PermessageDeflate {
	return gws.PermessageDeflate{
		Enabled:               o.Deflate,
		ServerContextTakeover: o.Takeover,
		ClientContextTakeover: o.Takeover,
		ServerMaxWindowBits:   o.WindowBits,
		ClientMaxWindowBits:   o.WindowBits,
	}
}

// The README, "Best Practice": Recovery, and ReadLoop on its own goroutine,
// which frees the request. "Parallel": only for handlers that block.
func serve(ln net.Listener, o peers.Options, h peers.Handler) error {
	upgrader := gws.NewUpgrader(&events{handler: h}, &gws.ServerOption{
		ParallelEnabled:     o.Parallel,
		Recovery:            gws.Recovery,
		PermessageDeflate:   compression(o),
		CheckUtf8Enabled:    true,
		ReadMaxPayloadSize:  o.MaxMessage,
		WriteMaxPayloadSize: o.MaxMessage,
	})
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}))
}

// The README, "Proxy": ReadLoop on the goroutine that has nothing else to do.
func dial(ctx context.Context, url string, o peers.Options, h peers.Handler) error {
	e := &events{handler: h, err: new(error)}
	c, _, err := gws.NewClient(e, &gws.ClientOption{
		Addr:                url,
		PermessageDeflate:   compression(o),
		CheckUtf8Enabled:    true,
		ReadMaxPayloadSize:  o.MaxMessage,
		WriteMaxPayloadSize: o.MaxMessage,
	})
	if err != nil {
		return err
	}
	defer peers.CloseAfter(ctx, c.NetConn())()
	c.ReadLoop()
	return *e.err
}

type conn struct{ *gws.Conn }

func (c conn) Send(text bool, p []byte) error { return c.WriteMessage(opcode(text), p) }

// events passes the events of a server's connections, or of one of a client's,
// to a handler.
type events struct {
	handler peers.Handler
	err     *error // why a client's connection ended; nil for a server
}

// failed closes a connection whose handler has returned an error.
func (e *events) failed(c *gws.Conn, err error) {
	if e.err != nil && *e.err == nil {
		*e.err = err
	}
	c.NetConn().Close()
}

func (e *events) OnOpen(c *gws.Conn) {
	if err := e.handler.Opened(conn{c}); err != nil {
		e.failed(c, err)
	}
}

func (e *events) OnClose(c *gws.Conn, err error) {
	if e.err != nil && *e.err == nil {
		*e.err = err
	}
	e.handler.Closed(conn{c})
}

// OnPing answers with the Ping's payload; that of gws.BuiltinEventHandler is
// empty.
func (*events) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }
func (*events) OnPong(*gws.Conn, []byte)           {}

func (e *events) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if err := e.handler.Received(conn{c}, m.Opcode == gws.OpcodeText, m.Bytes()); err != nil {
		e.failed(c, err)
	}
}

type prepared struct{ *gws.Broadcaster }

func (p prepared) SendTo(c peers.Conn) error { return p.Broadcast(c.(conn).Conn) }
func (p prepared) Release()                  { _ = p.Close() }
