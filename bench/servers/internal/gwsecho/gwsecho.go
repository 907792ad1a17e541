// Package gwsecho is what the two servers over github.com/lxzan/gws share.
package gwsecho

import (
	"net"
	"net/http"

	"github.com/lxzan/gws"

	"github.com/fibersock/fibersock/bench/internal/serve"
)

// Serve echoes to what connects to ln. With parallel, up to eight messages of a
// connection are handled at once, and may be answered in another order.
func Serve(ln net.Listener, o serve.Options, parallel bool) error {
	// The README, "Best Practice": Recovery, and ReadLoop in a goroutine of its
	// own, that the request can be freed.
	s := &server{Options: o}
	upgrader := gws.NewUpgrader(s, &gws.ServerOption{
		ParallelEnabled:     parallel,
		Recovery:            gws.Recovery,
		PermessageDeflate:   gws.PermessageDeflate{Enabled: o.Deflate},
		CheckUtf8Enabled:    true,
		ReadMaxPayloadSize:  o.MaxMessage,
		WriteMaxPayloadSize: o.MaxMessage,
	})
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r); err == nil {
			go conn.ReadLoop()
		}
	}))
}

type server struct {
	gws.BuiltinEventHandler
	serve.Options
	room serve.Room[*gws.Conn]
}

func (s *server) OnOpen(conn *gws.Conn) {
	if s.Broadcast {
		s.room.Enter(conn)
	}
}

func (s *server) OnClose(conn *gws.Conn, _ error) {
	if s.Broadcast {
		s.room.Leave(conn)
	}
}

// OnPing answers with the Ping's payload; that of BuiltinEventHandler has none.
func (s *server) OnPing(conn *gws.Conn, payload []byte) { _ = conn.WritePong(payload) }

func (s *server) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	serve.Work(m.Opcode == gws.OpcodeBinary, m.Bytes())
	if s.Broadcast {
		s.broadcast(m)
		return
	}
	// The README, "Attention": errors are handled inside.
	_ = conn.WriteMessage(m.Opcode, m.Bytes())
}

func (s *server) broadcast(m *gws.Message) {
	b := gws.NewBroadcaster(m.Opcode, m.Bytes())
	defer b.Close()
	for _, conn := range s.room.Members() {
		_ = b.Broadcast(conn)
	}
}
