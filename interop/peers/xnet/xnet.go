// Package xnet wraps golang.org/x/net/websocket.
package xnet

import (
	"context"
	"net"
	"net/http"
	neturl "net/url"
	"strings"

	"golang.org/x/net/websocket"

	"github.com/fibersock/fibersock/interop/peers"
)

// Library is x/net/websocket. It has no compression, and delivers each fragment
// as a message. Its documentation has no advice on speed.
var Library = peers.Library{
	Name:    "xnet",
	Title:   "x/net/websocket",
	Module:  "golang.org/x/net",
	Serve:   serve,
	Dial:    dial,
	Prepare: func(text bool, p []byte) (peers.Prepared, error) { return prepared(messageOf(text, p)), nil },
}

// The documentation: Server, not Handler, for clients that send no Origin.
func serve(ln net.Listener, o peers.Options, h peers.Handler) error {
	return http.Serve(ln, websocket.Server{Handler: func(c *websocket.Conn) { _ = run(c, o, h) }})
}

// dial sends the Origin of the server itself, because servers refuse another
// one.
func dial(ctx context.Context, url string, o peers.Options, h peers.Handler) error {
	config, err := websocket.NewConfig(url, url)
	if err != nil {
		return err
	}
	scheme := strings.Replace(config.Location.Scheme, "ws", "http", 1)
	config.Origin = &neturl.URL{Scheme: scheme, Host: config.Location.Host}
	c, err := config.DialContext(ctx)
	if err != nil {
		return err
	}
	defer peers.CloseAfter(ctx, c)()
	return run(c, o, h)
}

type conn struct{ *websocket.Conn }

func (c conn) Send(text bool, p []byte) error { return codec.Send(c.Conn, messageOf(text, p)) }

// run serves a connection until it ends. Close sends the Close frame, in both
// roles.
func run(nc *websocket.Conn, o peers.Options, h peers.Handler) error {
	defer nc.Close()
	nc.MaxPayloadBytes = o.MaxMessage
	c := conn{nc}
	if err := h.Opened(c); err != nil {
		return err
	}
	defer h.Closed(c)
	for {
		var m message
		if err := codec.Receive(nc, &m); err != nil {
			return err
		}
		if err := h.Received(c, m.payloadType == websocket.TextFrame, m.payload); err != nil {
			return err
		}
	}
}

type message struct {
	payload     []byte
	payloadType byte
}

func messageOf(text bool, p []byte) message {
	if text {
		return message{p, websocket.TextFrame}
	}
	return message{p, websocket.BinaryFrame}
}

// codec keeps the type of a message. The package's codecs derive it from the
// type of the variable.
var codec = websocket.Codec{
	Marshal: func(v any) ([]byte, byte, error) {
		m := v.(message)
		return m.payload, m.payloadType, nil
	},
	Unmarshal: func(payload []byte, payloadType byte, v any) error {
		*v.(*message) = message{payload, payloadType}
		return nil
	},
}

type prepared message

func (m prepared) SendTo(c peers.Conn) error { return codec.Send(c.(conn).Conn, message(m)) }
func (prepared) Release()                    {}
