package peer

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

var coder = Peer{
	Name:    "coder",
	Title:   "coder/websocket",
	Package: "github.com/coder/websocket",
	Serve:   serving(serveCoder),
	Drive:   driving(library{echo: echoToCoderURL, receive: receiveCoder}),
}

func serveCoder(ln net.Listener) error {
	options := &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, options); err == nil {
			echoCoder(r.Context(), conn)
		}
	}))
}

func dialCoder(ctx context.Context, url string) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	return conn, err
}

func echoToCoderURL(ctx context.Context, url string) {
	if conn, err := dialCoder(ctx, url); err == nil {
		echoCoder(ctx, conn)
	}
}

func receiveCoder(ctx context.Context, url string) (string, error) {
	conn, err := dialCoder(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.CloseNow()
	_, payload, err := conn.Read(ctx)
	return string(payload), err
}

// echoCoder copies each message as it comes. coder answers control frames while reading.
func echoCoder(ctx context.Context, conn *websocket.Conn) {
	defer conn.CloseNow()
	conn.SetReadLimit(MaxMessage)
	for copyCoder(ctx, conn) == nil {
	}
}

func copyCoder(ctx context.Context, conn *websocket.Conn) error {
	messageType, r, err := conn.Reader(ctx)
	if err != nil {
		return err
	}
	w, err := conn.Writer(ctx, messageType)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return w.Close()
}
