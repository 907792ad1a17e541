package differential

import (
	"bufio"
	"errors"
	"net"
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/fibersock/fibersock/interop/peers/gorilla"
)

// Gorilla returns the outcome of gorilla/websocket.
func Gorilla(stream []byte) (o Outcome) {
	o.Err = gorilla.Run[*websocket.PreparedMessage](gorillaConn(stream), options, o.collect())
	var closed *websocket.CloseError
	switch {
	case errors.As(o.Err, &closed) && closed.Code == websocket.CloseAbnormalClosure, ofTransport(o.Err):
		o.End = Lost // gorilla reports the end of the transport as a Close with 1006
	case errors.As(o.Err, &closed):
		o.End, o.Code = Closed, closed.Code
	default:
		o.End = Failed
	}
	return o
}

// gorillaConn does the opening handshake.
func gorillaConn(stream []byte) *websocket.Conn {
	r, _ := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	upgrader := websocket.Upgrader{ReadBufferSize: 4 << 10, WriteBufferSize: 4 << 10}
	c, err := upgrader.Upgrade(hijacker{connection(stream)}, r, nil)
	if err != nil {
		panic(err) // the request above is a good one
	}
	return c
}

// hijacker is a response writer that hands out its connection.
type hijacker struct{ transport }

func (hijacker) Header() http.Header { return http.Header{} }
func (hijacker) WriteHeader(int)     {}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	none := bufio.NewReader(connection(nil))
	return h.transport, bufio.NewReadWriter(none, bufio.NewWriter(h.transport)), nil
}
