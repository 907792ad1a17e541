package peer

import (
	"context"
	"net"
	"net/http"

	"golang.org/x/net/websocket"
)

var xnet = Peer{
	Name:    "xnet",
	Title:   "x/net/websocket",
	Package: "golang.org/x/net",
	Serve:   serving(serveXNet),
	Drive:   driving(library{echo: echoToXNetURL, receive: receiveXNet}),
}

// serveXNet uses websocket.Server, not websocket.Handler, because that wants an Origin of every client.
func serveXNet(ln net.Listener) error {
	return http.Serve(ln, websocket.Server{Handler: echoXNet})
}

func dialXNet(ctx context.Context, url string) (*websocket.Conn, error) {
	config, err := websocket.NewConfig(url, "http://localhost")
	if err != nil {
		return nil, err
	}
	return config.DialContext(ctx)
}

func echoToXNetURL(ctx context.Context, url string) {
	if conn, err := dialXNet(ctx, url); err == nil {
		over := context.AfterFunc(ctx, func() { conn.Close() })
		defer over()
		echoXNet(conn)
	}
}

func receiveXNet(ctx context.Context, url string) (string, error) {
	conn, err := dialXNet(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	var m xnetMessage
	err = xnetCodec.Receive(conn, &m)
	return string(m.payload), err
}

// echoXNet reads and writes with a codec of its own: the package's codecs decide text or binary by the type of the variable, not by what came.
// It closes in either role, because only that sends a Close frame.
func echoXNet(conn *websocket.Conn) {
	defer conn.Close()
	conn.MaxPayloadBytes = MaxMessage
	for {
		var m xnetMessage
		if xnetCodec.Receive(conn, &m) != nil || xnetCodec.Send(conn, m) != nil {
			return
		}
	}
}

type xnetMessage struct {
	payload     []byte
	payloadType byte
}

var xnetCodec = websocket.Codec{
	Marshal: func(v any) ([]byte, byte, error) {
		m := v.(xnetMessage)
		return m.payload, m.payloadType, nil
	},
	Unmarshal: func(payload []byte, payloadType byte, v any) error {
		*v.(*xnetMessage) = xnetMessage{payload, payloadType}
		return nil
	},
}
