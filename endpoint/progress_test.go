package endpoint_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// Progress reports the pending message or frame at every byte, and the number
// of bytes of the message.
func TestProgress(t *testing.T) {
	pieces := []struct {
		payload string
		op      wire.Opcode
		fin     bool
	}{
		{"Hello", wire.Text, true},
		{"?", wire.Ping, true},
		{"Hel", wire.Text, false},
		{"in between", wire.Ping, true},
		{"", wire.Continuation, false},
		{"", wire.Pong, true},
		{"lo", wire.Continuation, true},
		{strings.Repeat("a", 300), wire.Binary, false},
		{strings.Repeat("b", 300), wire.Continuation, true},
	}
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		for _, partial := range []bool{false, true} {
			e := endpoint.New(io.Discard, endpoint.Config{Role: role, Partial: partial})
			var before int64 // of the message, in complete frames
			unfinished := false
			for _, p := range pieces {
				frame := fromPeer(role, p.op, p.payload, p.fin)
				header := len(frame) - len(p.payload)
				for i := range frame {
					receive(e, frame[i:i+1])
					wantArrived, wantUnderWay := before, true
					control := p.op.IsControl()
					if n := i + 1 - header; n > 0 && !control {
						wantArrived += int64(n)
					}
					if i == len(frame)-1 {
						if !control {
							before, unfinished = wantArrived, !p.fin
						}
						wantUnderWay = unfinished
						if !unfinished {
							before, wantArrived = 0, 0
						}
					}
					if arrived, underWay := e.Progress(); arrived != wantArrived || underWay != wantUnderWay {
						t.Fatalf("after %d bytes of %v %q: %d, %v, want %d, %v", i+1, p.op, p.payload, arrived, underWay, wantArrived, wantUnderWay)
					}
				}
			}
		}
	})
}

// FailAsync fails the connection without a call of Receive (6455-7.1.7-a):
// once, and not if it has ended otherwise.
func TestFailAsync(t *testing.T) {
	cause := errors.New("too late")
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		t.Run("open", func(t *testing.T) {
			e, out := recorded(endpoint.Config{Role: role})
			if !e.FailAsync(wire.PolicyViolation, "late", cause) {
				t.Error("it has not failed")
			}
			if e.FailAsync(wire.PolicyViolation, "later", cause) {
				t.Error("it has failed twice")
			}
			if frames := written(t, role, out.Bytes()); len(frames) != 1 || closeCode(frames[0]) != wire.PolicyViolation || string(frames[0].Payload[2:]) != "late" {
				t.Errorf("wrote %v", frames)
			}
			var failed *endpoint.FailError
			if err := e.Err(); !errors.As(err, &failed) || failed.Code != wire.PolicyViolation || failed.Err != cause || !errors.Is(err, net.ErrClosed) {
				t.Errorf("ended with %v", err)
			}
			if e.State() != endpoint.Closed || e.CloseCode() != wire.AbnormalClosure {
				t.Errorf("%v, %v", e.State(), e.CloseCode())
			}
			if err := e.SendText("Hello"); err != e.Err() {
				t.Errorf("SendText returned %v", err)
			}
			if err := e.TransportClosed(io.EOF, nil); err != e.Err() {
				t.Errorf("Lost returned %v", err)
			}
		})
		t.Run("closed by the peer", func(t *testing.T) {
			e, out := recorded(endpoint.Config{Role: role})
			receive(e, closeFromPeer(role, 4000, ""))
			if e.FailAsync(wire.PolicyViolation, "late", cause) {
				t.Error("it has failed")
			}
			if frames := written(t, role, out.Bytes()); len(frames) != 1 || closeCode(frames[0]) != 4000 {
				t.Errorf("wrote %v", frames)
			}
		})
	})
}

// A heartbeat during the write of another frame is sent after it, by the sender
// of that frame, and only the newest; none is sent after the Close.
func TestHeartbeatDoesNotWait(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		g := newGate()
		e := endpoint.New(g, endpoint.Config{Role: role})
		sent := make(chan error, 1)
		go func() { sent <- e.SendText("Hello") }()
		<-g.entered
		e.PingAsync([]byte("1"))
		e.PingAsync([]byte("2"))
		g.open(nil)
		check.OK(t, <-sent)
		e.PingAsync([]byte("3"))
		check.OK(t, e.Close(4000, ""))
		e.PingAsync([]byte("4"))
		frames := written(t, role, g.bytes())
		if len(frames) != 4 {
			t.Fatalf("wrote %v", frames)
		}
		for i, want := range []string{"2", "3"} {
			if f := frames[1+i]; f.Opcode != wire.Ping || string(f.Payload) != want {
				t.Errorf("wrote %v, want a Ping %q", f, want)
			}
		}
	})
}
