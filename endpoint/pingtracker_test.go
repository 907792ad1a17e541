package endpoint_test

import (
	"testing"

	"github.com/fibersock/fibersock/endpoint"
)

// tracked is a Ping of a PingTracker.
type tracked struct {
	payload  [8]byte
	answered <-chan struct{}
}

func (p tracked) isAnswered() bool {
	select {
	case <-p.answered:
		return true
	default:
		return false
	}
}

func startPing(t *endpoint.PingTracker) tracked {
	payload, answered := t.Start()
	return tracked{payload, answered}
}

// 6455-5.5.3-b,c,d: a Pong completes its own Ping and the Pings that were sent
// before that one started, and no other.
func TestPingTracker(t *testing.T) {
	var tracker endpoint.PingTracker
	first := startPing(&tracker)
	tracker.Sent(first.payload)
	second := startPing(&tracker)
	unsent := startPing(&tracker) // at the same time as second: they have no order
	tracker.Sent(second.payload)
	third := startPing(&tracker)
	tracker.Sent(third.payload)

	for _, unsolicited := range [][]byte{nil, first.payload[:7], append(first.payload[:], 0), make([]byte, 8)} {
		tracker.Pong(unsolicited)
	}
	if first.isAnswered() || second.isAnswered() || unsent.isAnswered() || third.isAnswered() {
		t.Error("an unsolicited Pong is an answer")
	}
	tracker.Pong(second.payload[:])
	if !first.isAnswered() || !second.isAnswered() {
		t.Error("the Pong answers neither its Ping nor the one before it")
	}
	if unsent.isAnswered() || third.isAnswered() {
		t.Error("the Pong answers a later Ping")
	}
	tracker.Pong(second.payload[:]) // a second Pong for one Ping
	tracker.Cancel(third.payload)
	tracker.Pong(third.payload[:])
	if third.isAnswered() {
		t.Error("a Pong answers a Ping that was cancelled")
	}
	fourth := startPing(&tracker)
	tracker.Sent(fourth.payload)
	tracker.Pong(fourth.payload[:])
	if !fourth.isAnswered() || unsent.isAnswered() {
		t.Errorf("answered: fourth %t, unsent %t; want true, false", fourth.isAnswered(), unsent.isAnswered())
	}
	if fourth.payload == first.payload {
		t.Error("two Pings have the same payload")
	}
}
