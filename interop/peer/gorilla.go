package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

var gorilla = Peer{
	Name:    "gorilla",
	Title:   "gorilla/websocket",
	Package: "github.com/gorilla/websocket",
	Serve:   serving(serveGorilla),
	Drive:   driving(library{echo: echoToGorillaURL, receive: receiveGorilla}),
}

func serveGorilla(ln net.Listener) error {
	upgrader := websocket.Upgrader{EnableCompression: true}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			echoGorilla(conn)
		}
	}))
}

var gorillaDialer = websocket.Dialer{EnableCompression: true}

func echoToGorillaURL(ctx context.Context, url string) {
	if conn, _, err := gorillaDialer.DialContext(ctx, url, nil); err == nil {
		echoGorilla(conn)
	}
}

func receiveGorilla(ctx context.Context, url string) (string, error) {
	conn, _, err := gorillaDialer.DialContext(ctx, url, nil)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_, payload, err := conn.ReadMessage()
	return string(payload), err
}

// echoGorilla copies each message as it comes. gorilla answers control frames while reading, and leaves it to the application to check that
// a text is UTF-8.
func echoGorilla(conn *websocket.Conn) {
	defer conn.Close()
	conn.SetReadLimit(MaxMessage)
	for {
		messageType, r, err := conn.NextReader()
		if err != nil {
			return
		}
		if messageType == websocket.TextMessage {
			r = &utf8Reader{from: r}
		}
		if err := copyGorilla(conn, messageType, r); err != nil {
			if errors.Is(err, errNotUTF8) {
				invalid := websocket.FormatCloseMessage(websocket.CloseInvalidFramePayloadData, "")
				conn.WriteControl(websocket.CloseMessage, invalid, time.Now().Add(time.Second))
			}
			return
		}
	}
}

func copyGorilla(conn *websocket.Conn, messageType int, r io.Reader) error {
	w, err := conn.NextWriter(messageType)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return w.Close()
}
