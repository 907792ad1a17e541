package differential

import (
	"bufio"
	"errors"
	"net"
	"net/http"

	"github.com/gorilla/websocket"
)

// Gorilla is what gorilla/websocket makes of a stream.
func Gorilla(stream []byte) (o Outcome) {
	c := gorillaConn(stream)
	c.SetReadLimit(MessageLimit)
	for {
		opcode, payload, err := c.ReadMessage()
		if err == nil {
			o.Messages = append(o.Messages, message(opcode, payload))
			continue
		}
		o.Err = err
		var closed *websocket.CloseError
		switch {
		case errors.As(err, &closed) && closed.Code == websocket.CloseAbnormalClosure, ofTransport(err):
			o.End = Lost // it reports the end of the transport as a Close with 1006
		case errors.As(err, &closed):
			o.End, o.Code = Closed, closed.Code
		default:
			o.End = Failed
		}
		return o
	}
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
