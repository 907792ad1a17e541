package endpoint

import (
	"bytes"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// A Ping arrives between a writer's last look at the control queue and its
// unlock. The next holder of the lock writes the Pong before its own frame
// (6455-5.5.2-a).
func TestQueuedPongsGoFirst(t *testing.T) {
	frame := func(op wire.Opcode, payload string) []byte {
		return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: op, Masked: true}, []byte(payload))
	}
	plain := func(op wire.Opcode, payload string) []byte {
		return wire.AppendFrame(nil, wire.Header{Fin: true, Opcode: op}, []byte(payload))
	}
	for name, tt := range map[string]struct{ next, answer []byte }{
		"Ping":        {frame(wire.Ping, "2"), plain(wire.Pong, "2")},
		"Close":       {frame(wire.Close, ""), plain(wire.Close, "")},
		"broken rule": {frame(wire.Continuation, ""), plain(wire.Close, "\x03\xeacontinuation frame without a message")},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			e := New(&out, Config{Role: Server})
			e.sender.mu.Lock()
			e.Receive(time.Time{}, frame(wire.Ping, "1"))
			e.sender.mu.Unlock() // not unlock, which has checked the queue already
			e.Receive(time.Time{}, tt.next)
			check.Slices(t, out.Bytes(), append(plain(wire.Pong, "1"), tt.answer...), "got")
		})
	}
}
