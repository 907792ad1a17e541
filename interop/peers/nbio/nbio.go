// Package nbio wraps github.com/lesismal/nbio.
package nbio

import (
	"errors"
	"net"
	"net/http"

	"github.com/lesismal/llib/std/crypto/tls"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"github.com/fibersock/fibersock/interop/peers"
)

// Library is lesismal/nbio as a server. It does not deliver empty messages. Its
// TLS is a fork of crypto/tls, and needs Options.Cert.
var Library = peers.Library{
	Name:    "nbio",
	Title:   "lesismal/nbio",
	Module:  "github.com/lesismal/nbio",
	Serve:   serve,
	Prepare: func(text bool, p []byte) (peers.Prepared, error) { return prepared{text, p}, nil },
}

// errAccept is the end of Serve: the engine has reported a failed listener.
var errAccept = errors.New("nbio: accept failed")

// The README, "Different IOMod": the non-blocking mode, in which all
// connections belong to the poller, is the one for many connections.
// ReleaseWebsocketPayload, and no limit of the frame, are the settings of the
// author's benchmark. A keepalive would be a timer for each message.
func serve(ln net.Listener, o peers.Options, h peers.Handler) error {
	logging.SetLevel(logging.LevelNone) // its output is the standard output
	upgrader := websocket.NewUpgrader()
	upgrader.KeepaliveTime = 0
	upgrader.MessageLengthLimit = o.MaxMessage
	upgrader.EnableCompression(o.Deflate)
	upgrader.OnOpen(func(c *websocket.Conn) {
		if h.Opened(conn{c}) != nil {
			c.Close()
		}
	})
	upgrader.OnClose(func(c *websocket.Conn, _ error) { h.Closed(conn{c}) })
	upgrader.OnMessage(func(c *websocket.Conn, messageType websocket.MessageType, p []byte) {
		if h.Received(conn{c}, messageType == websocket.TextMessage, p) != nil {
			c.Close()
		}
	})
	config := nbhttp.Config{
		Network:                      "tcp",
		IOMod:                        nbhttp.IOModNonBlocking,
		ReleaseWebsocketPayload:      true,
		MaxWebsocketFramePayloadSize: o.MaxMessage,
		Listen:                       func(string, string) (net.Listener, error) { return ln, nil },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = upgrader.Upgrade(w, r, nil) // the peer has received the error
		}),
	}
	addrs := []string{ln.Addr().String()}
	if o.Cert == "" {
		config.Addrs = addrs
	} else {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return err
		}
		config.AddrsTLS, config.TLSConfig = addrs, &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	engine := nbhttp.NewEngine(config)
	failed := make(chan error, 1)
	engine.OnAcceptError(func(err error) {
		select {
		case failed <- errors.Join(errAccept, err):
		default:
		}
	})
	if err := engine.Start(); err != nil {
		return err
	}
	defer engine.Stop()
	return <-failed
}

type conn struct{ *websocket.Conn }

func (c conn) Send(text bool, p []byte) error {
	if text {
		return c.WriteMessage(websocket.TextMessage, p)
	}
	return c.WriteMessage(websocket.BinaryMessage, p)
}

// prepared is a message: the library encodes it for each connection.
type prepared struct {
	text bool
	p    []byte
}

func (m prepared) SendTo(c peers.Conn) error { return c.Send(m.text, m.p) } // any goroutine may call WriteMessage
func (prepared) Release()                    {}
