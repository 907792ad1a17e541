//go:build !race && !lockcheck

package server

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fibersock/fibersock/internal/test/check"
)

// congested is a transport whose kernel buffers hold bytes for the client.
type congested struct {
	nowhere
	bytes atomic.Int64
}

func (t *congested) Unacknowledged() int { return int(t.bytes.Load()) }

// PongTimeout does not end a connection while the kernel buffers in front of
// the Ping shrink. A client that read a large message for longer than
// PongTimeout used to lose its connection (theturtle32/WebSocket-Node#229,
// python-websockets/websockets#1005).
func TestPongTimeoutWaitsForAClientThatTakesEarlierBytes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reads bool
		lasts time.Duration // at least
	}{
		{"a client that reads slowly", true, 10 * time.Minute},
		{"a client that does not read", false, 15 * time.Second},
	} {
		check.Bubble(t, tt.name, func(t *testing.T) {
			s := &Server{PingInterval: 10 * time.Second, PongTimeout: 5 * time.Second}
			out := new(congested)
			out.bytes.Store(1 << 20)
			c := s.connOver(out)
			if !c.open(Handshake{}) {
				t.Fatal("not open")
			}
			defer c.lost(nil)
			began := time.Now()
			for c.State() == Open {
				time.Sleep(time.Second)
				if tt.reads && time.Since(began) < tt.lasts {
					out.bytes.Add(-1000)
				}
			}
			if took := time.Since(began); took < tt.lasts || took > tt.lasts+time.Minute {
				t.Errorf("the connection lasted %v, want %v and a little", took, tt.lasts)
			}
			var late *TimeoutError
			if err := c.Err(); !errors.As(err, &late) || late.Option != "PongTimeout" {
				t.Errorf("the connection ended by %v", err)
			}
		})
	}
}
