// Package gorilla wraps github.com/gorilla/websocket.
package gorilla

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/fibersock/fibersock/interop/peers"
)

// Library is gorilla/websocket.
var Library = peers.Library{
	Name:    "gorilla",
	Title:   "gorilla/websocket",
	Module:  "github.com/gorilla/websocket",
	Serve:   serve,
	Dial:    dial,
	Prepare: Prepare(websocket.NewPreparedMessage),
}

// The documentation, "Buffers": without sizes the buffers of the HTTP server
// are reused; a WriteBufferPool is for few writes on many connections.
func serve(ln net.Listener, o peers.Options, h peers.Handler) error {
	upgrader := websocket.Upgrader{EnableCompression: o.Deflate}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r, nil); err == nil {
			_ = Run[*websocket.PreparedMessage](c, o, h) // the peer has received the error
		}
	}))
}

func dial(ctx context.Context, url string, o peers.Options, h peers.Handler) error {
	dialer := *websocket.DefaultDialer
	dialer.EnableCompression = o.Deflate
	c, _, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		return err
	}
	defer peers.CloseAfter(ctx, c)()
	return Run[*websocket.PreparedMessage](c, o, h)
}

// Conn has the methods of a connection that Run calls. The fork
// github.com/fasthttp/websocket has the same. P is its *PreparedMessage.
type Conn[P any] interface {
	SetReadLimit(bytes int64)
	NextReader() (messageType int, r io.Reader, err error)
	WriteMessage(messageType int, p []byte) error
	WriteControl(messageType int, p []byte, deadline time.Time) error
	WritePreparedMessage(P) error
	Close() error
}

type conn[P any] struct {
	Conn[P]
	mu sync.Mutex // held while a prepared message is written: the library allows one writer
}

func (c *conn[P]) Send(text bool, p []byte) error {
	if text {
		return c.WriteMessage(websocket.TextMessage, p)
	}
	return c.WriteMessage(websocket.BinaryMessage, p)
}

// Run serves a connection until it ends, and closes it.
func Run[P any](nc Conn[P], o peers.Options, h peers.Handler) error {
	defer nc.Close()
	nc.SetReadLimit(int64(o.MaxMessage))
	c := &conn[P]{Conn: nc}
	if err := h.Opened(c); err != nil {
		return err
	}
	defer h.Closed(c)
	err := c.receive(o, h)
	if errors.Is(err, errNotUTF8) {
		reason := websocket.FormatCloseMessage(websocket.CloseInvalidFramePayloadData, "")
		err = errors.Join(err, nc.WriteControl(websocket.CloseMessage, reason, time.Now().Add(time.Second)))
	}
	return err
}

// receive delivers messages. The documentation, "Overview": NextReader reads
// into a buffer of the application, where ReadMessage allocates one.
func (c *conn[P]) receive(o peers.Options, h peers.Handler) error {
	var message bytes.Buffer
	for {
		messageType, r, err := c.NextReader()
		if err != nil {
			return err
		}
		text := messageType == websocket.TextMessage
		if text && o.CheckText {
			r = &utf8Reader{from: r}
		}
		message.Reset()
		if _, err := message.ReadFrom(r); err != nil {
			return err
		}
		if err := h.Received(c, text, message.Bytes()); err != nil {
			return err
		}
	}
}

type prepared[P any] struct{ message P }

// Prepare returns a Library.Prepare for the library's NewPreparedMessage.
func Prepare[P any](newPrepared func(messageType int, p []byte) (P, error)) func(text bool, p []byte) (peers.Prepared, error) {
	return func(text bool, p []byte) (peers.Prepared, error) {
		messageType := websocket.BinaryMessage
		if text {
			messageType = websocket.TextMessage
		}
		m, err := newPrepared(messageType, p)
		return prepared[P]{m}, err
	}
}

func (p prepared[P]) SendTo(to peers.Conn) error {
	c := to.(*conn[P])
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.WritePreparedMessage(p.message)
}

func (prepared[P]) Release() {}
