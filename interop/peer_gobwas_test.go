package interop

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/interop/peers"
	"github.com/fibersock/fibersock/interop/peers/gobwas"
	"github.com/fibersock/fibersock/wire"
)

// gobwas leaves pings, fragments and the closing handshake to the application.
func TestGobwas(t *testing.T) {
	runCompression(t, party{name: "gobwas", dial: dialGobwas, listen: listenGobwas}, []mode{{name: "on", config: true}}, toFragment, toClose)
}

var errGobwas = errors.New("the application does it with gobwas")

func gobwasOptions(o options) peers.Options {
	return peers.Options{MaxMessage: 16 << 20, Deflate: o.theirs != nil, CheckText: true}
}

// gobwasHandler passes each connection to opened.
func gobwasHandler(t *testing.T, opened chan<- *gobwasEndpoint) peers.Handler {
	var e *gobwasEndpoint
	return peers.Handler{
		Open: func(c peers.Conn) error {
			e = &gobwasEndpoint{newMailbox(t), c}
			opened <- e
			return nil
		},
		Message: func(_ peers.Conn, isText bool, p []byte) error {
			op := wire.Binary
			if isText {
				op = wire.Text
			}
			e.put(event{kind: kindOf(op), payload: bytes.Clone(p)})
			return nil
		},
	}
}

func dialGobwas(t *testing.T, url string, o options) endpoint {
	t.Helper()
	opened := make(chan *gobwasEndpoint, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		gobwas.Library.Dial(ctx, url, gobwasOptions(o), gobwasHandler(t, opened)) // until ctx ends
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return next(t, opened)()
}

func listenGobwas(t *testing.T, o options) (string, func() endpoint) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check.Must(t, err)
	opened := make(chan *gobwasEndpoint, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		gobwas.Library.Serve(ln, gobwasOptions(o), gobwasHandler(t, opened)) // until ln is closed
	}()
	t.Cleanup(func() {
		ln.Close()
		<-ended
	})
	return "ws://" + ln.Addr().String() + "/", next(t, opened)
}

type gobwasEndpoint struct {
	mailbox
	conn peers.Conn
}

func (*gobwasEndpoint) subprotocol() string { return "" }

// send is called between messages of the peer, when the library's goroutine
// waits.
func (e *gobwasEndpoint) send(m event) error { return e.conn.Send(m.kind == text, m.payload) }

func (*gobwasEndpoint) sendFragments(kind, [][]byte) error { return errGobwas }
func (*gobwasEndpoint) ping([]byte) error                  { return errGobwas }

func (*gobwasEndpoint) close(wire.StatusCode, string) (event, error) { return event{}, errGobwas }
