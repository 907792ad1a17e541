package interop

import (
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

func TestCoder(t *testing.T) {
	p := party{name: "coder", dial: dialCoder, listen: listenCoder}
	runBothRoles(t, p)
	runCompression(t, p, []mode{
		{name: "takeover", config: websocket.CompressionContextTakeover},
		{name: "no takeover", config: websocket.CompressionNoContextTakeover},
		{name: "off", config: websocket.CompressionDisabled},
	})
}

func dialCoder(t *testing.T, url string, o options) endpoint {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: clientTLS(o)}
	conn, _, err := websocket.Dial(patient(t), url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, Subprotocols: o.offered, CompressionMode: coderCompression(o)})
	check.Must(t, err)
	return newCoder(t, conn)
}

func coderCompression(o options) websocket.CompressionMode {
	mode, _ := o.theirs.(websocket.CompressionMode) // else CompressionDisabled
	return mode
}

func listenCoder(t *testing.T, o options) (string, func() endpoint) {
	t.Helper()
	accepted := make(chan *coderEndpoint, 1)
	url := serveHTTP(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: o.supported, CompressionMode: coderCompression(o)}); err != nil {
			t.Errorf("coder refuses: %v", err)
		} else {
			accepted <- newCoder(t, conn)
		}
	}))
	return url, next(t, accepted)
}

type coderEndpoint struct {
	mailbox
	conn *websocket.Conn
}

func newCoder(t *testing.T, conn *websocket.Conn) *coderEndpoint {
	conn.SetReadLimit(-1)
	e := &coderEndpoint{newMailbox(t), conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.read()
	}()
	t.Cleanup(func() {
		conn.CloseNow()
		<-done
	})
	return e
}

// read delivers all messages. coder answers ping and Close while reading.
func (e *coderEndpoint) read() {
	for {
		messageType, payload, err := e.conn.Read(e.ctx)
		if err != nil {
			e.put(ended(err, coderClose))
			return
		}
		e.put(event{kind: kindOf(wire.Opcode(messageType)), payload: payload})
	}
}

func coderClose(err error) (wire.StatusCode, string, bool) {
	var c websocket.CloseError
	if !errors.As(err, &c) {
		return 0, "", false
	}
	return wire.StatusCode(c.Code), c.Reason, true
}

func (e *coderEndpoint) subprotocol() string { return e.conn.Subprotocol() }

func (e *coderEndpoint) send(m event) error {
	return e.conn.Write(e.ctx, websocket.MessageType(m.kind.opcode()), m.payload)
}

func (e *coderEndpoint) sendFragments(k kind, parts [][]byte) error {
	w, err := e.conn.Writer(e.ctx, websocket.MessageType(k.opcode()))
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

// ping sends coder's own payload; the API accepts none.
func (e *coderEndpoint) ping([]byte) error {
	return e.conn.Ping(e.ctx)
}

// close trusts coder's Close, which fails unless the peer's answer has the same status code: when it is quicker than read to get at that
// answer, read sees the transport end.
func (e *coderEndpoint) close(code wire.StatusCode, reason string) (event, error) {
	if err := e.conn.Close(websocket.StatusCode(code), reason); err != nil {
		return event{}, err
	}
	answer, err := e.receive()
	if answer.code == wire.AbnormalClosure {
		answer = event{kind: closed, code: code}
	}
	return answer, err
}
