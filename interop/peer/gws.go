package peer

import (
	"context"
	"net"
	"net/http"

	ws "github.com/lxzan/gws"
)

var gws = Peer{
	Name:    "gws",
	Title:   "lxzan/gws",
	Package: "github.com/lxzan/gws",
	Serve:   serving(serveGWS),
	Drive:   driving(library{echo: echoToGWSURL, receive: receiveGWS}),
}

var gwsCompression = ws.PermessageDeflate{Enabled: true, ServerContextTakeover: true, ClientContextTakeover: true}

func serveGWS(ln net.Listener) error {
	upgrader := ws.NewUpgrader(gwsEcho{}, &ws.ServerOption{
		PermessageDeflate:   gwsCompression,
		CheckUtf8Enabled:    true,
		ReadMaxPayloadSize:  MaxMessage,
		WriteMaxPayloadSize: MaxMessage,
		Recovery:            ws.Recovery,
	})
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r); err == nil {
			go conn.ReadLoop()
		}
	}))
}

func dialGWS(url string, handler ws.Event) (*ws.Conn, error) {
	conn, _, err := ws.NewClient(handler, &ws.ClientOption{
		Addr:                url,
		PermessageDeflate:   gwsCompression,
		CheckUtf8Enabled:    true,
		ReadMaxPayloadSize:  MaxMessage,
		WriteMaxPayloadSize: MaxMessage,
	})
	return conn, err
}

func echoToGWSURL(ctx context.Context, url string) {
	conn, err := dialGWS(url, gwsEcho{})
	if err != nil {
		return
	}
	over := context.AfterFunc(ctx, func() { conn.NetConn().Close() })
	defer over()
	conn.ReadLoop()
}

// gwsEcho answers what comes. Its Pong has the Ping's payload, which that of gws's BuiltinEventHandler has not.
type gwsEcho struct{ ws.BuiltinEventHandler }

func (gwsEcho) OnPing(conn *ws.Conn, payload []byte) { conn.WritePong(payload) }

func (gwsEcho) OnMessage(conn *ws.Conn, m *ws.Message) {
	defer m.Close()
	conn.WriteMessage(m.Opcode, m.Bytes())
}

func receiveGWS(ctx context.Context, url string) (string, error) {
	handler := &gwsReceiver{}
	conn, err := dialGWS(url, handler)
	if err != nil {
		return "", err
	}
	over := context.AfterFunc(ctx, func() { conn.NetConn().Close() })
	defer over()
	conn.ReadLoop()
	return handler.first, handler.err
}

// gwsReceiver keeps the first message.
type gwsReceiver struct {
	ws.BuiltinEventHandler
	first string
	err   error // how the connection ended, if no message had come
}

func (r *gwsReceiver) OnMessage(conn *ws.Conn, m *ws.Message) {
	defer m.Close()
	r.first = m.Data.String()
	conn.WriteClose(1000, nil)
}

func (r *gwsReceiver) OnClose(_ *ws.Conn, err error) {
	if r.first == "" {
		r.err = err
	}
}
