// Package coder wraps github.com/coder/websocket.
package coder

import (
	"bytes"
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"github.com/fibersock/fibersock/interop/peers"
)

// Library is coder/websocket. It does not check that text is UTF-8.
var Library = peers.Library{
	Name:    "coder",
	Title:   "coder/websocket",
	Module:  "github.com/coder/websocket",
	Serve:   serve,
	Dial:    dial,
	Prepare: func(text bool, p []byte) (peers.Prepared, error) { return prepared{text, p}, nil },
}

func compression(o peers.Options) websocket.CompressionMode {
	switch {
	case !o.Deflate:
		return websocket.CompressionDisabled
	case o.Takeover:
		return websocket.CompressionContextTakeover
	}
	return websocket.CompressionNoContextTakeover
}

func serve(ln net.Listener, o peers.Options, h peers.Handler) error {
	options := &websocket.AcceptOptions{CompressionMode: compression(o)}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if nc, err := websocket.Accept(w, r, options); err == nil {
			_ = run(context.Background(), nc, o, h) // the README, "Examples": not the request's context
		}
	}))
}

func dial(ctx context.Context, url string, o peers.Options, h peers.Handler) error {
	nc, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{CompressionMode: compression(o)})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { nc.CloseNow() })
	defer stop()
	return run(context.Background(), nc, o, h)
}

type conn struct {
	*websocket.Conn
	ctx context.Context
}

func (c *conn) Send(text bool, p []byte) error {
	if text {
		return c.Write(c.ctx, websocket.MessageText, p)
	}
	return c.Write(c.ctx, websocket.MessageBinary, p)
}

// run serves a connection until it ends. The README, "Highlights": Reader and
// Write do not allocate, unlike Read. The library answers control frames while
// it reads.
func run(ctx context.Context, nc *websocket.Conn, o peers.Options, h peers.Handler) error {
	defer nc.CloseNow()
	nc.SetReadLimit(int64(o.MaxMessage))
	c := &conn{nc, ctx}
	if err := h.Opened(c); err != nil {
		return err
	}
	defer h.Closed(c)
	var message bytes.Buffer
	for {
		messageType, r, err := nc.Reader(ctx)
		if err != nil {
			return err
		}
		message.Reset()
		if _, err := message.ReadFrom(r); err != nil {
			return err
		}
		if err := h.Received(c, messageType == websocket.MessageText, message.Bytes()); err != nil {
			return err
		}
	}
}

// prepared is a message: the library encodes it for each connection.
type prepared struct {
	text bool
	p    []byte
}

func (m prepared) SendTo(c peers.Conn) error { return c.Send(m.text, m.p) } // any goroutine may call Write
func (prepared) Release()                    {}
