package interop

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

func TestNbio(t *testing.T) {
	modes := []mode{{name: "on", config: true}, {name: "off"}}
	runCompression(t, party{name: "nbio", dial: dialNbio, listen: listenNbio}, modes, toGetEmpty)
}

// newNbio returns an endpoint without a connection, and the options with its
// handlers.
func newNbio(t *testing.T, o options) (*nbioEndpoint, *websocket.Options) {
	e := &nbioEndpoint{mailbox: newMailbox(t), pongs: make(chan string, 1)}
	u := websocket.NewUpgrader()
	u.EnableCompression(o.theirs != nil)
	u.OnMessage(func(_ *websocket.Conn, messageType websocket.MessageType, p []byte) {
		e.put(event{kind: kindOf(wire.Opcode(messageType)), payload: bytes.Clone(p)})
	})
	u.SetPongHandler(func(_ *websocket.Conn, payload string) { e.pongs <- payload })
	u.OnClose(func(_ *websocket.Conn, err error) { e.put(ended(cmp.Or(err, io.EOF), nbioClose)) })
	return e, u
}

// startNbio runs an engine until the end of the test.
func startNbio(t *testing.T, config nbhttp.Config) *nbhttp.Engine {
	t.Helper()
	engine := nbhttp.NewEngine(config)
	check.Must(t, engine.Start())
	t.Cleanup(engine.Stop)
	return engine
}

func dialNbio(t *testing.T, url string, o options) endpoint {
	t.Helper()
	e, u := newNbio(t, o)
	dialer := websocket.Dialer{Engine: startNbio(t, nbhttp.Config{}), Options: u, DialTimeout: patience, EnableCompression: o.theirs != nil}
	conn, _, err := dialer.Dial(url, nil)
	check.Must(t, err)
	e.conn = conn
	t.Cleanup(func() { conn.Close() })
	return e
}

func listenNbio(t *testing.T, o options) (string, func() endpoint) {
	t.Helper()
	accepted := make(chan *nbioEndpoint, 1)
	url := serveHTTP(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, u := newNbio(t, o)
		conn, err := u.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("nbio refuses: %v", err)
			return
		}
		e.conn = conn
		accepted <- e
	}))
	return url, next(t, accepted)
}

type nbioEndpoint struct {
	mailbox
	conn  *websocket.Conn
	pongs chan string
}

func nbioClose(err error) (wire.StatusCode, string, bool) {
	var c *websocket.CloseError
	if !errors.As(err, &c) {
		return 0, "", false
	}
	return wire.StatusCode(c.Code), c.Reason, true
}

func (e *nbioEndpoint) subprotocol() string { return e.conn.Subprotocol() }

func (e *nbioEndpoint) send(m event) error {
	return e.conn.WriteMessage(websocket.MessageType(m.kind.opcode()), m.payload)
}

// sendFragments sends frames that are not compressed: nbio compresses whole
// messages only.
func (e *nbioEndpoint) sendFragments(k kind, parts [][]byte) error {
	for i, part := range parts {
		if i > 0 {
			if err := e.ping(between); err != nil {
				return err
			}
		}
		if err := e.conn.WriteFrame(websocket.MessageType(k.opcode()), i == 0, i == len(parts)-1, part); err != nil {
			return err
		}
	}
	return nil
}

func (e *nbioEndpoint) ping(payload []byte) error {
	if err := e.conn.WriteMessage(websocket.PingMessage, payload); err != nil {
		return err
	}
	got, err := within(e.ctx, e.pongs)
	if err != nil || got != string(payload) {
		return errors.Join(errNoPong, err)
	}
	return nil
}

func (e *nbioEndpoint) close(code wire.StatusCode, reason string) (event, error) {
	if err := e.conn.WriteClose(int(code), reason); err != nil {
		return event{}, err
	}
	return e.receive()
}
