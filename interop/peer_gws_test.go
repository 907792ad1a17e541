package interop

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/lxzan/gws"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

func TestGWS(t *testing.T) {
	p := party{name: "gws", dial: dialGWS, listen: listenGWS}
	modes := []mode{
		{name: "takeover", config: gws.PermessageDeflate{Enabled: true, ServerContextTakeover: true, ClientContextTakeover: true, Threshold: 1}},
		{name: "server's takeover", config: gws.PermessageDeflate{Enabled: true, ServerContextTakeover: true, Threshold: 1}},
		{name: "client's takeover", config: gws.PermessageDeflate{Enabled: true, ClientContextTakeover: true, Threshold: 1}},
		{name: "no takeover", config: gws.PermessageDeflate{Enabled: true}},
		{name: "off"},
	}
	for bits := 8; bits <= 15; bits++ {
		modes = append(modes, mode{name: fmt.Sprintf("takeover, %d bits", bits), config: gws.PermessageDeflate{
			Enabled: true, ServerContextTakeover: true, ClientContextTakeover: true, ServerMaxWindowBits: bits, ClientMaxWindowBits: bits,
		}})
	}
	runCompression(t, p, modes, toFragment)
}

func gwsCompression(o options) gws.PermessageDeflate {
	config, _ := o.theirs.(gws.PermessageDeflate) // else it is off
	return config
}

func dialGWS(t *testing.T, url string, o options) endpoint {
	t.Helper()
	e := newGWS(t)
	c, _, err := gws.NewClient(e, &gws.ClientOption{Addr: url, PermessageDeflate: gwsCompression(o), CheckUtf8Enabled: true})
	check.Must(t, err)
	e.run(t, c)
	return e
}

func listenGWS(t *testing.T, o options) (string, func() endpoint) {
	t.Helper()
	accepted := make(chan *gwsEndpoint, 1)
	url := serveHTTP(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := newGWS(t)
		c, err := gws.NewUpgrader(e, &gws.ServerOption{PermessageDeflate: gwsCompression(o), CheckUtf8Enabled: true}).Upgrade(w, r)
		if err != nil {
			t.Errorf("gws refuses: %v", err)
			return
		}
		e.run(t, c)
		accepted <- e
	}))
	return url, next(t, accepted)
}

type gwsEndpoint struct {
	mailbox
	conn  *gws.Conn
	pongs chan string
}

func newGWS(t *testing.T) *gwsEndpoint {
	return &gwsEndpoint{mailbox: newMailbox(t), pongs: make(chan string, 1)}
}

// run reads from c until the end of the test.
func (e *gwsEndpoint) run(t *testing.T, c *gws.Conn) {
	e.conn = c
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.ReadLoop()
	}()
	t.Cleanup(func() {
		c.NetConn().Close()
		<-done
	})
}

func (*gwsEndpoint) OnOpen(*gws.Conn)                     {}
func (e *gwsEndpoint) OnClose(_ *gws.Conn, err error)     { e.put(ended(err, gwsClose)) }
func (*gwsEndpoint) OnPing(c *gws.Conn, payload []byte)   { _ = c.WritePong(payload) }
func (e *gwsEndpoint) OnPong(_ *gws.Conn, payload []byte) { e.pongs <- string(payload) }
func (e *gwsEndpoint) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	e.put(event{kind: kindOf(wire.Opcode(m.Opcode)), payload: bytes.Clone(m.Bytes())})
}

func gwsClose(err error) (wire.StatusCode, string, bool) {
	var c *gws.CloseError
	if !errors.As(err, &c) {
		return 0, "", false
	}
	return wire.StatusCode(c.Code), string(c.Reason), true
}

func (e *gwsEndpoint) subprotocol() string { return e.conn.SubProtocol() }

func (e *gwsEndpoint) send(m event) error {
	return e.conn.WriteMessage(gws.Opcode(m.kind.opcode()), m.payload)
}

// WriteFile of gws sends fragments. With takeover a client's WriteFile refers to
// a wrong history: zlib decompresses another text from its output, too.
func (*gwsEndpoint) sendFragments(kind, [][]byte) error {
	return errors.New("gws cannot fragment reliably")
}

func (e *gwsEndpoint) ping(payload []byte) error {
	if err := e.conn.WritePing(payload); err != nil {
		return err
	}
	got, err := within(e.ctx, e.pongs)
	if err != nil || got != string(payload) {
		return errors.Join(errNoPong, err)
	}
	return nil
}

func (e *gwsEndpoint) close(code wire.StatusCode, reason string) (event, error) {
	e.conn.WriteClose(uint16(code), []byte(reason))
	return e.receive()
}
