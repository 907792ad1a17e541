// Command gws measures the client of github.com/lxzan/gws.
package main

import (
	"context"

	"github.com/lxzan/gws"

	"github.com/fibersock/fibersock/bench/clients/internal/measure"
)

func main() {
	measure.Main(measure.Client{
		Name:   "gws",
		Module: "github.com/lxzan/gws",
		UTF8:   true,
		Notes:  "ReadLoop; CheckUtf8Enabled, which checks the text it sends too; WriteMessage in OnMessage",
		Run:    run,
	})
}

// The README, "Proxy": ReadLoop in the goroutine that has nothing else to do, and
// no ParallelEnabled for what does not block.
func run(ctx context.Context, url string, s *measure.Session) error {
	h := &handler{session: s}
	conn, _, err := gws.NewClient(h, &gws.ClientOption{
		Addr:                url,
		CheckUtf8Enabled:    true,
		ReadMaxPayloadSize:  1 << 30,
		WriteMaxPayloadSize: 1 << 30,
	})
	if err != nil {
		return err
	}
	over := context.AfterFunc(ctx, func() { conn.NetConn().Close() })
	defer over()
	h.send(conn, s.First())
	conn.ReadLoop()
	return h.err
}

type handler struct {
	gws.BuiltinEventHandler
	session *measure.Session
	err     error // why it ended
}

func (h *handler) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	next, err := h.session.Next(m.Opcode == gws.OpcodeText, m.Bytes())
	if err != nil {
		h.err = err
		conn.NetConn().Close()
		return
	}
	h.send(conn, next)
}

func (h *handler) OnClose(_ *gws.Conn, err error) {
	if h.err == nil {
		h.err = err
	}
}

func (h *handler) send(conn *gws.Conn, p []byte) {
	opcode := gws.OpcodeBinary
	if h.session.Text {
		opcode = gws.OpcodeText
	}
	_ = conn.WriteMessage(opcode, p) // an error ends the connection, and goes to OnClose
}
