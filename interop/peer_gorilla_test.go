package interop

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
	"github.com/gorilla/websocket"
)

func TestGorilla(t *testing.T) {
	p := party{name: "gorilla", dial: dialGorilla, listen: listenGorilla}
	runBothRoles(t, p)
	runCompression(t, p, []mode{{name: "on", config: true}, {name: "off"}})
}

// gorillaBuffer makes gorilla fragment: it starts a new frame when the buffer
// is full.
const gorillaBuffer = 1024

func dialGorilla(t *testing.T, url string, o options) endpoint {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: o.offered, TLSClientConfig: clientTLS(o), WriteBufferSize: gorillaBuffer, HandshakeTimeout: patience, EnableCompression: o.theirs != nil}
	conn, _, err := dialer.Dial(url, nil)
	check.Must(t, err)
	return newGorilla(t, conn)
}

func listenGorilla(t *testing.T, o options) (string, func() endpoint) {
	t.Helper()
	upgrader := websocket.Upgrader{Subprotocols: o.supported, WriteBufferSize: gorillaBuffer, EnableCompression: o.theirs != nil}
	accepted := make(chan *gorillaEndpoint, 1)
	url := serveHTTP(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err != nil {
			t.Errorf("gorilla refuses: %v", err)
		} else {
			accepted <- newGorilla(t, conn)
		}
	}))
	return url, next(t, accepted)
}

type gorillaEndpoint struct {
	mailbox
	conn  *websocket.Conn
	pongs chan string
}

func newGorilla(t *testing.T, conn *websocket.Conn) *gorillaEndpoint {
	e := &gorillaEndpoint{newMailbox(t), conn, make(chan string, 1)}
	conn.SetPongHandler(func(payload string) error {
		e.pongs <- payload
		return nil
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.read()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return e
}

// read delivers all messages. gorilla answers ping and Close while reading.
func (e *gorillaEndpoint) read() {
	for {
		messageType, payload, err := e.conn.ReadMessage()
		if err != nil {
			e.put(ended(err, gorillaClose))
			e.conn.Close()
			return
		}
		e.put(event{kind: kindOf(wire.Opcode(messageType)), payload: payload})
	}
}

func gorillaClose(err error) (wire.StatusCode, string, bool) {
	var c *websocket.CloseError
	if !errors.As(err, &c) {
		return 0, "", false
	}
	return wire.StatusCode(c.Code), c.Text, true
}

func (e *gorillaEndpoint) subprotocol() string { return e.conn.Subprotocol() }

func (e *gorillaEndpoint) send(m event) error {
	return e.conn.WriteMessage(int(m.kind.opcode()), m.payload)
}

func (e *gorillaEndpoint) sendFragments(k kind, parts [][]byte) error {
	w, err := e.conn.NextWriter(int(k.opcode()))
	if err != nil {
		return err
	}
	for i, part := range parts {
		if i > 0 {
			if err := e.ping(between); err != nil {
				return err
			}
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

func (e *gorillaEndpoint) ping(payload []byte) error {
	if err := e.conn.WriteControl(websocket.PingMessage, payload, time.Now().Add(patience)); err != nil {
		return err
	}
	got, err := within(e.ctx, e.pongs)
	if err != nil || got != string(payload) {
		return errors.Join(errNoPong, err)
	}
	return nil
}

func (e *gorillaEndpoint) close(code wire.StatusCode, reason string) (event, error) {
	frame := websocket.FormatCloseMessage(int(code), reason)
	if err := e.conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(patience)); err != nil {
		return event{}, err
	}
	return e.receive()
}
