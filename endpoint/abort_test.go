package endpoint_test

import (
	"errors"
	"testing"

	"github.com/fibersock/fibersock/endpoint"
	"github.com/fibersock/fibersock/internal/test/check"
	"github.com/fibersock/fibersock/wire"
)

// The peer's Close arrives during a write, and then a sender aborts the
// connection, as SlowClose does. The Close is answered all the same: the answer
// used to be missing, and the peer saw the stream end without one.
func TestAbortAfterThePeersCloseLeavesTheAnswer(t *testing.T) {
	eachRole(t, func(t *testing.T, role endpoint.Role) {
		g := newGate()
		e := endpoint.New(g, endpoint.Config{Role: role})
		sent := make(chan error, 1)
		go func() { sent <- e.Send(wire.Text, []byte("Hello")) }()
		<-g.entered
		received := make(chan []event, 1)
		go func() { received <- receive(e, closeFromPeer(role, wire.NormalClosure, "")) }()
		for e.Err() == nil { // the Close waits for the write
			select {
			case events := <-received:
				t.Fatalf("received %v", events)
			default:
			}
		}
		if first, _ := e.Abort(errors.New("too much"), nil); first {
			t.Error("the connection had not ended before")
		}
		late := make(chan error, 1)
		go func() { late <- e.Send(wire.Text, []byte("late")) }()
		g.open(nil)
		check.OK(t, <-sent)
		<-received
		var closed *endpoint.CloseError
		if err := <-late; !errors.As(err, &closed) {
			t.Errorf("a Send after that returned %v", err)
		}
		if got := written(t, role, g.bytes()); len(got) != 2 || got[1].Opcode != wire.Close {
			t.Errorf("written are %v, want a text and a Close", got)
		}
		if !errors.As(e.Err(), &closed) {
			t.Errorf("the connection has ended by %v", e.Err())
		}
	})
}
